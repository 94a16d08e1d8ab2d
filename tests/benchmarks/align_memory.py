#!/usr/bin/env python
"""Memory and time of fitting and applying the statistical aligner to millions of pairs.

    python tests/benchmarks/align_memory.py --pairs 2000000           # a few minutes, 2 threads
    python tests/benchmarks/align_memory.py --pairs 60000 --threads 1

The corpus is en-fr: first the distinct pairs of 8 to 60 words of ../shared/data (Hansards, NTREX),
then pairs made of them. A made pair is the first part of one real pair and the last part of
another, cut at the same share of both sides, so that what stands beside what is new; and words that
real text has once or twice are spelt anew every 100,000 pairs, on both sides alike, so that the
vocabulary goes on growing as that of new text does. Nothing is drawn: pair k is a function of k.

The sides are written as one Arrow file, which a process of its own reads as a caller would, and
which then fits and applies the model to batches of 20,000 pairs. Reported are
the whole process's peak, and its growth per pair above what stood in memory before `fit`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit

SHARED = Path(__file__).resolve().parents[3] / "shared"
WORDS = pa.list_(pa.string())
RARE = 3
BATCH = 20_000
STEP = 100_000
"""Pairs made in one go, and after which rare words are spelt anew."""


def real_pairs():
    """Distinct pairs of 8 to 60 words a side, as lists of words."""
    sys.path.insert(0, str(SHARED / "tools"))
    import alignment_sets as sets

    parallel = SHARED / "data" / "parallel"
    rows = sets.hansards(10**9)
    ntrex = parallel / "ntrex128"
    sides = (ntrex / f"newstest2019-{name}.txt.gz" for name in ("src.eng", "ref.fra"))
    rows += sets.moses(*sides, sets.tok)
    kept, seen = [], set()
    for src, tgt in rows:
        key = (" ".join(src), " ".join(tgt))
        if key not in seen and 8 <= len(src) <= 60 and 8 <= len(tgt) <= 60:
            seen.add(key)
            kept.append((src, tgt))
    return kept


def spliced(pairs, k, rare, generation):
    """Made pair k."""
    (one, two), (three, four) = pairs[k * 7919 % len(pairs)], pairs[k * 104729 % len(pairs)]
    share = (k % 5 + 3) / 10
    src = one[: round(len(one) * share)] + three[round(len(three) * share) :]
    tgt = two[: round(len(two) * share)] + four[round(len(four) * share) :]
    return [
        [f"{w}{generation}" if w in words else w for w in side]
        for side, words in zip((src, tgt), rare)
    ]


def write_corpus(path, n_pairs):
    """Writes the corpus as an Arrow file with a record batch for each STEP pairs."""
    pairs = real_pairs()
    counts = [Counter(w for pair in pairs for w in pair[side]) for side in (0, 1)]
    rare = [{w for w, n in count.items() if n < RARE} for count in counts]
    schema = pa.schema([("src", WORDS), ("tgt", WORDS)])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for first in range(0, n_pairs, STEP):
            rows = range(first, min(first + STEP, n_pairs))
            made = [
                pairs[k] if k < len(pairs) else spliced(pairs, k, rare, first // STEP) for k in rows
            ]
            sides = [pa.array([pair[side] for pair in made], WORDS) for side in (0, 1)]
            writer.write_batch(pa.record_batch(sides, schema))


def memory(name):
    """Bytes of this process: VmRSS, now, or VmHWM, at the peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status has no {name}: this needs Linux")


def run_one(path, threads):
    """Fits and applies in this process; returns the figures."""
    tiny = pa.array([["a", "b"]], WORDS)
    align_pairs(fit(tiny, tiny, n_threads=threads), tiny, tiny)
    with pa.OSFile(path) as source:
        table = pa.ipc.open_file(source).read_all()
    n = table.num_rows
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    start, cpu = time.perf_counter(), time.process_time()
    steps = []

    def say(line):
        steps.append(f"{time.perf_counter() - start:.0f} s {line}")

    model = fit(table["src"], table["tgt"], n_threads=threads, progress=say)
    fitted, fit_cpu, peak = time.perf_counter(), time.process_time() - cpu, memory("VmHWM")
    links = 0
    for first in range(0, n, BATCH):
        batch = (table[side].slice(first, BATCH).combine_chunks() for side in ("src", "tgt"))
        links += len(align_pairs(model, *batch, n_threads=threads).links.flatten())
    done = time.perf_counter()
    return {
        "pairs": n,
        "words_a_pair": [model.statistics[f"{side}_words"] / n for side in ("src", "tgt")],
        "vocabulary": [len(model.src_words), len(model.tgt_words)],
        "entries": len(model.table.tgt),
        "threads": threads,
        "input_bytes_a_pair": round(table.nbytes / n),
        "growth_bytes_a_pair": round((peak - before) / n),
        "peak_gb_fit": round(peak / 1e9, 3),
        "peak_gb": round(memory("VmHWM") / 1e9, 3),
        "fit_s": round(fitted - start, 1),
        "fit_cpu_s": round(fit_cpu, 1),
        "apply_s": round(done - fitted, 1),
        "links": links,
        "digest": model.digest,
        "steps": steps,
    }


def main():
    """Writes the corpus, measures in a process of its own, prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2_000_000)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--corpus", type=Path, help="Arrow file to use, made if it is not there")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run_one(str(args.corpus), args.threads), indent=1))
        return
    with tempfile.TemporaryDirectory() as made:
        corpus = args.corpus or Path(made) / "corpus.arrow"
        if not corpus.exists():
            write_corpus(corpus, args.pairs)
        call = [sys.executable, __file__, "--one", "--corpus", str(corpus)]
        subprocess.run([*call, "--threads", str(args.threads)], check=True)


if __name__ == "__main__":
    main()
