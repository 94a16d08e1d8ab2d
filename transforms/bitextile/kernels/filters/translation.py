"""The gate behind a generator: which of its sentences are no translation whatever they say.

A generator that fails does so in few ways: nothing, the same words again and again, far too much or
too little, the source once more, another language. Each has a rule and a measured value.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import F64
from bitextile.kernels.filters.pairs import apply_rules, estimate_words
from bitextile.kernels.rejects import Filtered
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import PSEUDO

_FEW_WORDS = 3
"""Names and numbers of this length are rightly the same in both languages."""
_USUAL = 0.05
"""Share of a language's letters from which on a script is one of its own."""


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """Limits of the gate; all of them our choice.

    Attributes:
        max_repeated: share of a sentence's token bigrams that stood in it before; half is far
            beyond what people write, and what a parallel decoder that stutters exceeds.
        max_length_ratio: of the longer side to the shorter in words, as in `FilterConfig`.
        length_smoothing: words added to both sides before that.
        max_copied: share of the target's character trigrams that stand in the source, for
            sentences of more than 3 words; German and English captions share some 10 %.
        max_foreign: share of letters that are of no script of the target language.
        scripts: of each language, as `scripts_of` finds them in text of it; a language that is
            missing here is not checked. Languages of one script are not told apart.
    """

    max_repeated: float = 0.5
    max_length_ratio: float = 3.0
    length_smoothing: float = 3.0
    max_copied: float = 0.8
    max_foreign: float = 0.5
    scripts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shares = (self.max_repeated, self.max_copied, self.max_foreign)
        whole = self.max_length_ratio >= 1 and self.length_smoothing >= 0
        if not (whole and all(0 <= share <= 1 for share in shares)):
            raise ConfigError(
                f"gate: max_repeated, max_copied and max_foreign are {shares}, max_length_ratio "
                f"{self.max_length_ratio}, length_smoothing {self.length_smoothing}; expected "
                "0 to 1, at least 1, at least 0"
            )


def gate(batch: pa.RecordBatch, *, config: GateConfig) -> Filtered:
    """Parts generated rows into rows of PSEUDO and rejects of the first rule they break.

    Rules: `empty/1` (value: characters that are not white space), `repeated/1` (share of bigrams),
    `length_ratio/1` (the ratio), `copy/1` (share of trigrams), `wrong_language/1` (share of
    letters).

    Args:
        batch: rows of GENERATED.
        config: the limits.
    """
    src, tgt = batch.column("src"), batch.column("tgt")
    sides = list(zip(src.to_pylist(), tgt.to_pylist()))
    words = np.stack([estimate_words(src), estimate_words(tgt)])
    smooth = words + config.length_smoothing
    ratio = smooth.max(0) / np.maximum(smooth.min(0), 1e-9)
    full = _floats(len("".join(t.split())) for _, t in sides)
    again = _floats(_repeated(tokens) for tokens in batch.column("tgt_tokens").to_pylist())
    copied = _floats(_copied(s, t) for s, t in sides) * (words[1] > _FEW_WORDS)
    langs = batch.column("tgt_lang").to_pylist()
    foreign = _floats(_foreign(t, config.scripts.get(lang)) for (_, t), lang in zip(sides, langs))
    rules = [
        ("empty/1", full == 0, full),
        ("repeated/1", again > config.max_repeated, again),
        ("length_ratio/1", ratio > config.max_length_ratio, ratio),
        ("copy/1", copied > config.max_copied, copied),
        ("wrong_language/1", foreign > config.max_foreign, foreign),
    ]
    as_pairs = batch.rename_columns(["pair_id", *batch.schema.names[1:]])
    kept, rejects = apply_rules(as_pairs, rules)
    columns = ["pair_id", *PSEUDO.schema.names[1:]]
    return Filtered(
        pa.RecordBatch.from_arrays([kept.column(c) for c in columns], schema=PSEUDO.schema), rejects
    )


def scripts_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Returns the scripts that make up at least 5 % of the letters of texts, by name.

    >>> scripts_of(["Ein Widerstand von rund", "220 Ω"]), scripts_of(["私は John です"])
    (('LATIN',), ('CJK', 'HIRAGANA', 'LATIN'))
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_scripts(text))
    least = _USUAL * counts.total()
    return tuple(sorted(name for name, n in counts.items() if n > least))


def _floats(values: Iterable[float]) -> F64:
    return np.fromiter(values, np.float64)


def _repeated(tokens: list[str]) -> float:
    bigrams = list(pairwise(tokens))
    return 1 - len(set(bigrams)) / len(bigrams) if bigrams else 0.0


def _copied(src: str, tgt: str) -> float:
    there, made = _trigrams(src), _trigrams(tgt)
    return len(made & there) / len(made) if made else 0.0


def _trigrams(text: str) -> set[str]:
    folded = " ".join(text.casefold().split())
    return {folded[i : i + 3] for i in range(len(folded) - 2)}


def _foreign(text: str, scripts: tuple[str, ...] | None) -> float:
    found = _scripts(text)
    if not found or not scripts:
        return 0.0
    return sum(name not in scripts for name in found) / len(found)


def _scripts(text: str) -> list[str]:
    return [name for name in map(_script, text) if name]


@lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """Returns the script of a letter, as the Unicode name of it begins; "" for anything else."""
    if unicodedata.category(character) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    return unicodedata.name(character, "").partition(" ")[0]
