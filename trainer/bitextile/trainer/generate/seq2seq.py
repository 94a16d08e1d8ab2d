"""Pseudo translations by a local encoder-decoder of transformers: Marian, M2M-100, NLLB and kin.

Beam search, or sampling among the k best tokens. A sampled token is a function of (seed, record,
step): transformers would draw from a global generator, so that a sentence's translation would
depend on the others in its batch.

The score is the mean log probability of the tokens under the model itself, from one pass over the
finished sentences, so that beams and samples compare.

A model of one direction has no say in languages; a multilingual one is told both by its tokenizer's
codes, which are the tags unless others are given (NLLB: de=deu_Latn).
"""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer, LogitsProcessor

from bitextile.kernels.generation import GENERATED
from bitextile.kernels.randomness import U64, hash64, uniform
from bitextile.kernels.sift import Sifted, in_row_order, sift
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.camlm import TOO_LONG
from bitextile.trainer.model import quiet

_BATCH_TOKENS = {"cpu": 1_024, "cuda": 16_384}
"""Source tokens, padding included, that are translated together."""
_SCORE_STEP = 1e-3
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, kw_only=True)
class Seq2seqConfig:
    """How an encoder-decoder translates.

    Attributes:
        beams: of the search; 4 is usual for Marian models. With `top_k` above 1 not used.
        top_k: most probable tokens that each is drawn from; 1 searches instead.
        codes: language tag to the tokenizer's code, where that is another.
        seed: of the draws.
    """

    beams: int = 4
    top_k: int = 1
    codes: tuple[tuple[str, str], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.beams < 1 or self.top_k < 1:
            raise ConfigError(
                f"beams is {self.beams} and top_k {self.top_k}; expected at least 1 of each"
            )


@dataclass(frozen=True, kw_only=True)
class Seq2seqEngine:
    """An encoder-decoder to translate with, as workers get it.

    Attributes:
        folder: of the model.
        digest: of its files.
        config: how it translates.
    """

    folder: str
    digest: str
    config: Seq2seqConfig

    def load(self) -> "Translator":
        """Returns the model, loaded."""
        return Translator(self)


def seq2seq_engine(
    folder: str,
    *,
    digest: str,
    directions: Collection[tuple[str, str]],
    config: Seq2seqConfig,
) -> Seq2seqEngine:
    """Checks what can be wrong before a worker starts.

    Args:
        folder: of the model with its tokenizer, weights in safetensors.
        digest: of its files.
        directions: (source, target) languages that will be asked for.
        config: how to translate.

    Raises:
        ConfigError: not an encoder-decoder, a language it has no code for, or several directions
            for a model of one.
    """
    if not AutoConfig.from_pretrained(folder, **_LOCAL).is_encoder_decoder:
        raise ConfigError(f"{folder}: is no encoder-decoder; expected a Marian, M2M-100 or NLLB")
    tokenizer = _tokenizer(folder)
    codes = dict(config.codes)
    if _codes_of(tokenizer):
        for tag in sorted({tag for direction in directions for tag in direction}):
            _code_id(tokenizer, codes.get(tag, tag), tag, folder)
    elif len(directions) > 1:
        said = ", ".join(f"{src} -> {tgt}" for src, tgt in sorted(directions))
        raise ConfigError(f"{folder}: translates one way only, but {said} are asked for")
    return Seq2seqEngine(folder=folder, digest=digest, config=config)


def _tokenizer(folder: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Marian's recommends sacremoses, which normalises punctuation; our text is normalised.
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            return AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{folder}: no tokenizer that transformers can load ({reason})"
        ) from error


def _codes_of(tokenizer: Any) -> bool:
    """Returns whether the tokenizer tells languages apart."""
    return hasattr(tokenizer, "src_lang")


def _code_id(tokenizer: Any, code: str, tag: str, folder: str) -> int:
    token = getattr(tokenizer, "lang_code_to_token", {}).get(code, code)
    found = tokenizer.convert_tokens_to_ids(token)
    if found is None or found == tokenizer.unk_token_id:
        raise ConfigError(
            f"{folder}: knows no language {code!r}; name its code for {tag} "
            f"(--language-code {tag}=CODE)"
        )
    return int(found)


class _KeyedSampling(LogitsProcessor):
    """Leaves one token of the k best of each sentence, drawn by its own key."""

    def __init__(self, keys: U64, config: Seq2seqConfig) -> None:
        self.keys, self.config = keys, config

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        best, ids = scores.topk(min(self.config.top_k, scores.shape[1]), dim=1)
        share = best.double().softmax(dim=1).cumsum(dim=1).cpu().numpy()
        draw = uniform(
            self.keys,
            seed=self.config.seed,
            operation="backtranslate/token",
            position=input_ids.shape[1],
        )
        place = (share <= (draw * share[:, -1])[:, None]).sum(axis=1)
        chosen = ids.gather(1, torch.from_numpy(place).to(ids.device)[:, None])
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen, 0.0)


