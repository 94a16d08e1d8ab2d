"""How models generate: the settings of every engine, readable without torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import Language, LanguagePair


@dataclass(frozen=True, kw_only=True)
class CamlmConfig:
    """How a CAMLM model generates pseudo translations."""

    engine: Literal["camlm"] = "camlm"
    """A checkpoint pre-trained here with CAMLM."""
    length_ratios: Mapping[LanguagePair, float] = field(default_factory=dict)
    """Target subwords for a source subword, where no pairs are given to measure it on."""
    top_k: int = 1
    """Draw each token among so many most probable ones. 1 takes the most probable."""
    mask_predict_passes: int = 0
    """Passes of mask-predict after the first. 0 as in ERNIE-M (arXiv 2012.15674, section 3.2)."""
    seed: int = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        if self.top_k < 1 or self.mask_predict_passes < 0:
            raise ConfigError(
                f"top_k is {self.top_k} and mask_predict_passes {self.mask_predict_passes}; "
                "expected at least 1 and 0"
            )


@dataclass(frozen=True, kw_only=True)
class Seq2seqConfig:
    """How an encoder-decoder of transformers translates."""

    engine: Literal["seq2seq"] = "seq2seq"
    """A local encoder-decoder of transformers."""
    beam_size: int = 4
    """Hypotheses that the beam search keeps. 4 is usual for Marian models; not used when `top_k`
    is above 1."""
    top_k: int = 1
    """Draw each token among so many most probable ones. 1 takes the beam search instead."""
    language_codes: Mapping[Language, str] = field(default_factory=dict)
    """The tokenizer's code of a language, where it is not found by the tag, as zh=zho_Hans (NLLB,
    which has two)."""
    seed: int = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        if self.beam_size < 1 or self.top_k < 1:
            raise ConfigError(
                f"beam_size is {self.beam_size} and top_k {self.top_k}; expected at least 1 of each"
            )


@dataclass(frozen=True, kw_only=True)
class Ctranslate2Config:
    """How a model that CTranslate2 has converted translates."""

    engine: Literal["ctranslate2"] = "ctranslate2"
    """Such a model as CTranslate2 has converted."""
    beam_size: int = 4
    """Hypotheses that the beam search keeps. 4 is usual for Marian models."""
    language_codes: Mapping[Language, str] = field(default_factory=dict)
    """The tokenizer's code of a language, where it is not found by the tag, as zh=zho_Hans (NLLB,
    which has two)."""
    seed: int = 0
    """Seed of the draw of target languages. The search itself draws nothing."""

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ConfigError(f"beam_size is {self.beam_size}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class CandidatesConfig:
    """Which switching candidates of a word are kept."""

    languages: tuple[Language, ...]
    """Languages of the candidates. A sentence's own language is left out for it."""
    top_k: int = 10
    """Candidates of a word, at most. The most probable ones (our choice)."""
    min_probability: float = 0.01
    """Least probability of a candidate, 0 to 1. Renormalised over the allowed tokens (our
    choice)."""
    min_cosine: float = 0.0
    """Least cosine between the embeddings of word and candidate, -1 to 1. 0 drops what points away
    from the word, no more, as what is right depends on the model (our choice)."""
    min_count: int = 2
    """Least occurrences of a candidate as a word of its language in the vocabulary data. 2, so that
    no single wrongly tagged sentence decides (our choice)."""

    def __post_init__(self) -> None:
        # NaN is in no range, so these comparisons refuse it too.
        shares = 0 <= self.min_probability <= 1 and -1 <= self.min_cosine <= 1
        if not (self.languages and self.top_k >= 1 and shares and self.min_count >= 1):
            raise ConfigError(
                f"candidates: languages {self.languages}, top_k {self.top_k}, min_probability "
                f"{self.min_probability}, min_cosine {self.min_cosine}, min_count {self.min_count};"
                " expected one at least, at least 1, 0 to 1, -1 to 1, at least 1"
            )
