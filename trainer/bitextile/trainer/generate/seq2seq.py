"""Pseudo translations by a local encoder-decoder of transformers: Marian, M2M-100, NLLB and kin.

Beam search, or sampling among the k best tokens. A sampled token is a function of (seed, record,
step): transformers would draw from a global generator, so that a sentence's translation would
depend on the others in its batch.

The score is the mean log probability of the tokens under the model itself, from one pass over the
finished sentences, so that beams and samples compare.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, LogitsProcessor

from bitextile.kernels.arrays import U64
from bitextile.kernels.model_folder import check_whole, load_pretrained, load_weights
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import Seq2seqConfig
from bitextile.trainer.generate.sampling import sample_token
from bitextile.trainer.generate.translator import (
    Hypothesis,
    TranslationBatch,
    Translator,
    TranslatorEngine,
    check_directions,
    load_pretrained_tokenizer,
)
from bitextile.trainer.model.build import quiet

_BATCH_TOKENS = {"cpu": 1_024, "cuda": 16_384}


@dataclass(frozen=True, kw_only=True)
class Seq2seqEngine(TranslatorEngine[Seq2seqConfig]):
    """An encoder-decoder of transformers, weights in safetensors."""

    def check(self, directions: Collection[tuple[str, str]]) -> None:
        """Checks the model; raises ConfigError for what is not an encoder-decoder too."""
        config = load_pretrained(AutoConfig, self.folder, expected="configuration")
        if not config.is_encoder_decoder:
            raise ConfigError(
                f"{self.folder}: is not an encoder-decoder; expected a Marian, M2M-100 or NLLB"
            )
        tokenizer, codes = load_pretrained_tokenizer(self.folder), self.config.language_codes
        check_directions(tokenizer, directions, codes=codes, folder=self.folder)

    def load(self) -> "Seq2seqTranslator":
        """Returns the model, loaded."""
        return Seq2seqTranslator(self)


class _KeyedSampling(LogitsProcessor):
    """Leaves one token of the k best of each sentence, drawn by its own key."""

    def __init__(self, keys: U64, config: Seq2seqConfig) -> None:
        self.keys, self.config = keys, config

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        best, ids = scores.topk(min(self.config.top_k, scores.shape[1]), dim=1)
        place = sample_token(
            best.double().softmax(dim=1).cpu().numpy(),
            self.keys,
            seed=self.config.seed,
            position=input_ids.shape[1],
        )
        chosen = ids.gather(1, torch.from_numpy(place).to(ids.device)[:, None])
        # One token is left, so the greedy search takes it: no generator of torch's is asked.
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


class Seq2seqTranslator(Translator):
    """A loaded encoder-decoder of transformers."""

    def __init__(self, engine: Seq2seqEngine) -> None:
        """Loads the model, on a GPU where there is one.

        Args:
            engine: folder and settings.

        Raises:
            ConfigError: weights are not safetensors, or not those of an encoder-decoder.
        """
        self.config = engine.config
        if not list(Path(engine.folder).glob("*.safetensors")):
            raise ConfigError(f"{engine.folder}: has no *.safetensors; pickles are not loaded")
        generator = f"seq2seq {engine.digest}"
        super().__init__(engine.folder, generator=generator, codes=engine.config.language_codes)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.batch_tokens = _BATCH_TOKENS[self.device]
        with quiet():
            model, missing = load_weights(
                AutoModelForSeq2SeqLM,
                engine.folder,
                expected="encoder-decoder",
                dtype=torch.float32,
            )
        check_whole(engine.folder, missing)
        self.model = model.to(self.device).eval()
        self.max_tokens = int(getattr(model.config, "max_position_embeddings", 0) or 512)

    def translate(self, batches: Sequence[TranslationBatch]) -> list[list[Hypothesis]]:
        """Returns a translation of each sentence of each batch."""
        return [self._batch(batch) for batch in batches]

    def _batch(self, batch: TranslationBatch) -> list[Hypothesis]:
        inputs = self.tokenizer.pad({"input_ids": batch.ids}, return_tensors="pt").to(self.device)
        search: dict[str, Any] = {"num_beams": self.config.beam_size}
        if self.config.top_k > 1:
            search = {"logits_processor": [_KeyedSampling(batch.keys, self.config)], "num_beams": 1}
        prefix = self.forced_prefix(batch.lang)
        if prefix:
            search["forced_bos_token_id"] = prefix[0]
        with torch.inference_mode():
            found = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                # <pad>, from which the decoder starts, counts too.
                max_length=self.max_length(batch.ids),
                **search,
            )
            return self._scored(inputs, found, [*self.tokenizer.all_special_ids, *prefix])

    def _scored(self, inputs: Any, found: torch.Tensor, special: list[int]) -> list[Hypothesis]:
        # Each token given those before it: the decoder reads the sentence shifted by one.
        logits = self.model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            decoder_input_ids=found[:, :-1],
        ).logits
        log_probs = logits.float().log_softmax(dim=2).gather(2, found[:, 1:, None])[..., 0]
        words = ~torch.isin(found[:, 1:], torch.tensor(special, device=found.device))
        scores = (log_probs * words).sum(dim=1) / words.sum(dim=1).clamp(min=1)
        return [
            Hypothesis(row[here].tolist(), float(score))
            for row, here, score in zip(found[:, 1:].cpu(), words.cpu(), scores.cpu())
        ]
