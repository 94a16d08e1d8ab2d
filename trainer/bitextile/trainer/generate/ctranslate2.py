"""Pseudo translations by a model that CTranslate2 has converted: on a CPU, often quantised.

    ct2-transformers-converter --model MODEL --output_dir FOLDER --copy_files <tokenizer's files>

A folder is what the converter writes (model.bin, config.json, vocabularies), with the tokenizer of
the model it was made from, as transformers loads it: CTranslate2 takes pieces and knows no text. A
multilingual model is told the source language by its tokenizer and the target language by the first
token of the translation, as in `seq2seq`.

Beam search only: CTranslate2 samples from a generator of each thread, so that what a sentence gets
would depend on what its worker did before. The score is that of `seq2seq`, the mean log probability
of the tokens from a pass over the finished sentences, not CTranslate2's own, which takes in </s>.

Each batch is computed on one core, and as many at a time as torch has threads: so the bits do not
depend on how many there are.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import Ctranslate2Config
from bitextile.trainer.generate.translator import (
    Said,
    Sentences,
    Translator,
    check_directions,
    load_pretrained_tokenizer,
    rounded,
)

_BATCH_TOKENS = 1_024
_MOST_TOKENS = 1_024
"""Tried as the longest sentence of a model; NLLB takes that many, Marian's models 512."""


@dataclass(frozen=True, kw_only=True)
class Ctranslate2Engine:
    """A converted model to translate with, as workers get it.

    Attributes:
        folder: of the model.
        digest: of its files.
        config: how it translates.
    """

    folder: str
    digest: str
    config: Ctranslate2Config

    def load(self) -> "Ctranslate2Translator":
        """Returns the model, loaded."""
        return Ctranslate2Translator(self)


def ctranslate2_engine(
    folder: str,
    *,
    digest: str,
    directions: Collection[tuple[str, str]],
    config: Ctranslate2Config,
) -> Ctranslate2Engine:
    """Checks what can be wrong before a worker starts.

    Args:
        folder: of the model with its tokenizer.
        digest: of its files.
        directions: (source, target) languages that will be asked for.
        config: how to translate.

    Raises:
        ConfigError: CTranslate2 is not installed, no such model, a tokenizer other than the
            model's, a language that either does not know, or several directions for a model of one.
    """
    if not _package().contains_model(folder):
        raise ConfigError(
            f"{folder}: has no model.bin, so it is no model of CTranslate2; convert it with "
            "ct2-transformers-converter, or take --engine seq2seq for one of transformers"
        )
    tokenizer = load_pretrained_tokenizer(folder)
    known = _vocabulary(folder)
    unknown = sorted(set(tokenizer.get_vocab()) - known - {tokenizer.pad_token})
    if unknown:
        raise ConfigError(
            f"{folder}: its tokenizer has {len(unknown)} pieces, as {unknown[0]!r}, that the "
            "model's vocabulary lacks; copy the tokenizer of the model that was converted"
        )
    languages = check_directions(tokenizer, directions, codes=config.language_codes, folder=folder)
    for token in tokenizer.convert_ids_to_tokens(languages):
        if token not in known:
            raise ConfigError(
                f"{folder}: was converted without the language token {token}; convert it again "
                "with a version of transformers that CTranslate2 supports for this model"
            )
    return Ctranslate2Engine(folder=folder, digest=digest, config=config)


def _package() -> ModuleType:
    try:
        import ctranslate2
    except ImportError as error:
        raise ConfigError(
            "the engine needs ctranslate2, which is not installed; "
            "pip install 'bitextile[ctranslate2]'"
        ) from error
    return ctranslate2


def _vocabulary(folder: str) -> set[str]:
    """Returns the pieces that a model knows on either side."""
    pieces = set[str]()
    for path in sorted(Path(folder).glob("*_vocabulary*.json")):
        pieces.update(json.loads(path.read_text(encoding="utf-8")))
    for path in sorted(Path(folder).glob("*_vocabulary*.txt")):  # of versions before 3.10
        pieces.update(path.read_text(encoding="utf-8").split("\n"))
    return pieces


class Ctranslate2Translator(Translator):
    """A loaded model of CTranslate2."""

    batch_tokens = _BATCH_TOKENS

    def __init__(self, engine: Ctranslate2Engine) -> None:
        """Loads the model.

        Args:
            engine: folder and settings.

        Raises:
            ConfigError: CTranslate2 cannot load it, or it does not translate.
        """
        generator = f"ctranslate2 {engine.digest}"
        super().__init__(engine.folder, generator=generator, codes=engine.config.language_codes)
        self.config = engine.config
        self.threads = torch.get_num_threads()
        try:
            self.model = _package().Translator(
                engine.folder, device="cpu", inter_threads=self.threads, intra_threads=1
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{engine.folder}: CTranslate2 cannot load it ({reason})") from error
        self.special = set(self.tokenizer.all_special_ids)
        self.room = self._room()

    def say(self, batches: Sequence[Sentences]) -> list[list[Said]]:
        """Returns a translation of each sentence of each batch."""
        sources = [[self._pieces(ids) for ids in batch.ids] for batch in batches]
        # All are queued before the first is awaited, so that no thread is idle.
        found = [
            self.model.translate_batch(
                source,
                target_prefix=[self._pieces(self.first_said(batch.lang))] * len(source),
                beam_size=self.config.beam_size,
                max_input_length=0,
                min_decoding_length=0,
                max_decoding_length=self.most(batch.ids) - 1,
                asynchronous=True,
            )
            for batch, source in zip(batches, sources)
        ]
        targets = [[made.result().hypotheses[0] for made in part] for part in found]
        scored = [
            self.model.score_batch(source, target, max_input_length=0, asynchronous=True)
            for source, target in zip(sources, targets)
        ]
        return [
            [
                self._said(target, made.result().log_probs, self.first_said(batch.lang))
                for target, made in zip(part, scores, strict=True)
            ]
            for batch, part, scores in zip(batches, targets, scored)
        ]

    def _pieces(self, ids: Sequence[int]) -> Any:
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def _said(self, pieces: list[str], log_probs: Sequence[float], first: list[int]) -> Said:
        barred = {*self.special, *first}
        ids = self.tokenizer.convert_tokens_to_ids(pieces)
        said = [(i, p) for i, p in zip(ids, log_probs) if i not in barred]
        score = float(np.mean([p for _, p in said])) if said else 0.0
        return [i for i, _ in said], rounded(score)

    def _room(self) -> int:
        """Returns how many tokens the model has positions for, found by asking it.

        No more than the tokenizer says, where that says anything.
        """
        low, high = 0, min(_MOST_TOKENS, self.tokenizer.model_max_length)
        while low < high:
            middle = high if not low else (low + high + 1) // 2
            low, high = (middle, high) if self._fits(middle) else (low, middle - 1)
        return low

    def _fits(self, n: int) -> bool:
        source = [self.tokenizer.unk_token] * n
        try:
            self.model.score_batch([source], [source[:1]], max_input_length=0)
        except RuntimeError:
            return False
        return True
