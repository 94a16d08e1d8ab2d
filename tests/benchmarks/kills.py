#!/usr/bin/env python
"""Commands that SIGKILL ends at random moments: what they leave, and what a rerun makes of it.

    python tests/benchmarks/kills.py --kills 50                # hours on two cores
    python tests/benchmarks/kills.py --kills 8 --only exchange pretrain

Each command runs once undisturbed, which gives its digest and its time T. Then it is started and
killed after a moment drawn from 0 to T, N times; every second time it was to replace an output that
was there. Only the command itself is killed, as by the kernel when memory is short: its workers
must notice. After each kill

- the output is absent, or whole (`verify`), or the old one, but for the moment of the replacement;
- no process of it is left after LIMIT_S;
- the same command, run again (with --resume or --overwrite), gives the undisturbed digest, and
  leaves no file beside its output and none in the folder of temporary files.

Processes are found by a variable of their environment, which children inherit, so that those count
too which have another parent by now. Linux only.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
import yaml

from bitextile.schema.dataset import verify_dataset
from bitextile.schema.errors import BitextileError

MARK = "BITEXTILE_KILLS"
LIMIT_S = 10.0
# Of libraries, which undisturbed runs leave as well.
CACHES = re.compile(r"jieba\.cache|torchinductor_")
TRAINED = {
    "model": {"config": {"model_type": "xlm-roberta", "num_hidden_layers": 2, "hidden_size": 32}},
    "steps": 30,
    "warmup_steps": 2,
    "batch_tokens": 1024,
    "grad_accumulation": 2,
    "checkpoint_every": 5,
    "device": "cpu",
}
TRAINED["model"]["config"] |= {"num_attention_heads": 2, "intermediate_size": 64}


@dataclass(frozen=True)
class Case:
    """A command line, without what says whether an output may be there."""

    name: str
    arguments: tuple[str, ...]
    out: Path
    again: str = "--overwrite"
    datasets: tuple[str, ...] = ("",)

    def digest(self) -> str:
        """Over what was made; raises BitextileError if it is not whole."""
        if self.again == "--resume":
            return training_digest(self.out)
        if self.datasets:
            return " ".join(
                verify_dataset(f"{self.out}/{d}").manifest.digest for d in self.datasets
            )
        files = (p for p in sorted(self.out.rglob("*")) if p.is_file())
        return " ".join(hashlib.sha256(p.read_bytes()).hexdigest() for p in files)

    def is_there(self) -> bool:
        if self.again == "--resume":
            return (self.out / "bitextile.json").exists()
        return all((self.out / d).exists() for d in self.datasets or ("",))


def training_digest(run: Path) -> str:
    """Of the weights, and of what each step learned from."""
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
        steps = [(r["step"], r["loss"], r["records"]) for r in map(json.loads, lines)]
        weights = (run / "model.safetensors").read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise BitextileError(f"{run}: {error!r}") from error
    return hashlib.sha256(json.dumps(steps).encode() + weights).hexdigest()


@dataclass
class Result:
    """Of all kills of a case."""

    kills: int = 0
    late: int = 0
    """The command had ended before."""
    orphans: int = 0
    slowest_s: float = 0.0
    """Until the last process was gone."""
    broken: list[str] = field(default_factory=list)


class Bench:
    """Runs commands with a temporary folder and a mark of their own."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir()
        self.turn = 0
        self.environment = os.environ | {
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": ":".join(filter(None, sys.path)),
        }

    def start(self, arguments: tuple[str, ...]) -> tuple[subprocess.Popen, str]:
        self.turn += 1
        mark = f"{os.getpid()}.{self.turn}"
        command = [sys.executable, "-m", "bitextile.pipelines.cli.main", *arguments]
        log = (self.folder / "log").open("w")
        with log:
            process = subprocess.Popen(
                command, env=self.environment | {MARK: mark}, stdout=log, stderr=log
            )
        return process, mark

    def run(self, arguments: tuple[str, ...]) -> float:
        """Runs a command to its end; returns the seconds it took."""
        began = time.monotonic()
        process, _ = self.start(arguments)
        if process.wait():
            said = (self.folder / "log").read_text()
            raise BitextileError(f"{' '.join(arguments)} ended with {process.returncode}: {said}")
        return time.monotonic() - began


