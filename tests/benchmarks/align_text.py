#!/usr/bin/env python
"""Word aligners against gold, all in one run: ours, fast_align and eflomal; AER, time, memory.

    python tests/benchmarks/align_text.py --fast-align DIR --eflomal DIR   # 15 min on two cores
    python tests/benchmarks/align_text.py --runs 1                         # ours alone, 2 min

The sets are those of ../shared/tools/alignment_sets.py (lower-cased; gold pairs first, training
pairs after), each also as `small`: its gold pairs alone; or every NAME.src, NAME.tgt, NAME.gold in
the folder given by --sets. The engines take turns, --runs times; given are medians.

Each engine is timed as one who types commands sees it, from lines `a b ||| c d` to symmetrised
Pharaoh lines: `bitextile align-text`, interpreter start included; `fast_align -d -o -v` and again
with -r, then atools; `eflomal-align` with its own defaults, then atools. Of the other two the best
heuristic of intersect, grow-diag and grow-diag-final-and counts, picked with the gold at hand; ours
has the one default. All are held to --cores. CPU seconds and peak memory are those wait4 tells:
the memory is that of an engine's largest process.

Last comes what no command shows: `fit` and `apply` in a fresh process, compiled functions loaded,
with the growth of its peak while fitting and the speed of `apply` on one thread.

DIR of --fast-align holds fast_align and atools, that of --eflomal eflomal-align; atools does for
both, so eflomal needs --fast-align too. What is not given is left out.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

SHARED = Path(__file__).resolve().parents[3] / "shared"
HEURISTICS = ("intersect", "grow-diag", "grow-diag-final-and")
BITEXTILE = [sys.executable, "-m", "bitextile.pipelines.cli.main"]


@dataclass(frozen=True)
class Cost:
    """What one or more processes took; megabytes are of the largest."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    mb: float = 0.0

    def __add__(self, other):
        most = max(self.mb, other.mb)
        return Cost(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s, most)


@dataclass(frozen=True)
class Result:
    """One engine on one set, whole commands."""

    set: str
    pairs: int
    engine: str
    symmetrize: str
    aer: float
    precision: float
    recall: float
    cost: Cost


def read_gold(path):
    """Sure and possible links of each gold pair."""
    rows = []
    for line in path.read_text().splitlines():
        points = [(p, tuple(map(int, p.replace("?", "-").split("-")))) for p in line.split()]
        rows.append(({q for p, q in points if "?" not in p}, {q for _, q in points}))
    return rows


def score(gold, found):
    """Alignment error rate, precision, recall (Och and Ney 2003), as ../shared/tools/aer.py."""
    n = sum(len(links) for links, _ in zip(found, gold))
    n_sure = sum(len(sure) for sure, _ in gold)
    in_sure = sum(len(a & sure) for a, (sure, _) in zip(found, gold))
    in_possible = sum(len(a & possible) for a, (_, possible) in zip(found, gold))
    return 1 - (in_sure + in_possible) / (n + n_sure), in_possible / max(n, 1), in_sure / n_sure


def read_links(path):
    """The links of each line of a Pharaoh file."""
    with open(path) as lines:
        return [{tuple(map(int, p.split("-"))) for p in line.split()} for line in lines]


