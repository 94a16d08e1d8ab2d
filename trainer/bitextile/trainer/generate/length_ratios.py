"""How many subwords of one language a subword of another becomes.

A checkpoint carries no ratios: they belong to the texts as much as to the tokenizer.
"""

from collections.abc import Sequence

from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED, EXCHANGE, PAIRS
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.data.tokens import Tokenizer

_SAMPLE_PAIRS = 10_000
"""Pairs of a language pair that a ratio is measured on: the first in file order, which is that of
hashed ids, so a sample; over 10,000 captions the standard error of the ratio is below 1 %."""

Ratio = tuple[str, str, float]
"""Source language, target language, target subwords for a source subword."""


def measure_ratios(tokenizer: Tokenizer, pairs: Sequence[str]) -> dict[tuple[str, str], float]:
    """Returns for each pair of languages, both ways, target subwords for a source subword.

    Args:
        tokenizer: counts the subwords.
        pairs: folders of datasets of kind pairs, aligned or exchange.
    """
    subwords: dict[tuple[str, str], int] = {}
    for path in pairs:
        dataset = open_dataset(path, (PAIRS, ALIGNED, EXCHANGE))
        for key in dataset.keys:
            columns = ("src_lang", "src", "tgt_lang", "tgt")
            rows = split_rows(dataset, key, columns, split=None, limit=_SAMPLE_PAIRS)
            if rows is None:
                continue
            for side, other in (("src", "tgt"), ("tgt", "src")):
                # By row: a dataset of pairs may hold a language pair either way round.
                tags = rows.column(f"{side}_lang").to_pylist()
                others = rows.column(f"{other}_lang").to_pylist()
                sides = tokenizer.encode(rows.column(side).to_pylist())
                for tag, far, s in zip(tags, others, sides):
                    subwords[tag, far] = subwords.get((tag, far), 0) + len(s.ids)
    return {
        (src, tgt): round(subwords[tgt, src] / n, 4)
        for (src, tgt), n in sorted(subwords.items())
        if n and subwords.get((tgt, src))
    }
