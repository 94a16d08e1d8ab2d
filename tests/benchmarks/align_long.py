#!/usr/bin/env python
"""What long sentences cost: time of `apply` a word and a cell, by the length of a sentence.

    python tests/benchmarks/align_long.py --sets DIR    # DIR: ../shared/tools/alignment_sets.py

Fitted on 20,000 pairs of Hansards; applied, on one thread, to the same pairs, joined end to end up
to a length. A cell is a source and a target word of one sentence pair, seen in both directions.
"""

import argparse
import time
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit

NAME = "hansards-en-fr"
GOLD = 447
WORDS = 60_000
"""Source words aligned at each length."""


def pairs_of(folder):
    """Pairs of word lists."""
    sides = (folder / f"{NAME}.{side}" for side in ("src", "tgt"))
    sides = [side.read_text(encoding="utf-8").splitlines() for side in sides]
    return [(a.split(), b.split()) for a, b in zip(*sides)][GOLD : GOLD + 20_000]


def joined(pairs, longest):
    """Pairs put end to end while neither side exceeds `longest` words."""
    rows, src, tgt, words = [], [], [], 0
    for a, b in pairs:
        if src and max(len(src) + len(a), len(tgt) + len(b)) > longest:
            rows.append((src, tgt))
            words += len(src)
            src, tgt = [], []
        if words > WORDS:
            break
        if max(len(a), len(b)) <= longest:
            src, tgt = src + a, tgt + b
    return rows


def lists(rows):
    """The sides as `fit` and `apply` take them."""
    return [pa.array([row[side] for row in rows], pa.list_(pa.string())) for side in (0, 1)]


def main():
    """Prints a line per length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, required=True)
    pairs = pairs_of(parser.parse_args().sets)
    model = fit(*lists(pairs))
    print(f"{'longest':>7s} {'pairs':>6s} {'words':>6s} {'us a word':>9s} {'ns a cell':>9s}")
    for longest in (20, 50, 100, 250, 500, 1000):
        rows = joined(pairs, longest)
        sides = lists(rows)
        start = time.process_time()
        align_pairs(model, *sides, n_threads=1)
        spent = time.process_time() - start
        words = sum(len(src) for src, _ in rows)
        cells = sum(len(src) * len(tgt) for src, tgt in rows)
        a_word, a_cell = spent / words * 1e6, spent / cells * 1e9
        print(f"{longest:7d} {len(rows):6d} {words:6d} {a_word:9.2f} {a_cell:9.1f}")


if __name__ == "__main__":
    main()
