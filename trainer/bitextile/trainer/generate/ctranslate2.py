"""Pseudo translations by a model that CTranslate2 has converted: on a CPU, often quantised.

    ct2-transformers-converter --model MODEL --output_dir FOLDER --copy_files <tokenizer's files>

A folder is what the converter writes (model.bin, config.json, vocabularies), with the tokenizer of
the model it was made from, as transformers loads it: CTranslate2 takes pieces and knows no text. A
multilingual model gets the source language from its tokenizer and the target language as the first
token of the translation, as in `seq2seq`.

Beam search only: CTranslate2 samples from a generator of each thread, so that a sentence's
translation would depend on what its worker did before. The score is that of `seq2seq`, the mean log
probability of the tokens from a pass over the finished sentences, not CTranslate2's own, which
takes in </s>.

Each batch is computed on one core, and as many at a time as torch has threads: so the bits do not
depend on how many there are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from bitextile.kernels.model_folder import model_errors, read_json_value
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import Ctranslate2Config
from bitextile.trainer.generate.translator import (
    Hypothesis,
    TranslationBatch,
    Translator,
    TranslatorEngine,
    check_directions,
    load_pretrained_tokenizer,
)

_BATCH_TOKENS = 1_024
_MAX_TOKENS = 1_024
"""Tried as the longest sentence of a model: NLLB takes that many, Marian's models 512."""


@dataclass(frozen=True, kw_only=True)
class Ctranslate2Engine(TranslatorEngine[Ctranslate2Config]):
    """A converted model, with the tokenizer of the model it was made from."""

    def check(self, directions: Collection[tuple[str, str]]) -> None:
        """Checks the model; raises ConfigError without CTranslate2 or its own tokenizer too."""
        if not _package().contains_model(self.folder):
            raise ConfigError(
                f"{self.folder}: has no model.bin, so it is not a CTranslate2 model; convert it "
                "with ct2-transformers-converter, or take --engine seq2seq for one of transformers"
            )
        tokenizer, codes = load_pretrained_tokenizer(self.folder), self.config.language_codes
        known = _vocabulary(self.folder)
        unknown = sorted(set(tokenizer.get_vocab()) - known - {tokenizer.pad_token})
        if unknown:
            raise ConfigError(
                f"{self.folder}: its tokenizer has {len(unknown)} pieces, as {unknown[0]!r}, that "
                "the model's vocabulary lacks; copy the tokenizer of the model that was converted"
            )
        languages = check_directions(tokenizer, directions, codes=codes, folder=self.folder)
        for token in tokenizer.convert_ids_to_tokens(languages):
            if token not in known:
                raise ConfigError(
                    f"{self.folder}: was converted without the language token {token}; convert it "
                    "again with a version of transformers that CTranslate2 supports for this model"
                )

    def load(self) -> "Ctranslate2Translator":
        """Returns the model, loaded."""
        return Ctranslate2Translator(self)


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
        content = read_json_value(path)
        pieces.update(map(str, content if isinstance(content, list) else ()))
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
        with model_errors(f"{engine.folder}: CTranslate2 cannot load it"):
            self.model = _package().Translator(
                engine.folder, device="cpu", inter_threads=self.threads, intra_threads=1
            )
        self.special = set(self.tokenizer.all_special_ids)
        self.max_tokens = self._max_tokens()

    def translate(self, batches: Sequence[TranslationBatch]) -> list[list[Hypothesis]]:
        """Returns a translation of each sentence of each batch."""
        sources = [[self._pieces(ids) for ids in batch.ids] for batch in batches]
        # All are queued before the first is awaited, so that no thread is idle.
        found = [
            self.model.translate_batch(
                source,
                target_prefix=[self._pieces(self.forced_prefix(batch.lang))] * len(source),
                beam_size=self.config.beam_size,
                max_input_length=0,
                min_decoding_length=0,
                max_decoding_length=self.max_length(batch.ids) - 1,
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
                self._hypothesis(target, made.result().log_probs, self.forced_prefix(batch.lang))
                for target, made in zip(part, scores, strict=True)
            ]
            for batch, part, scores in zip(batches, targets, scored)
        ]

    def _pieces(self, ids: Sequence[int]) -> Any:
        return self.tokenizer.convert_ids_to_tokens(list(ids))

    def _hypothesis(
        self, pieces: list[str], log_probs: Sequence[float], prefix: list[int]
    ) -> Hypothesis:
        left_out = {*self.special, *prefix}
        ids = self.tokenizer.convert_tokens_to_ids(pieces)
        words = [(i, p) for i, p in zip(ids, log_probs) if i not in left_out]
        score = float(np.mean([p for _, p in words])) if words else 0.0
        return Hypothesis([i for i, _ in words], score)

    def _max_tokens(self) -> int:
        """Returns how many tokens the model has positions for, found by asking it.

        No more than the tokenizer says, where that says anything.
        """
        low, high = 0, min(_MAX_TOKENS, self.tokenizer.model_max_length)
        while low < high:
            # The tokenizer's own limit first: where it is right, one trial is enough.
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
