"""BTMLM, pass 1: a CAMLM model writes pseudo tokens behind a sentence, all in one parallel step.

    input     <s> das Haus </s>  [M]  [M]  [M]        3 = round(ratio de -> en x 2 subwords), say
    position   0   1   2    3     4    5    6         go on behind the source
    language  de  de  de   de    en   en   en
    role       0   0   0    0     1    1    1

                      key: source   placeholder
    query source             x
    query placeholder        x           x

Source: ERNIE-M (arXiv 2012.15674), section 3.2: placeholders with position and target language,
which see the source and each other, one prediction each. This is the table of CAMLM training
(objectives/camlm.py) for an unmasked first sentence and a second one masked throughout; a separator
behind the placeholders would be seen by none of them, so there is none.

Our choices: the source sees itself only; how many placeholders (`Ratio`); the most probable token
of the ordinary vocabulary, or one of the k most probable drawn in proportion, keyed by (seed,
record, position); on demand mask-predict (Ghazvininejad et al. 2019, section 3): of N tokens, step
t of T masks the N (T - t) / T least certain again, and the others are shown. CAMLM itself never
shows a token of the own side to a mask; MLM and TLM do, so refine with a model that had one of them
too.

A sentence that does not fit with its placeholders is rejected (`too_long_for_model/1`, its tokens):
cut, it would stand beside the translation of another one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import I8, I32, U64
from bitextile.kernels.backtranslate import GENERATED
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, PAIRS
from bitextile.trainer.data.examples import Input
from bitextile.trainer.data.packed import Packed, flatten, language_ids, map_tensors, pack_inputs
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.generate.checkpoint import (
    Checkpoint,
    check_languages,
    check_objective,
    each,
    groups,
    load_checkpoint,
    model_tokenizer,
)
from bitextile.trainer.generate.config import CamlmConfig

VISIBILITY = ((True, False), (True, True))
"""The table above."""
TOO_LONG = "too_long_for_model/1"
_SAMPLE_PAIRS = 10_000
"""Pairs of a key that a ratio is measured on: the first in file order, which is that of hashed ids,
so a sample; over 10,000 captions the standard error of the ratio is below 1 %."""
_SCORE_STEP = 1e-3
"""Scores are multiples of it: the last bits of a sum depend on the batch, a thousandth hardly."""

Ratio = tuple[str, str, float]
"""Source language, target language, target subwords for a source subword."""


@dataclass(frozen=True, kw_only=True)
class CamlmEngine:
    """A CAMLM checkpoint to write with, as workers get it.

    Attributes:
        folder: of the checkpoint.
        digest: of its files.
        ratios: of each pair of languages that will be asked for.
        config: how it writes.
    """

    folder: str
    digest: str
    ratios: tuple[Ratio, ...]
    config: CamlmConfig

    def load(self) -> "CamlmWriter":
        """Returns the model, loaded."""
        return CamlmWriter(load_checkpoint(self.folder), self)


def camlm_engine(
    folder: str,
    *,
    digest: str,
    directions: Collection[tuple[str, str]],
    given: Mapping[tuple[str, str], float],
    pairs: Sequence[str],
    config: CamlmConfig,
) -> CamlmEngine:
    """Checks all that can be wrong before a worker starts, and measures length ratios.

    A checkpoint carries no ratios: they belong to the texts as much as to the tokenizer.

    Args:
        folder: of a checkpoint trained with CAMLM and language embeddings.
        digest: of its files.
        directions: (source, target) languages that will be asked for.
        given: ratios known already.
        pairs: datasets of kind pairs, aligned or exchange to measure the others on.
        config: how to write.

    Raises:
        ConfigError: the checkpoint cannot write these languages, or a ratio is neither given nor
            to be measured.
    """
    check_objective(folder, "camlm")
    check_languages(folder, [tag for direction in directions for tag in direction])
    for direction, ratio in given.items():
        if not 0 < ratio < float("inf"):
            raise ConfigError(f"length ratio of {' -> '.join(direction)} is {ratio}; expected > 0")
    ratios = measure_ratios(model_tokenizer(folder), pairs) | dict(given)
    if missing := sorted(set(directions) - set(ratios)):
        src, tgt = missing[0]
        raise ConfigError(
            f"no length ratio of {src} -> {tgt} subwords; give pairs of both languages (--pairs) "
            f"or the number itself (--length-ratio {src},{tgt}=1.1)"
        )
    chosen = tuple((*direction, ratios[direction]) for direction in sorted(directions))
    return CamlmEngine(folder=folder, digest=digest, ratios=chosen, config=config)


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


@dataclass(frozen=True)
class _Written:
    """Tokens of placeholders with their log probabilities, by sentence."""

    tokens: list[I32]
    log_probabilities: list[np.ndarray]


class CamlmWriter:
    """A loaded CAMLM model: REQUESTS in, GENERATED out."""

    def __init__(self, checkpoint: Checkpoint, engine: CamlmEngine) -> None:
        """Notes model and settings.

        Args:
            checkpoint: with an embedding for every language that comes.
            engine: ratios and settings.
        """
        self.checkpoint = checkpoint
        self.config = engine.config
        self.generator = f"camlm {engine.digest}"
        self._ratios = {(src, tgt): ratio for src, tgt, ratio in engine.ratios}
        n_rows = checkpoint.encoder.table.shape[0]
        barred = np.setdiff1d(np.arange(n_rows), checkpoint.tokenizer.ordinary)
        self._barred = torch.from_numpy(barred).to(checkpoint.device)

    def __call__(self, batch: pa.RecordBatch) -> Filtered:
        """Returns pseudo translations, and rejects of sentences too long for the model.

        The tokens of a row depend on that row alone, but for the last bits of the model's numbers,
        which can decide between two equally probable tokens; the same batch gives the same bits.

        Args:
            batch: rows of REQUESTS.
        """
        sources = self.checkpoint.tokenizer.encode(batch.column("text").to_pylist())
        langs = list(zip(*(batch.column(c).to_pylist() for c in ("lang", "tgt_lang"))))
        n_tgt = [self._placeholders(len(s.ids), pair) for s, pair in zip(sources, langs)]
        lengths = np.asarray([len(s.ids) + 2 + n for s, n in zip(sources, n_tgt)], np.int64)
        fits = lengths <= self.checkpoint.room
        sifted = split_rejects(batch, fits, rule=TOO_LONG, value=lengths.astype(float))
        kept = np.flatnonzero(fits).tolist()
        inputs = [self._input(sources[i].ids, n_tgt[i], langs[i]) for i in kept]
        keys = hash64(sifted.kept.column("text_id"))
        return Filtered(self._rows(sifted.kept, self.write(inputs, keys)), sifted.rejects)

    def _placeholders(self, n_src: int, pair: tuple[str, str]) -> int:
        return max(1, round(self._ratios[pair] * n_src)) if n_src else 0

    def _input(self, source: I32, n: int, languages: tuple[str, str]) -> Input:
        tokenizer = self.checkpoint.tokenizer
        tokens = np.concatenate(
            [[tokenizer.cls], source, [tokenizer.sep], np.full(n, tokenizer.mask)]
        )
        sides: I8 = np.zeros(len(tokens), np.int8)
        sides[len(tokens) - n :] = 1
        return Input(tokens.astype(np.int32), sides == 1, sides, languages)

    def write(self, inputs: Sequence[Input], keys: U64) -> _Written:
        """Returns the tokens of each input's placeholders.

        Args:
            inputs: sources with placeholders, of side 1.
            keys: [n] 64 bits of each input's record, for the draws.
        """
        device = self.checkpoint.device
        parts = list(groups([len(i.tokens) for i in inputs], device))
        made = each(lambda g: self._group([inputs[i] for i in g], keys[g]), parts, device)
        order = [i for group in parts for i in group]
        by_input = dict(
            zip(order, ((t, p) for tokens, found in made for t, p in zip(tokens, found)))
        )
        return _Written(*([by_input[i][part] for i in range(len(inputs))] for part in (0, 1)))

    def _group(self, inputs: list[Input], keys: U64) -> tuple[list[I32], list[np.ndarray]]:
        """Writes what fits in one forward pass."""
        flat = flatten(inputs)
        at = np.flatnonzero(flat.sides == 1)
        sentence = flat.owner[at]
        rank = np.arange(len(at)) - np.searchsorted(sentence, sentence)
        shown, tokens = flat.tokens.copy(), flat.tokens[at]
        sure = np.zeros(len(at), np.float32)
        to_write = np.ones(len(at), bool)
        for step in range(self.config.mask_predict_passes + 1):
            if step:
                to_write = _least_sure(
                    sure, sentence, 1 - step / (self.config.mask_predict_passes + 1)
                )
            shown[at] = np.where(to_write, self.checkpoint.tokenizer.mask, tokens)
            here = np.flatnonzero(to_write)
            if not len(here):
                break
            packed, places = self._packed(inputs, shown)
            scores = self._scores(packed, places[at[here]])
            chosen = self._choose(scores, keys[sentence[here]], rank[here], step)
            tokens[here], sure[here] = chosen
        ends = np.cumsum(np.bincount(sentence, minlength=len(inputs)))[:-1]
        return np.split(tokens, ends), np.split(sure, ends)

    def _packed(self, inputs: list[Input], shown: I32) -> tuple[Packed, np.ndarray]:
        flat = flatten(inputs)
        return pack_inputs(
            flat,
            shown,
            width=max(len(i.tokens) for i in inputs),
            pad=self.checkpoint.tokenizer.pad,
            attention_roles=flat.sides,
            visibility=VISIBILITY,
            languages=language_ids(inputs, flat, self.checkpoint.index),
        )

    def _scores(self, packed: Packed, places: np.ndarray) -> torch.Tensor:
        device, encoder = self.checkpoint.device, self.checkpoint.encoder
        vectors = encoder.vectors(map_tensors(packed, lambda tensor: tensor.to(device)))
        logits = encoder.logits(vectors[torch.from_numpy(places).to(device)]).float()
        return logits.index_fill_(1, self._barred, -torch.inf).log_softmax(dim=1)

    def _choose(
        self, scores: torch.Tensor, keys: U64, positions: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a token of each row of log probabilities, and its own."""
        few = min(self.config.top_k, scores.shape[1])
        best, ids = _best(scores) if few == 1 else scores.topk(few, dim=1)
        found, tokens = best.double().cpu().numpy(), ids.cpu().numpy()
        place = np.zeros(len(found), np.int64)
        if few > 1:
            draw = uniform(
                keys,
                seed=self.config.seed,
                operation="backtranslate/token",
                variant=step,
                position=positions,
            )
            share = np.exp(found - found[:, :1]).cumsum(axis=1)
            place = (share <= (draw * share[:, -1])[:, None]).sum(axis=1)
        rows = np.arange(len(found))
        return tokens[rows, place], found[rows, place]

    def _rows(self, requests: pa.RecordBatch, written: _Written) -> pa.RecordBatch:
        tokenizer = self.checkpoint.tokenizer
        ids = [tokens.tolist() for tokens in written.tokens]
        texts = tokenizer.pretrained.backend_tokenizer.decode_batch(ids)
        scores = [float(p.mean()) if len(p) else 0.0 for p in written.log_probabilities]
        columns = {
            "text_id": requests.column("text_id"),
            "src_lang": requests.column("lang"),
            "tgt_lang": requests.column("tgt_lang"),
            "src": requests.column("text"),
            "tgt": [" ".join(text.split()) for text in texts],
            "tgt_tokens": [tokenizer.pretrained.convert_ids_to_tokens(i) for i in ids],
            "score": [round(score / _SCORE_STEP) * _SCORE_STEP for score in scores],
            "generator": [self.generator] * len(ids),
            **{c: requests.column(c) for c in ("corpus", "file", "line")},
        }
        return pa.RecordBatch.from_pydict(columns, schema=GENERATED)


def _best(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if scores.device.type != "cpu":
        return scores.max(dim=1, keepdim=True)
    # numpy takes a fifth of the time of torch's `max`: 0.4 against 2.0 ms for 256 x 16,000.
    ids = torch.from_numpy(scores.numpy().argmax(axis=1))[:, None]
    return scores.gather(1, ids), ids


def _least_sure(sure: np.ndarray, sentence: np.ndarray, share: float) -> np.ndarray:
    """Returns [n] True at the floor(share x N) least certain of each sentence's N tokens."""
    order = np.lexsort((sure, sentence))
    counts = np.bincount(sentence)
    place = np.arange(len(order)) - np.searchsorted(sentence, sentence)
    chosen = np.zeros(len(order), bool)
    chosen[order] = place < np.floor(share * counts)[sentence]
    return chosen
