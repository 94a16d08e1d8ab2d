#!/usr/bin/env python
"""Word alignment: error rate, time and memory on the gold sets, beside fast_align and eflomal.

    python tests/benchmarks/align_text.py            # a table
    python tests/benchmarks/align_text.py --json     # the same as JSON lines

The sets are those of ../shared/tools/alignment_sets.py (lower-cased; gold pairs first, training
pairs after), each also as `small`: fitted on its gold pairs alone. Each run is a process of its
own: the compiled functions are loaded from numba's cache first, then `fit` and `apply` on all pairs
are timed. Memory is the growth of the peak while fitting, with the input already read. What
other engines reached is quoted: fast_align and eflomal on the large sets from peers.md (their best
heuristic), eflomal 2.0 on the small ones measured once with the same scorer, one thread.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.align.apply import apply
from bitextile.kernels.align.corpus import list_of_words
from bitextile.kernels.align.fit import fit

SHARED = Path(__file__).resolve().parents[3] / "shared"
SETS = ("hansards-en-fr", "czenali-en-cs", "kftt-ja-en")
PEERS = {
    "hansards-en-fr": {"fast_align": (0.127, 27.5), "eflomal": (0.068, 36.7)},
    "czenali-en-cs": {"fast_align": (0.305, 5.6), "eflomal": (0.212, 11.3)},
    "kftt-ja-en": {"fast_align": (0.629, 3.3), "eflomal": (0.599, 8.3)},
    "hansards-en-fr small": {"eflomal": (0.172, 3.7)},
    "czenali-en-cs small": {"eflomal": (0.228, 16.4)},
    "kftt-ja-en small": {"eflomal": (0.595, 7.9)},
}


@dataclass
class Result:
    """One run: seconds are wall time, memory is peak growth."""

    set: str
    pairs: int
    symmetrize: str
    aer: float
    precision: float
    recall: float
    fit_s: float
    apply_s: float
    cpu_s: float
    memory_mb: float
    bytes_per_pair: float
    threads: int


def read_gold(path):
    """Sure and possible links of each gold pair."""
    rows = []
    for line in path.read_text().splitlines():
        points = [(p, tuple(map(int, p.replace("?", "-").split("-")))) for p in line.split()]
        rows.append(({q for p, q in points if "?" not in p}, {q for _, q in points}))
    return rows


def score(gold, links):
    """Alignment error rate, precision, recall (Och and Ney 2003)."""
    found = [{(x["src"], x["tgt"]) for x in row} for row in links]
    n = sum(map(len, found))
    n_sure = sum(len(sure) for sure, _ in gold)
    in_sure = sum(len(a & sure) for a, (sure, _) in zip(found, gold))
    in_possible = sum(len(a & possible) for a, (_, possible) in zip(found, gold))
    return 1 - (in_sure + in_possible) / (n + n_sure), in_possible / max(n, 1), in_sure / n_sure


def peak_bytes():
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_one(folder, name, *, small, symmetrize, threads):
    """Fits and applies in this process."""
    gold = read_gold(folder / f"{name}.gold")
    sides = []
    for side in ("src", "tgt"):
        lines = (folder / f"{name}.{side}").read_text(encoding="utf-8").splitlines()
        sides.append(list_of_words(lines[: len(gold)] if small else lines))
    tiny = pa.array([["a", "b"]], pa.list_(pa.string()))
    apply(fit(tiny, tiny, n_threads=threads), tiny, tiny, symmetrize=symmetrize)
    before, cpu, start = peak_bytes(), time.process_time(), time.perf_counter()
    model = fit(*sides, n_threads=threads)
    fitted, memory = time.perf_counter(), peak_bytes() - before
    alignment = apply(model, *sides, symmetrize=symmetrize, n_threads=threads)
    applied, cpu = time.perf_counter(), time.process_time() - cpu
    rates = score(gold, alignment.links.slice(0, len(gold)).to_pylist())
    return Result(
        f"{name} small" if small else name,
        len(sides[0]),
        symmetrize,
        *(round(rate, 4) for rate in rates),
        round(fitted - start, 2),
        round(applied - fitted, 2),
        round(cpu, 2),
        round(memory / 1e6, 1),
        round(memory / len(sides[0])),
        threads,
    )


def run_apart(folder, name, *, small, symmetrize, threads):
    """The same in a fresh process, for clean memory figures."""
    call = [sys.executable, __file__, "--one", str(folder), name, "small" if small else "whole"]
    call += ["--symmetrize", symmetrize, "--threads", str(threads)]
    out = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    return Result(**json.loads(out))


def table_row(result):
    """A line of the table, with the other engines' AER (and wall seconds)."""
    peers = PEERS.get(result.set, {})
    quoted = "  ".join(f"{name} {aer:.3f} ({s:.1f} s)" for name, (aer, s) in peers.items())
    return (
        f"{result.set:22s} {result.pairs:7d} {result.aer:.4f} {result.precision:.3f} "
        f"{result.recall:.3f} {result.fit_s:6.2f} {result.apply_s:6.2f} {result.cpu_s:6.2f} "
        f"{result.memory_mb:7.1f} {result.bytes_per_pair:7.0f}   {quoted}"
    )


def main():
    """Runs all sets, or one when called for itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sets", type=Path, help="folder alignment_sets.py wrote; else made anew")
    parser.add_argument("--symmetrize", default="posterior")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    options = {"symmetrize": args.symmetrize, "threads": args.threads}
    if args.one:
        folder, name, size = args.one
        result = run_one(Path(folder), name, small=size == "small", **options)
        print(json.dumps(asdict(result)))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = args.sets or Path(made)
        if not args.sets:
            tool = SHARED / "tools" / "alignment_sets.py"
            if not tool.exists():
                sys.exit(f"{tool} is not there; give the sets by --sets")
            subprocess.run([sys.executable, tool, made], check=True, stdout=subprocess.DEVNULL)
        if not args.json:
            print(
                f"{'set':22s} {'pairs':>7s} {'AER':6s} {'P':5s} {'R':5s} {'fit s':>6s} "
                f"{'apply':>6s} {'CPU s':>6s} {'MB':>7s} {'B/pair':>7s}   quoted: AER (wall)"
            )
        for small in (False, True):
            for name in SETS:
                result = run_apart(folder, name, small=small, **options)
                line = json.dumps(asdict(result)) if args.json else table_row(result)
                print(line, flush=True)


if __name__ == "__main__":
    main()
