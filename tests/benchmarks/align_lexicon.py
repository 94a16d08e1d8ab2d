#!/usr/bin/env python
"""What a dictionary as a prior does to the alignment error rate, with little text and with much.

    python tests/benchmarks/align_lexicon.py --sets DIR    # DIR: ../shared/tools/alignment_sets.py

Each set is fitted without and with the MUSE dictionary of ../shared/data, each entry counting as
--weight links; `small` is fitted on the gold pairs alone.
"""

import argparse
import gzip
import sys
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.align.corpus import split_words
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit

SHARED = Path(__file__).resolve().parents[3] / "shared"
MUSE = SHARED / "data" / "dictionaries" / "muse"
SETS = {
    "hansards-en-fr": ("en-fr.cosda-fr2.txt.gz", None, False),
    "czenali-en-cs": ("en-cs.dict.gz", "@", True),
    "kftt-ja-en": ("en-ja.cosda-jp2.txt.gz", "\t", True),
}
"""Dictionary, its separator, and whether its first (for ja: the English) side is the target."""


def dictionary(name, separator, turned, weight):
    """The entries of one word on either side, as `fit` takes them."""
    lines = gzip.decompress((MUSE / name).read_bytes()).decode().splitlines()
    rows = [[x.strip() for x in line.split(separator)] for line in lines]
    rows = [r for r in rows if len(r) == 2 and not any(" " in x for x in r)]
    src, tgt = zip(*(reversed(r) if turned else r for r in rows))
    return pa.table({"src": src, "tgt": tgt, "weight": [weight] * len(rows)})


def main():
    """Prints a line for each set and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--weight", type=float, default=1.0)
    args = parser.parse_args()
    sys.path.insert(0, str(SHARED / "tools"))
    from aer import gold as gold_of

    print(f"{'set':22s} {'pairs':>6s} {'entries used':>12s} {'AER without':>11s} {'with':>6s}")
    for small in (True, False):
        for name, known in SETS.items():
            gold = gold_of(args.sets / f"{name}.gold")
            lines = [
                (args.sets / f"{name}.{side}").read_text(encoding="utf-8").splitlines()
                for side in ("src", "tgt")
            ]
            sides = [split_words(x[: len(gold)] if small else x) for x in lines]
            models = [fit(*sides, lexicon=x) for x in (None, dictionary(*known, args.weight))]
            first = [side.slice(0, len(gold)) for side in sides]
            rates = [
                error_rate(gold, align_pairs(model, *first).links.to_pylist()) for model in models
            ]
            used = models[1].statistics["lexicon"]["used"]
            size = f"{name} small" if small else name
            print(f"{size:22s} {len(sides[0]):6d} {used:12d} {rates[0]:11.4f} {rates[1]:6.4f}")


def error_rate(gold, links):
    """Och and Ney 2003."""
    found = [{(x["src"], x["tgt"]) for x in row} for row in links]
    hits = sum(len(a & s) + len(a & p) for a, (s, p) in zip(found, gold))
    return 1 - hits / (sum(map(len, found)) + sum(len(s) for s, _ in gold))


if __name__ == "__main__":
    main()