# A child's peak is never told below that of the process it was forked from, so a small one forks.
SPAWN = """
import json, os, sys, time
told, *command = sys.argv[1:]
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
wall = time.perf_counter() - start
figures = [wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3]
with open(told, "w") as file:
    json.dump(figures, file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(command, *, out=None, threads=2):
    """Runs a command to its end; its output goes to a file."""
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = list(map(str, command))
    with tempfile.TemporaryDirectory() as place, open(out or os.devnull, "wb") as stdout:
        call = [sys.executable, "-I", "-S", "-c", SPAWN, f"{place}/told", *command]
        done = subprocess.run(call, stdout=stdout, stderr=subprocess.PIPE, env=env, check=False)
        if done.returncode:
            sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr[-400:].decode()}")
        return Cost(*json.loads(Path(place, "told").read_text()))


class Ours:
    """`bitextile align-text`, fitted on the lines it aligns."""

    name = "bitextile"

    def align(self, text, place, threads):
        """Yields symmetrisation, file of links and cost."""
        command = [*BITEXTILE, "align-text", "-i", text, "-o", f"{place}.ours"]
        yield "posterior", f"{place}.ours", run([*command, "--threads", threads], threads=threads)


class Applied:
    """`bitextile align-text --model`, with a model fitted on the same lines before."""

    name = "bitextile, apply only"

    def align(self, text, place, threads):
        """Yields symmetrisation, file of links and cost."""
        command = [*BITEXTILE, "align-text", "-i", text, "-o", f"{place}.applied"]
        command += ["--threads", threads]
        if not Path(f"{place}.model").exists():
            run([*command, "--save-model", f"{place}.model"])
        command += ["--model", f"{place}.model"]
        yield "posterior", f"{place}.applied", run(command, threads=threads)


class FastAlign:
    """Both directions one after the other, each on all cores, then atools."""

    name = "fast_align"

    def __init__(self, folder):
        self.folder = folder

    def align(self, text, place, threads):
        """Yields symmetrisation, file of links and cost, of each heuristic."""
        forward, reverse = f"{place}.fast.f", f"{place}.fast.r"
        command = [self.folder / "fast_align", "-i", text, "-d", "-o", "-v"]
        cost = run(command, out=forward, threads=threads)
        cost += run([*command, "-r"], out=reverse, threads=threads)
        yield from symmetrised(self.folder, forward, reverse, cost)


class Eflomal:
    """Both directions in its one call, then atools."""

    name = "eflomal"

    def __init__(self, folder, atools):
        self.folder = folder
        self.atools = atools

    def align(self, text, place, threads):
        """Yields symmetrisation, file of links and cost, of each heuristic."""
        forward, reverse = f"{place}.eflomal.f", f"{place}.eflomal.r"
        command = [self.folder / "eflomal-align", "--overwrite", "-i", text]
        cost = run([*command, "-f", forward, "-r", reverse], threads=threads)
        yield from symmetrised(self.atools, forward, reverse, cost)


def symmetrised(folder, forward, reverse, cost):
    """Yields each heuristic of atools with the cost of getting there."""
    for heuristic in HEURISTICS:
        out = f"{forward}.{heuristic}"
        command = [folder / "atools", "-i", forward, "-j", reverse, "-c", heuristic]
        yield heuristic, out, cost + run(command, out=out)


def joined(folder, name, n_pairs, place):
    """Writes `a b ||| c d` lines for the engines and returns their file and number."""
    sides = [(folder / f"{name}.{side}").read_text(encoding="utf-8") for side in ("src", "tgt")]
    rows = list(zip(*(side.split("\n")[:-1][:n_pairs] for side in sides)))
    text = Path(f"{place}.txt")
    text.write_text("".join(f"{a} ||| {b}\n" for a, b in rows), encoding="utf-8")
    return text, len(rows)


def measure(engine, text, pairs, gold, place, *, name, threads):
    """One run of an engine on a set: the result of its best heuristic."""
    found = []
    for heuristic, links, cost in engine.align(text, place, threads):
        rates = score(gold, read_links(links))
        found.append(Result(name, pairs, engine.name, heuristic, *rates, cost))
    return min(found, key=lambda result: result.aer)


def median_of(runs):
    """The median of each figure; eflomal's links differ from run to run."""
    costs = [result.cost for result in runs]
    middle = {
        field: statistics.median(getattr(result, field) for result in runs)
        for field in ("aer", "precision", "recall")
    }
    cost = Cost(*(statistics.median(c) for c in zip(*((c.wall_s, c.cpu_s, c.mb) for c in costs))))
    return replace(runs[0], **middle, cost=cost)


