"""Which sentences of a generator cannot be translations, whatever they mean.

A generator that fails does so in few ways: nothing, the same words again and again, far too much or
too little, the source once more, another language. Each has a rule and a measured value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import F64, check_share
from bitextile.kernels.filters.length_ratio import LENGTH_RATIO, LengthRatioOptions
from bitextile.kernels.filters.rule import Rows, Rule, apply_rules
from bitextile.kernels.filters.words import MAX_NAME_WORDS, words_per_side
from bitextile.kernels.rejects import Filtered
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.text.scripts import scripts_of_letters
from bitextile.schema.kinds import PSEUDO


@dataclass(frozen=True, kw_only=True)
class TranslationFilterConfig(LengthRatioOptions):
    """Which generated translations are kept; all limits are our choice."""

    max_repetition: float = 0.5
    """Largest share of a sentence's token bigrams that occur in it before. Half is far beyond what
    people write; a parallel decoder that stutters exceeds it."""
    max_copied_source: float = 0.8
    """Largest share of the target's character trigrams that occur in the source. Measured in
    targets of more than 3 words; German and English captions share some 10 %."""
    max_other_script: float = 0.5
    """Largest share of letters that are of no script of the target language."""
    scripts: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata={"option": False})
    """Scripts of each language, as `usual_scripts` finds them in text of it. A language that is
    missing here is not checked; languages of one script are not told apart."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        super().__post_init__()
        for name in ("max_repetition", "max_copied_source", "max_other_script"):
            check_share(f"translation_filter.{name}", getattr(self, name))


@takes_tables
def filter_translations(batch: pa.RecordBatch, *, config: TranslationFilterConfig) -> Filtered:
    """Splits generated rows into rows of PSEUDO and rejects of the first rule they break.

    Args:
        batch: rows of GENERATED.
        config: the limits.
    """
    kept, rejects = apply_rules(batch, TRANSLATION_RULES, config=config)
    return Filtered(kept.select(PSEUDO.schema.names), rejects)


def _count_characters(rows: Rows, config: TranslationFilterConfig) -> F64:
    return _floats(len("".join(text.split())) for text in rows.batch["tgt"].to_pylist())


def _measure_repetition(rows: Rows, config: TranslationFilterConfig) -> F64:
    return _floats(_repetition(tokens) for tokens in rows.batch["tgt_tokens"].to_pylist())


def _measure_copied(rows: Rows, config: TranslationFilterConfig) -> F64:
    sides = zip(rows.batch["src"].to_pylist(), rows.batch["tgt"].to_pylist())
    long_enough = rows.feature(words_per_side)[:, 1] > MAX_NAME_WORDS
    return _floats(_copied(src, tgt) for src, tgt in sides) * long_enough


def _measure_script(rows: Rows, config: TranslationFilterConfig) -> F64:
    targets = zip(rows.batch["tgt"].to_pylist(), rows.batch["tgt_lang"].to_pylist())
    return _floats(_other_script(text, config.scripts.get(lang)) for text, lang in targets)


TRANSLATION_RULES = (
    Rule(
        name="empty",
        version=1,
        doc="Drops translations without a character; the value is the number of characters.",
        measure=_count_characters,
        limit=lambda config: 1.0,
        fails=np.less,
    ),
    Rule(
        name="repetition",
        version=1,
        doc="Drops translations that repeat themselves; the value is the share of such bigrams.",
        measure=_measure_repetition,
        limit=lambda config: config.max_repetition,
    ),
    LENGTH_RATIO,
    Rule(
        name="copied_source",
        version=1,
        doc="Drops translations that repeat the source; the value is the share of trigrams.",
        measure=_measure_copied,
        limit=lambda config: config.max_copied_source,
    ),
    Rule(
        name="wrong_script",
        version=1,
        doc="Drops translations in letters of another language; the value is the share of letters.",
        measure=_measure_script,
        limit=lambda config: config.max_other_script,
    ),
)


def _floats(values: Iterable[float]) -> F64:
    return np.fromiter(values, np.float64)


def _repetition(tokens: list[str]) -> float:
    # a b a b a   bigrams ab ba ab ba   distinct 2 of 4   ->   0.5
    # Bigrams, as single tokens repeat in any sentence ("the ... the").
    bigrams = list(pairwise(tokens))
    return 1 - len(set(bigrams)) / len(bigrams) if bigrams else 0.0


def _copied(src: str, tgt: str) -> float:
    there, made = _trigrams(src), _trigrams(tgt)
    return len(made & there) / len(made) if made else 0.0


def _trigrams(text: str) -> set[str]:
    # casefold, because text is compared here and never written.
    folded = " ".join(text.casefold().split())
    return {folded[i : i + 3] for i in range(len(folded) - 2)}


def _other_script(text: str, scripts: tuple[str, ...] | None) -> float:
    found = scripts_of_letters(text)
    if not found or not scripts:
        return 0.0
    return sum(name not in scripts for name in found) / len(found)