class Translator:
    """A loaded encoder-decoder: REQUESTS in, GENERATED out."""

    def __init__(self, engine: Seq2seqEngine) -> None:
        """Loads the model, on a GPU where there is one.

        Args:
            engine: folder and settings.

        Raises:
            ConfigError: weights are not safetensors, or not those of an encoder-decoder.
        """
        self.config = engine.config
        self.folder = engine.folder
        self.generator = f"seq2seq {engine.digest}"
        if not list(Path(engine.folder).glob("*.safetensors")):
            raise ConfigError(f"{engine.folder}: has no *.safetensors; pickles are not loaded")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = _tokenizer(engine.folder)
        with quiet():
            model = AutoModelForSeq2SeqLM.from_pretrained(
                engine.folder, use_safetensors=True, dtype=torch.float32, **_LOCAL
            )
        self.model = model.to(self.device).eval()
        self.room = int(getattr(model.config, "max_position_embeddings", 0) or 512)

    def __call__(self, batch: pa.RecordBatch) -> Sifted:
        """Returns translations, and rejects of sentences too long for the model.

        Args:
            batch: rows of REQUESTS.
        """
        langs = list(zip(*(batch.column(c).to_pylist() for c in ("lang", "tgt_lang"))))
        kept, rejects = [], []
        for pair in sorted(set(langs)):
            rows = np.flatnonzero([found == pair for found in langs])
            part = batch.take(pa.array(rows))
            ids = self._encode(part.column("text").to_pylist(), pair[0])
            lengths = np.asarray([len(i) for i in ids], np.int64)
            fits = lengths <= self.room
            sifted = sift(part, fits, rule=TOO_LONG, value=lengths.astype(float))
            fitting = [i for i, fit in zip(ids, fits) if fit]
            kept.append((rows[fits], self._translate(sifted.kept, fitting, pair[1])))
            rejects.append((rows[~fits], sifted.rejects))
        return Sifted(in_row_order(kept, GENERATED), in_row_order(rejects))

    def _encode(self, texts: list[str], lang: str) -> list[list[int]]:
        if _codes_of(self.tokenizer):
            self.tokenizer.src_lang = dict(self.config.codes).get(lang, lang)
        return self.tokenizer(texts, truncation=False)["input_ids"] if texts else []

    def _translate(
        self, requests: pa.RecordBatch, ids: list[list[int]], lang: str
    ) -> pa.RecordBatch:
        """Translates sentences of one direction, longest first."""
        keys = hash64(requests.column("text_id"))
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        made: dict[int, tuple[list[int], float]] = {}
        while order:
            n = max(1, _BATCH_TOKENS[self.device] // len(ids[order[0]]))
            rows, order = order[:n], order[n:]
            made |= dict(zip(rows, self._batch([ids[i] for i in rows], keys[rows], lang)))
        tokens = [made[i][0] for i in range(len(ids))]
        columns = {
            "text_id": requests.column("text_id"),
            "src_lang": requests.column("lang"),
            "tgt_lang": requests.column("tgt_lang"),
            "src": requests.column("text"),
            "tgt": [" ".join(self.tokenizer.decode(t).split()) for t in tokens],
            "tgt_tokens": [self.tokenizer.convert_ids_to_tokens(t) for t in tokens],
            "score": [made[i][1] for i in range(len(ids))],
            "generator": [self.generator] * len(ids),
            **{c: requests.column(c) for c in ("corpus", "file", "line")},
        }
        return pa.RecordBatch.from_pydict(columns, schema=GENERATED)

    def _batch(self, ids: list[list[int]], keys: U64, lang: str) -> list[tuple[list[int], float]]:
        """Returns tokens without special ones, and the score, of each sentence."""
        inputs = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.device)
        sampling = self.config.top_k > 1
        more: dict[str, Any] = {"num_beams": self.config.beams}
        if sampling:
            more = {"logits_processor": [_KeyedSampling(keys, self.config)], "num_beams": 1}
        said_first = []
        if _codes_of(self.tokenizer):
            code = dict(self.config.codes).get(lang, lang)
            said_first = [_code_id(self.tokenizer, code, lang, self.folder)]
            more["forced_bos_token_id"] = said_first[0]
        with torch.inference_mode():
            found = self.model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=False,
                # Twice as long as the source and some: what the gate would stop anyway.
                max_length=min(self.room, 2 * inputs["input_ids"].shape[1] + 10),
                **more,
            )
            return self._scored(inputs, found, [*self.tokenizer.all_special_ids, *said_first])

    def _scored(
        self, inputs: Any, found: torch.Tensor, special: list[int]
    ) -> list[tuple[list[int], float]]:
        logits = self.model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            decoder_input_ids=found[:, :-1],
        ).logits
        said = logits.float().log_softmax(dim=2).gather(2, found[:, 1:, None])[..., 0]
        words = ~torch.isin(found[:, 1:], torch.tensor(special, device=found.device))
        scores = (said * words).sum(dim=1) / words.sum(dim=1).clamp(min=1)
        return [
            (row[here].tolist(), round(float(score) / _SCORE_STEP) * _SCORE_STEP)
            for row, here, score in zip(found[:, 1:].cpu(), words.cpu(), scores.cpu())
        ]
