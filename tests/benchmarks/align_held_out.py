#!/usr/bin/env python
"""Alignment sets on which nothing was chosen: other languages, other text, other direction.

    python tests/benchmarks/align_held_out.py DIR
    python tests/benchmarks/align_text.py --sets DIR --fast-align DIR --eflomal DIR --runs 1

Writes to DIR, in the form that ../shared/tools/alignment_sets.py writes (NAME.src, NAME.tgt,
NAME.gold; gold pairs first, lower-cased):

- sample-en-de, sample-en-zh: the hand-made gold of the embedded sample (70 and 37 pairs, so a point
  of AER is a few links) and its other sentences, cut into words by the segmenter that `align` uses;
- sample-en-de+multi30k, sample-en-zh+tatoeba: the same gold, and text of ../shared/data beside it;
- swapped-*: the three sets of alignment_sets.py, sides exchanged: the same text, only a check that
  no side is favoured.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.text.segment import cut_words, segment

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "pipelines" / "bitextile" / "pipelines" / "sample"
TOOLS = REPOSITORY.parent / "shared" / "tools"
PARALLEL = REPOSITORY.parent / "shared" / "data" / "parallel"


def cut(text, spans):
    """The words of a text, lower-cased."""
    return [text[begin:end].lower() for begin, end in spans]


def words(texts, lang):
    """The same of texts without spans."""
    texts = pa.array(texts, pa.string())
    rows = cut_words(texts, segment(texts, lang)).to_pylist()
    return [[word.lower() for word in row] for row in rows]


def sample(lang):
    """The sample's gold pairs with English, and its other pairs."""
    lines = (SAMPLE / f"gold.en-{lang}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    gold = [
        (
            cut(row["src"], row["src_spans"]),
            cut(row["tgt"], row["tgt_spans"]),
            sorted([(*p, True) for p in row["sure"]] + [(*p, False) for p in row["possible"]]),
        )
        for row in rows
    ]
    inside = {row["id"] for row in rows}
    head, *lines = (SAMPLE / "sentences.tsv").read_text(encoding="utf-8").splitlines()
    column = head.split("\t").index(lang)
    others = [cells for cells in (line.split("\t") for line in lines) if cells[0] not in inside]
    english, foreign = ([cells[k] for cells in others] for k in (1, column))
    return gold, list(zip(words(english, "en"), words(foreign, lang)))


def write_samples(sets, out):
    """Writes the sample's sets, each alone and with more text."""
    gold, pairs = sample("de")
    more = PARALLEL / "multi30k"
    more = sets.moses(more / "train.en.gz", more / "train.de.gz", sets.tok)
    sets.write(out, "sample-en-de", gold, pairs)
    sets.write(out, "sample-en-de+multi30k", gold, pairs + more)
    gold, pairs = sample("zh")
    lines = sets.lines(PARALLEL / "tatoeba_manythings" / "cmn.txt.gz")
    english, chinese = zip(*(line.split("\t")[:2] for line in lines))
    more = list(zip(words(english, "en"), words(chinese, "zh")))
    sets.write(out, "sample-en-zh", gold, pairs)
    sets.write(out, "sample-en-zh+tatoeba", gold, pairs + more)


def turned(line):
    """A line of gold links with the sides exchanged."""
    links = (re.fullmatch(r"(\d+)([-?])(\d+)", link).groups() for link in line.split())
    points = sorted((int(j), int(i), sign) for i, sign, j in links)
    return " ".join(f"{j}{sign}{i}" for j, i, sign in points)


def write_swapped(sets, out):
    """Writes the sets of alignment_sets.py the other way round."""
    with tempfile.TemporaryDirectory() as made:
        sets.main(made)
        for path in sorted(Path(made).glob("*.gold")):
            corpus, src, tgt = path.stem.rsplit("-", 2)
            name = f"swapped-{corpus}-{tgt}-{src}"
            path.with_suffix(".tgt").rename(out / f"{name}.src")
            path.with_suffix(".src").rename(out / f"{name}.tgt")
            lines = path.read_text().splitlines()
            (out / f"{name}.gold").write_text("".join(turned(line) + "\n" for line in lines))
            print(name, "gold", len(lines))


def main():
    """Writes all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the sets")
    out = parser.parse_args().out
    if not TOOLS.exists():
        sys.exit(f"{TOOLS} is not there")
    sys.path.insert(0, str(TOOLS))
    import alignment_sets as sets

    out.mkdir(parents=True, exist_ok=True)
    write_samples(sets, out)
    write_swapped(sets, out)


if __name__ == "__main__":
    main()
