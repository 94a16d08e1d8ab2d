"""BTMLM, pass 1: a CAMLM model generates pseudo tokens behind a sentence, all in one parallel step.

    input     <s> das Haus </s>  [M]  [M]  [M]        3 = round(ratio de -> en x 2 subwords)
    position   0   1   2    3     4    5    6         go on behind the source
    language  de  de  de   de    en   en   en
    role       0   0   0    0     1    1    1

                      key: source   placeholder
    query source             x
    query placeholder        x           x

Source: ERNIE-M (arXiv 2012.15674), section 3.2: placeholders with position and target language,
which see the source and each other, one prediction each. This is the visibility of CAMLM training
(objectives/camlm.py) for an unmasked first sentence and a second one masked throughout; a separator
behind the placeholders would be seen by none of them, so there is none.

Our choices: the source sees itself only; how many placeholders (length_ratios.py); the most
probable token of the ordinary vocabulary, or one of the k most probable drawn in proportion, keyed
by (seed, record, position); on demand mask-predict (Ghazvininejad et al. 2019, section 3): of N
tokens, step t of T masks the N (T - t) / T least certain again, and the others are shown. CAMLM
itself never shows a token of the own side to a mask; MLM and TLM do, so take mask-predict passes
with a model that had one of them too.

A sentence that does not fit with its placeholders is rejected (`too_long_for_model/1`, its tokens).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import F32, I8, I32, U64
from bitextile.kernels.backtranslate import TOO_LONG_FOR_MODEL, generated_rows
from bitextile.kernels.randomness import hash64
from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.examples import Input
from bitextile.trainer.data.packed import Packed, flatten, language_ids, map_tensors, pack_inputs
from bitextile.trainer.generate.checkpoint import (
    Checkpoint,
    check_languages,
    check_objective,
    load_checkpoint,
    model_tokenizer,
)
from bitextile.trainer.generate.config import CamlmConfig
from bitextile.trainer.generate.length_ratios import Ratio, measure_ratios
from bitextile.trainer.generate.parallel import length_buckets, parallel_map
from bitextile.trainer.generate.sampling import sample_token
from bitextile.trainer.model.build import load_predictor

VISIBILITY = ((True, False), (True, True))
"""The table above."""


@dataclass(frozen=True, kw_only=True)
class CamlmEngine:
    """A CAMLM checkpoint to generate with, as workers get it.

    Attributes:
        folder: of the checkpoint.
        digest: of its files.
        ratios: of each direction that will be requested.
        config: how it generates.
    """

    folder: str
    digest: str
    ratios: tuple[Ratio, ...]
    config: CamlmConfig

    def load(self) -> "CamlmGenerator":
        """Returns the model, loaded."""
        return CamlmGenerator(load_checkpoint(self.folder), self)


def camlm_engine(
    folder: str,
    *,
    digest: str,
    directions: Collection[tuple[str, str]],
    pairs: Sequence[str],
    config: CamlmConfig,
) -> CamlmEngine:
    """Checks all that can be wrong before a worker starts, and measures length ratios.

    A checkpoint carries no ratios: they belong to the texts as much as to the tokenizer.

    Args:
        folder: of a checkpoint trained with CAMLM and language embeddings.
        digest: of its files.
        directions: (source, target) languages that will be requested.
        pairs: datasets of kind pairs, aligned or exchange, to measure the ratios on that `config`
            does not give.
        config: how to generate.

    Raises:
        ConfigError: the checkpoint cannot generate these languages, or a ratio is neither given nor
            to be measured.
    """
    check_objective(folder, "camlm")
    load_predictor(folder)  # for its error
    check_languages(folder, [tag for direction in directions for tag in direction])
    for direction, ratio in config.length_ratios.items():
        if not 0 < ratio < float("inf"):
            raise ConfigError(f"length ratio of {' -> '.join(direction)} is {ratio}; expected > 0")
    ratios = measure_ratios(model_tokenizer(folder), pairs) | dict(config.length_ratios)
    if missing := sorted(set(directions) - set(ratios)):
        src, tgt = missing[0]
        raise ConfigError(
            f"no length ratio of {src} -> {tgt} subwords; give pairs of both languages (--pairs) "
            f"or the number itself (--length-ratio {src},{tgt}=1.1)"
        )
    requested = tuple((*direction, ratios[direction]) for direction in sorted(directions))
    return CamlmEngine(folder=folder, digest=digest, ratios=requested, config=config)


@dataclass(frozen=True)
class _Generated:
    """Tokens of placeholders with their log probabilities, by sentence."""

    tokens: list[I32]
    log_probs: list[F32]


class CamlmGenerator:
    """A loaded CAMLM model: REQUESTS in, GENERATED out."""

    def __init__(self, checkpoint: Checkpoint, engine: CamlmEngine) -> None:
        """Keeps model and settings.

        Args:
            checkpoint: with an embedding for every language that comes.
            engine: ratios and settings.
        """
        self.checkpoint = checkpoint
        self.config = engine.config
        self.generator = f"camlm {engine.digest}"
        self._ratios = {(src, tgt): ratio for src, tgt, ratio in engine.ratios}
        n_rows = checkpoint.encoder.table.shape[0]
        # Special tokens, and rows of a table that was rounded up beyond the tokenizer's ids.
        excluded = np.setdiff1d(np.arange(n_rows), checkpoint.tokenizer.ordinary)
        self._excluded = torch.from_numpy(excluded).to(checkpoint.device)

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
        fits = lengths <= self.checkpoint.max_tokens
        found = split_rejects(batch, fits, rule=TOO_LONG_FOR_MODEL, value=lengths.astype(float))
        kept = np.flatnonzero(fits).tolist()
        inputs = [self._input(sources[i].ids, n_tgt[i], langs[i]) for i in kept]
        keys = hash64(found.kept.column("text_id"))
        return Filtered(self._rows(found.kept, self.generate(inputs, keys)), found.rejects)

    def _placeholders(self, n_src: int, pair: tuple[str, str]) -> int:
        # Nothing is made of an empty sentence; of any other there is a word at least.
        return max(1, round(self._ratios[pair] * n_src)) if n_src else 0

    def _input(self, source: I32, n: int, languages: tuple[str, str]) -> Input:
        tokenizer = self.checkpoint.tokenizer
        tokens = np.concatenate(
            [[tokenizer.cls], source, [tokenizer.sep], np.full(n, tokenizer.mask)]
        )
        sides: I8 = np.zeros(len(tokens), np.int8)
        sides[len(tokens) - n :] = 1
        return Input(tokens.astype(np.int32), sides == 1, sides, languages)

    def generate(self, inputs: Sequence[Input], keys: U64) -> _Generated:
        """Returns the tokens of each input's placeholders.

        Args:
            inputs: sources with placeholders, of side 1.
            keys: [n] 64 bits of each input's record, for the draws.
        """
        device = self.checkpoint.device
        buckets = list(length_buckets([len(i.tokens) for i in inputs], device))
        parts = parallel_map(
            lambda rows: self._generate_bucket([inputs[i] for i in rows], keys[rows]),
            buckets,
            device,
        )
        # Buckets go by length; rows come back in the order of the inputs.
        tokens: list[I32] = [np.zeros(0, np.int32)] * len(inputs)
        log_probs: list[F32] = [np.zeros(0, np.float32)] * len(inputs)
        for rows, part in zip(buckets, parts):
            for place, i in enumerate(rows):
                tokens[i], log_probs[i] = part.tokens[place], part.log_probs[place]
        return _Generated(tokens, log_probs)

    def _generate_bucket(self, inputs: list[Input], keys: U64) -> _Generated:
        """Generates what fits in one forward pass; of each pass all placeholders at once."""
        # tokens    <s> das Haus </s> [M] [M] | <s> Ja </s> [M]
        # at                           4   5                9      sentence 0 0 1, rank 0 1 0
        flat = flatten(inputs)
        at = np.flatnonzero(flat.sides == 1)
        sentence = flat.owner[at]
        rank = np.arange(len(at)) - np.searchsorted(sentence, sentence)
        shown, tokens = flat.tokens.copy(), flat.tokens[at]
        log_probs = np.zeros(len(at), np.float32)
        masked = np.ones(len(at), bool)
        n_passes = self.config.mask_predict_passes + 1
        for step in range(n_passes):
            if step:
                masked = _least_certain(log_probs, sentence, 1 - step / n_passes)
            shown[at] = np.where(masked, self.checkpoint.tokenizer.mask, tokens)
            here = np.flatnonzero(masked)
            if not len(here):
                break  # the share of short sentences may round down to no token
            packed, places = self._packed(inputs, shown)
            scores = self._scores(packed, places[at[here]])
            tokens[here], log_probs[here] = self._pick(
                scores, keys[sentence[here]], rank[here], step
            )
        ends = np.cumsum(np.bincount(sentence, minlength=len(inputs)))[:-1]
        return _Generated(np.split(tokens, ends), np.split(log_probs, ends))

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
        return logits.index_fill_(1, self._excluded, -torch.inf).log_softmax(dim=1)

    def _pick(
        self, scores: torch.Tensor, keys: U64, positions: np.ndarray, step: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns a token of each row of log probabilities, and its log probability."""
        k = min(self.config.top_k, scores.shape[1])
        best, ids = _best(scores) if k == 1 else scores.topk(k, dim=1)
        found, tokens = best.double().cpu().numpy(), ids.cpu().numpy()
        place = np.zeros(len(found), np.int64)
        if k > 1:
            # Relative to the best, so that no probability underflows. A token that is masked again
            # must not get the draw of an earlier pass, hence the variant.
            weights = np.exp(found - found[:, :1])
            place = sample_token(
                weights, keys, seed=self.config.seed, variant=step, position=positions
            )
        rows = np.arange(len(found))
        return tokens[rows, place], found[rows, place]

    def _rows(self, requests: pa.RecordBatch, generated: _Generated) -> pa.RecordBatch:
        tokenizer = self.checkpoint.tokenizer
        ids = [tokens.tolist() for tokens in generated.tokens]
        return generated_rows(
            requests,
            texts=tokenizer.pretrained.backend_tokenizer.decode_batch(ids),
            tokens=[tokenizer.pretrained.convert_ids_to_tokens(i) for i in ids],
            scores=[float(p.mean()) if len(p) else 0.0 for p in generated.log_probs],
            generator=self.generator,
        )


def _best(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if scores.device.type != "cpu":
        return scores.max(dim=1, keepdim=True)
    # numpy takes a fifth of the time of torch's `max`: 0.4 against 2.0 ms for 256 x 16,000.
    ids = torch.from_numpy(scores.numpy().argmax(axis=1))[:, None]
    return scores.gather(1, ids), ids


def _least_certain(log_probs: F32, sentence: np.ndarray, share: float) -> np.ndarray:
    """Returns [n] True at the floor(share x N) least certain of each sentence's N tokens."""
    # The last key goes first: by sentence, and within one by certainty, the least first.
    order = np.lexsort((log_probs, sentence))
    counts = np.bincount(sentence)
    place = np.arange(len(order)) - np.searchsorted(sentence, sentence)
    chosen = np.zeros(len(order), bool)
    chosen[order] = place < np.floor(share * counts)[sentence]
    return chosen