HEAD = (
    f"{'set':22s} {'pairs':>7s} {'engine':22s} {'AER':>6s} {'P':>5s} {'R':>5s} {'wall s':>7s} "
    f"{'CPU s':>7s} {'MB':>6s}  symmetrised"
)


def row(result):
    """A line of the table."""
    cost = result.cost
    return (
        f"{result.set:22s} {result.pairs:7d} {result.engine:22s} {result.aer:6.4f} "
        f"{result.precision:5.3f} {result.recall:5.3f} {cost.wall_s:7.2f} {cost.cpu_s:7.2f} "
        f"{cost.mb:6.0f}  {result.symmetrize}"
    )


def ratios(results):
    """What the other engines take and miss, relative to ours."""
    ours, *others = (result for result in results if result.engine != Applied.name)
    return "; ".join(
        f"{other.engine}: {other.cost.wall_s / ours.cost.wall_s:.1f} x our wall time, "
        f"{other.cost.cpu_s / ours.cost.cpu_s:.1f} x CPU, our AER is "
        f"{ours.aer / other.aer:.3f} of its"
        for other in others
    )


def summary(rows):
    """Our AER relative to the others', mean over sets; `rows` are the results of each set."""
    others = [result.engine for result in rows[0] if not result.engine.startswith(Ours.name)]
    lines = []
    for engine in others:
        found = [{result.engine: result for result in results} for results in rows]
        aer = [by[Ours.name].aer / by[engine].aer for by in found]
        wall = [by[engine].cost.wall_s / by[Ours.name].cost.wall_s for by in found]
        mean, low = statistics.mean(aer), min(wall)
        lines.append(
            f"our AER is {mean:.3f} of {engine}'s (mean), our wall time 1/{low:.1f} or less"
        )
    return "; ".join(lines)


def compiling(threads):
    """The first call with an empty cache: seconds of a call on four lines."""
    with tempfile.TemporaryDirectory() as empty:
        text = Path(empty, "text")
        text.write_text("das haus ||| the house\ndas buch ||| the book\n" * 2)
        command = [*BITEXTILE, "align-text", "-i", text, "-o", f"{empty}/out", "--threads", threads]
        before = os.environ.get("NUMBA_CACHE_DIR")
        os.environ["NUMBA_CACHE_DIR"] = f"{empty}/cache"
        try:
            first, second = (run(command) for _ in range(2))
        finally:
            os.environ.pop("NUMBA_CACHE_DIR")
            if before is not None:
                os.environ["NUMBA_CACHE_DIR"] = before
    return first, second


def inside(folder, name, *, threads):
    """Fits and applies in this process, which imports what it measures."""
    import pyarrow as pa

    from bitextile.kernels.align.corpus import split_words
    from bitextile.kernels.align.hmm.decode import align_pairs
    from bitextile.kernels.align.hmm.fit import fit

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    sides = []
    for side in ("src", "tgt"):
        lines = (folder / f"{name}.{side}").read_text(encoding="utf-8").split("\n")[:-1]
        sides.append(split_words(lines))
    tiny = pa.array([["a", "b"]], pa.list_(pa.string()))
    align_pairs(fit(tiny, tiny, n_threads=threads), tiny, tiny, n_threads=threads)
    before, start = peak(), time.perf_counter()
    model = fit(*sides, n_threads=threads)
    fitted, memory = time.perf_counter() - start, peak() - before
    start = time.perf_counter()
    align_pairs(model, *sides, n_threads=threads)
    applied, start = time.perf_counter() - start, time.perf_counter()
    align_pairs(model, *sides, n_threads=1)
    alone, n = time.perf_counter() - start, len(sides[0])
    return {
        "set": name,
        "fit_s": fitted,
        "apply_s": applied,
        "fit_mb": memory / 1e6,
        "fit_bytes_per_pair": memory / n,
        "words_per_side": sum(len(side.flatten()) for side in sides) / 2 / n,
        "apply_pairs_per_s_one_thread": n / alone,
    }