def marked(mark: str) -> list[int]:
    """Processes with a mark in their environment that have not ended."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                # A zombie has no environment any more.
                if f"{MARK}={mark}".encode() in (place / "environ").read_bytes().split(b"\0"):
                    found.append(int(place.name))
            except OSError:
                continue
    return found


def gone_after(mark: str) -> float:
    """Seconds until no process with the mark is left, or LIMIT_S."""
    began = time.monotonic()
    while marked(mark) and time.monotonic() - began < LIMIT_S:
        time.sleep(0.01)
    return time.monotonic() - began


def left_beside(case: Case) -> list[str]:
    """Names of hidden files beside an output, or in it, that nobody needs any more."""
    places = [case.out.parent, case.out]
    names = [p.name for place in places if place.is_dir() for p in place.iterdir()]
    return [name for name in names if name.startswith(".")]


def kill_once(bench: Bench, case: Case, whole: str, after_s: float, *, replace: bool) -> Result:
    """Starts the command, kills it, looks at what is left, and runs it again."""
    result = Result(kills=1)
    if replace and not case.is_there():
        bench.run(case.arguments)
    if not replace:
        shutil.rmtree(case.out, ignore_errors=True)
    flags = ("--overwrite",) if replace else ()
    process, mark = bench.start((*case.arguments, *flags))
    try:
        process.wait(after_s)
        result.late = 1
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    result.slowest_s = gone_after(mark)
    for pid in marked(mark):
        result.orphans += 1
        os.kill(pid, 9)
    check(result, case, bench, whole)
    return result


def check(result: Result, case: Case, bench: Bench, whole: str) -> None:
    try:
        if case.is_there() and case.digest() != whole:
            result.broken.append("another output than the old or the new one")
        # Absent while it is replaced, which takes two renames: the rerun puts the old one back.
        flags = (case.again,) if case.out.exists() or case.again == "--resume" else ()
        bench.run((*case.arguments, *flags))
        if case.digest() != whole:
            result.broken.append("another digest after the rerun")
    except BitextileError as error:
        result.broken.append(str(error))
    if names := left_beside(case):
        result.broken.append(f"left beside the output: {' '.join(names)}")
    if names := [p.name for p in bench.temporary.iterdir() if not CACHES.match(p.name)]:
        result.broken.append(f"left in the temporary folder: {' '.join(names)}")
        shutil.rmtree(bench.temporary)
        bench.temporary.mkdir()


def world(bench: Bench, recipe: Path) -> None:
    """The datasets that commands start from, and configurations of training."""
    made = bench.folder / "world"
    for command in (
        f"ingest {recipe} --out {made}",
        f"align {made}/pairs --out {made}/aligned",
        f"tokenizer {made}/pairs --vocab-size 1000 --out {made}/tokenizer",
    ):
        bench.run(tuple(command.split()))
    for workers in (0, 2):
        data = [{"objective": "mlm", "dataset": str(made / "pairs")}]
        content = {"tokenizer": str(made / "tokenizer"), "data": data, "workers": workers}
        (made / f"train{workers}.yaml").write_text(yaml.safe_dump(TRAINED | content))


def cases(bench: Bench, recipe: Path) -> list[Case]:
    made, outs = bench.folder / "world", bench.folder / "outs"
    found = []
    for workers in (1, 2):
        for name, arguments, datasets in (
            ("ingest", f"ingest {recipe}", ("pairs", "mono")),
            ("align", f"align {made}/pairs", ("",)),
            ("lexicon", f"lexicon {made}/aligned", ("",)),
            ("exchange", f"exchange {made}/aligned --variants 3", ("",)),
            ("codeswitch", f"codeswitch {made}/aligned --method alignment --variants 3", ("",)),
            ("derive", f"derive {made}/mono --transforms invert", ("",)),
        ):
            out = outs / f"{name}{workers}" / "out"
            command = (*arguments.split(), "--workers", str(workers), "--out", str(out))
            found.append(Case(f"{name}, {workers}", command, out, datasets=datasets))
    for name, arguments in (
        ("tokenizer", f"tokenizer {made}/pairs --vocab-size 1000"),
        ("export", f"export {made}/aligned --format moses"),
    ):
        out = outs / name / "out"
        command = (*arguments.split(), "--out", str(out))
        found.append(Case(f"{name}, 1", command, out, datasets=()))
    for workers in (0, 2):
        out = outs / f"pretrain{workers}" / "out"
        command = ("pretrain", str(made / f"train{workers}.yaml"), "--out", str(out))
        found.append(Case(f"pretrain, {workers} loader workers", command, out, again="--resume"))
    return found


def run_case(bench: Bench, case: Case, kills: int, rng: np.random.Generator) -> bool:
    seconds = bench.run(case.arguments)
    whole, total = case.digest(), Result()
    for turn in range(kills):
        replace = bool(turn % 2)
        once = kill_once(bench, case, whole, rng.uniform(0, seconds), replace=replace)
        total.kills += 1
        total.late += once.late
        total.orphans += once.orphans
        total.slowest_s = max(total.slowest_s, once.slowest_s)
        total.broken += once.broken
    cells = (case.name, f"{seconds:.1f}", total.kills - total.late, total.orphans)
    row = (*cells, f"{total.slowest_s:.2f}", len(total.broken))
    print(f"| {' | '.join(map(str, row))} |", flush=True)
    for sentence in total.broken:
        print(f"  {case.name}: {sentence}", file=sys.stderr, flush=True)
    return not (total.orphans or total.broken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each command")
    parser.add_argument("--only", nargs="*", help="commands")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--threads", type=int, default=1, help="of torch and numba")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        resources.as_file(resources.files("bitextile.pipelines.sample")) as sample,
    ):
        bench = Bench(Path(folder), given.threads)
        recipe = Path(sample) / "recipe.yaml"
        world(bench, recipe)
        print("| command, workers | s undisturbed | killed | orphans | s to end | faults |")
        print("|---|---|---|---|---|---|", flush=True)
        rng, good = np.random.default_rng(given.seed), True
        for case in cases(bench, recipe):
            if not given.only or case.arguments[0] in given.only:
                good &= run_case(bench, case, given.kills, rng)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
