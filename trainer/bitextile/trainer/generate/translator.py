"""What engines that translate share: a tokenizer with language codes, batches, rows of GENERATED.

    requests --one direction at a time--> token ids --batches, longest first--> tokens, scores

A model of one direction takes no languages; a multilingual one gets them as its tokenizer's codes
(`language_codes`).
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from transformers import AutoTokenizer

from bitextile.kernels.arrays import U64
from bitextile.kernels.backtranslate import GENERATED, TOO_LONG_FOR_MODEL, generated_rows
from bitextile.kernels.model_folder import load_pretrained
from bitextile.kernels.randomness import hash64
from bitextile.kernels.rejects import Filtered, merge_by_row, split_rejects
from bitextile.kernels.tokenizer.text_encoder import TextEncoder
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.language_codes import (
    code_id,
    code_of,
    names_source,
    prefixes_source,
)

C = TypeVar("C")


class Hypothesis(NamedTuple):
    """A translation.

    Attributes:
        tokens: ids, without special ones.
        score: their mean log probability under the model; 0 for no token.
    """

    tokens: list[int]
    score: float


class TranslationBatch(NamedTuple):
    """Sentences of one direction that are translated together.

    Attributes:
        ids: tokens of each source as the model takes them, special ones included.
        keys: [n] 64 bits of the records, for draws.
        lang: target language.
    """

    ids: list[list[int]]
    keys: U64
    lang: str


def load_pretrained_tokenizer(folder: str) -> Any:
    """Returns a folder's tokenizer.

    Raises:
        ConfigError: there is none that transformers can load.
    """
    with warnings.catch_warnings():
        # Marian's recommends sacremoses, which normalises punctuation; our text is normalised.
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        return load_pretrained(AutoTokenizer, folder, expected="tokenizer")


def check_directions(
    tokenizer: Any,
    directions: Collection[tuple[str, str]],
    *,
    codes: Mapping[str, str],
    folder: str,
) -> list[int]:
    """Checks that a model can translate in all directions wanted.

    Args:
        tokenizer: of the model.
        directions: (source, target) languages.
        codes: language tag to code, where the user named one.
        folder: of the model, to name it.

    Returns:
        The tokens of the languages, by tag; none for a model of one direction.

    Raises:
        ConfigError: a language has no code, or several directions are wanted of a model of one.
    """
    told = [tag for _, tag in directions] if prefixes_source(tokenizer) else []
    told = [tag for pair in directions for tag in pair] if names_source(tokenizer) else told
    if told:
        found = {t: code_of(tokenizer, t, given=codes, folder=folder) for t in sorted(set(told))}
        return [code_id(tokenizer, code, tag=t, folder=folder) for t, code in found.items()]
    if len(directions) > 1:
        asked = ", ".join(f"{src} -> {tgt}" for src, tgt in sorted(directions))
        raise ConfigError(f"{folder}: translates one way only, but {asked} are asked for")
    return []


@dataclass(frozen=True, kw_only=True)
class TranslatorEngine(ABC, Generic[C]):
    """A model to translate with, as workers get it.

    Attributes:
        folder: of the model with its tokenizer.
        digest: of its files.
        config: how it translates.
    """

    folder: str
    digest: str
    config: C

    @abstractmethod
    def check(self, directions: Collection[tuple[str, str]]) -> None:
        """Checks what can be wrong before a worker starts.

        Args:
            directions: (source, target) languages that will be requested.

        Raises:
            ConfigError: no such model, a language that it has no code for, or several directions
                for a model of one.
        """

    @abstractmethod
    def load(self) -> "Translator":
        """Returns the model, loaded."""


class Translator(ABC):
    """A loaded model that translates: REQUESTS in, GENERATED out."""

    batch_tokens: int
    """Source tokens, padding included, that are translated together."""
    max_tokens: int
    """Tokens that the model takes on either side."""

    def __init__(self, folder: str, *, generator: str, codes: Mapping[str, str]) -> None:
        """Loads the tokenizer.

        Args:
            folder: of the model.
            generator: what rows call it.
            codes: language tag to the tokenizer's code, where the user named one.
        """
        self.folder = folder
        self.generator = generator
        self.codes = dict(codes)
        self.tokenizer = load_pretrained_tokenizer(folder)
        self.text_encoder: TextEncoder | None = None
        if getattr(self.tokenizer, "is_fast", False):
            self.tokenizer.backend_tokenizer.no_truncation()
            self.tokenizer.backend_tokenizer.no_padding()
            self.text_encoder = TextEncoder(
                self.tokenizer.backend_tokenizer,
                special_ids=self.tokenizer.all_special_ids,
                unknown_id=self.tokenizer.unk_token_id,
            )

    @abstractmethod
    def translate(self, batches: Sequence[TranslationBatch]) -> list[list[Hypothesis]]:
        """Returns a translation of each sentence of each batch."""

    def __call__(self, batch: pa.RecordBatch) -> Filtered:
        """Returns translations, and rejects of sentences too long for the model.

        Args:
            batch: rows of REQUESTS.
        """
        langs = list(zip(*(batch.column(c).to_pylist() for c in ("lang", "tgt_lang"))))
        kept, rejects = [], []
        # Direction by direction: a batch has one source language and one forced beginning.
        for pair in sorted(set(langs)):
            rows = np.flatnonzero([pair == other for other in langs])
            part = batch.take(pa.array(rows))
            ids = self._encode(part.column("text").to_pylist(), *pair)
            lengths = np.asarray([len(i) for i in ids], np.int64)
            fits = lengths <= self.max_tokens
            found = split_rejects(part, fits, rule=TOO_LONG_FOR_MODEL, value=lengths.astype(float))
            fitting = [i for i, fit in zip(ids, fits) if fit]
            kept.append((rows[fits], self._translate_rows(found.kept, fitting, pair[1])))
            rejects.append((rows[~fits], found.rejects))
        return Filtered(merge_by_row(kept, GENERATED), merge_by_row(rejects))

    def forced_prefix(self, lang: str) -> list[int]:
        """Returns the tokens that a translation into a language is made to begin with."""
        return [self._code_id(lang)] if names_source(self.tokenizer) else []

    def _code(self, lang: str) -> str:
        return code_of(self.tokenizer, lang, given=self.codes, folder=self.folder)

    def _code_id(self, lang: str) -> int:
        return code_id(self.tokenizer, self._code(lang), tag=lang, folder=self.folder)

    def max_length(self, ids: Sequence[Sequence[int]]) -> int:
        """Returns how many tokens a translation may have, forced ones included.

        Twice as many as the longest source of a batch and some: what is longer the translation
        filter rejects.
        """
        return min(self.max_tokens, 2 * max(len(i) for i in ids) + 10)

    def _encode(self, texts: list[str], src_lang: str, tgt_lang: str) -> list[list[int]]:
        """Returns the tokens of sources; special tokens that are written in them are text."""
        if not texts:
            return []
        if names_source(self.tokenizer):
            # The tokenizer itself puts the source language's token where its model expects it.
            self.tokenizer.src_lang = self._code(src_lang)
        first = [self._code_id(tgt_lang)] if prefixes_source(self.tokenizer) else []
        if self.text_encoder is None:
            # Marian takes >>fra<< at the beginning for a code, but not behind a space, which
            # SentencePiece removes.
            texts = [f" {text}" if text.startswith(">>") else text for text in texts]
            found = self.tokenizer(texts, truncation=False, split_special_tokens=True)["input_ids"]
            return [[*first, *ids] for ids in found]
        frame = self.tokenizer.backend_tokenizer.encode("a")
        real = [k for k, special in enumerate(frame.special_tokens_mask) if not special]
        before, after = frame.ids[: real[0]], frame.ids[real[-1] + 1 :]
        return [
            [*first, *before, *pieces.ids, *after]
            for pieces in self.text_encoder.encode_batch(texts)
        ]

    def _translate_rows(
        self, requests: pa.RecordBatch, ids: list[list[int]], lang: str
    ) -> pa.RecordBatch:
        """Translates sentences of one direction, longest first."""
        keys = hash64(requests.column("text_id"))
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        buckets = []
        while order:
            # The longest comes first and all are padded to it, so this is the batch's size.
            n = max(1, self.batch_tokens // len(ids[order[0]]))
            buckets.append(order[:n])
            order = order[n:]
        batches = [TranslationBatch([ids[i] for i in rows], keys[rows], lang) for rows in buckets]
        found: dict[int, Hypothesis] = {}
        for rows, hypotheses in zip(buckets, self.translate(batches), strict=True):
            found |= dict(zip(rows, hypotheses, strict=True))
        tokens = [found[i].tokens for i in range(len(ids))]
        return generated_rows(
            requests,
            texts=[self.tokenizer.decode(t) for t in tokens],
            tokens=[self.tokenizer.convert_ids_to_tokens(t) for t in tokens],
            scores=[found[i].score for i in range(len(ids))],
            generator=self.generator,
        )