def inside_apart(folder, name, *, threads):
    """The same in a fresh process."""
    call = [sys.executable, __file__, "--one", str(folder), name, "--cores", str(threads)]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def engines_of(args):
    """The engines that are there; a line for each that is not."""
    engines = [Ours(), Applied()]
    if args.fast_align:
        engines.append(FastAlign(args.fast_align))
    else:
        print("fast_align: not given (--fast-align), left out", file=sys.stderr)
    if args.eflomal and args.fast_align:
        engines.append(Eflomal(args.eflomal, args.fast_align))
    else:
        print("eflomal: not given (--eflomal and --fast-align), left out", file=sys.stderr)
    return engines


def compare(folder, names, engines, args):
    """Prints a table of whole commands; each set's rows as soon as they are known."""
    tell = sys.stderr if args.json else sys.stdout
    print(HEAD, file=tell)
    for small in (False, True):
        rows = []
        for name in names:
            gold = read_gold(folder / f"{name}.gold")
            label = f"{name} small" if small else name
            with tempfile.TemporaryDirectory() as work:
                place = f"{work}/x"
                text, pairs = joined(folder, name, len(gold) if small else None, place)
                options = {"name": label, "threads": args.cores}
                runs = [
                    [measure(e, text, pairs, gold, place, **options) for e in engines]
                    for _ in range(args.runs)
                ]
            results = [median_of(same) for same in zip(*runs)]
            for result in results:
                print(json.dumps(asdict(result)) if args.json else row(result), flush=True)
            print(f"    {ratios(results)}", file=tell, flush=True)
            rows.append(results)
        size = "gold text alone" if small else "whole sets"
        print(f"{size}: {summary(rows)}", file=tell, flush=True)


def show_inside(folder, names, args):
    """Prints what fit and apply do in a process that runs already."""
    for name in names:
        found = inside_apart(folder, name, threads=args.cores)
        if args.json:
            print(json.dumps(found), flush=True)
            continue
        print(
            f"{name:22s} fit {found['fit_s']:.2f} s, apply {found['apply_s']:.2f} s; fitting takes "
            f"{found['fit_mb']:.0f} MB more, {found['fit_bytes_per_pair']:.0f} bytes a pair of "
            f"{found['words_per_side']:.0f} words a side; apply "
            f"{found['apply_pairs_per_s_one_thread']:,.0f} pairs/s on one thread",
            flush=True,
        )
    first, second = compiling(args.cores)
    line = "; ".join(
        f"{name} call of four lines {cost.wall_s:.1f} s, {cost.cpu_s:.1f} s CPU"
        for name, cost in (("the first", first), ("the second", second))
    )
    print(json.dumps({"compiling": line}) if args.json else line)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast-align", type=Path, help="folder with fast_align and atools")
    parser.add_argument("--eflomal", type=Path, help="folder with eflomal-align")
    parser.add_argument("--sets", type=Path, help="folder of sets; else those of ../shared")
    parser.add_argument("--only", action="append", help="name of a set; repeatable")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    """Runs all sets, or one when called for itself."""
    args = arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    if args.one:
        print(json.dumps(inside(Path(args.one[0]), args.one[1], threads=args.cores)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.sets or Path(made)
        if not args.sets:
            tool = SHARED / "tools" / "alignment_sets.py"
            if not tool.exists():
                sys.exit(f"{tool} is not there; give the sets by --sets")
            subprocess.run([sys.executable, tool, made], check=True, stdout=subprocess.DEVNULL)
        names = sorted(path.stem for path in folder.glob("*.gold") if ".small" not in path.name)
        names = args.only or names
        for name in names:  # compiled functions and files come into their caches
            text, _ = joined(folder, name, 50, f"{made}/{name}.warm")
            run([*BITEXTILE, "align-text", "-i", text])
        compare(folder, names, engines_of(args), args)
        show_inside(folder, names, args)


if __name__ == "__main__":
    main()
