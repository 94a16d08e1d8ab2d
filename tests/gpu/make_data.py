#!/usr/bin/env python
"""Writes what check.py reads: one dataset of each kind and a tokenizer.

    python tests/gpu/make_data.py DATA                                       # the embedded sample
    python tests/gpu/make_data.py DATA --recipe R.yaml --vocabulary 16000    # corpora of one's own
    python tests/gpu/make_data.py DATA --recipe R.yaml --large-tokenizer XLM-R-FOLDER

A recipe needs `bitext`, of English and German among others, and `mono`. Apache Beam is needed here,
and not where check.py runs.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))

from curves import RECIPE, write_pseudo

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer


def make_data(root: Path, recipe: Path, vocabulary: int) -> None:
    """Writes pairs, mono, aligned, lexicon, pseudo and tokenizer into a folder."""
    options = RunOptions(workers=1)
    ingest(str(recipe), str(root), options=options)
    pairs, aligned = str(root / "pairs"), str(root / "aligned")
    align(pairs, aligned, config=HmmConfig(segmenter="characters"), options=options)
    entries = LexiconConfig(min_count=1)
    lexicon(aligned, str(root / "lexicon"), config=entries, options=options)
    pieces = TokenizerConfig(vocab_size=vocabulary)
    train_tokenizer([pairs, str(root / "mono")], str(root / "tokenizer"), config=pieces)
    write_pseudo(root)


def main() -> None:
    """Reads the arguments and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", type=Path, help="bitext and mono of the corpora")
    parser.add_argument("--vocabulary", type=int, default=700, help="pieces of the tokenizer")
    parser.add_argument("--large-tokenizer", type=Path, help="for the timed runs, such as XLM-R's")
    given = parser.parse_args()
    given.data.mkdir(parents=True)
    recipe = given.recipe
    if recipe is None:
        recipe = given.data / "recipe.yaml"
        recipe.write_text(RECIPE, encoding="utf-8")
    make_data(given.data, recipe, given.vocabulary)
    if given.large_tokenizer:
        folder = given.data / "tokenizer-large"
        folder.mkdir()
        for path in given.large_tokenizer.glob("tokenizer*.json"):
            shutil.copy(path, folder)


if __name__ == "__main__":
    main()
