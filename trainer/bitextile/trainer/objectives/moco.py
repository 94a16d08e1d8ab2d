"""MoCo: a sentence is to be nearer to its translation than to a queue of other sentences.

    L_sent = - log exp(q.k+ / tau) / ( exp(q.k+ / tau) + sum_{k in queue} exp(q.k / tau) )
    theta_k <- m theta_k + (1 - m) theta_q        after each step
    L = L_TLM + L_sent

q and k+ are the projected, unit-norm [CLS] vectors of the two sentences of a pair, each encoded
alone; a fair coin per pair decides which language goes to the query and which to the key encoder
(random input shuffling). TLM runs on the pair in the same order, on the query encoder.

Source: post-pretraining alignment (PPA, arXiv 2010.12547), section 3; momentum contrast: He et al.
2020. Our choices: queue 32,000, m = 0.999, tau = 0.05, a two-layer projection to 128; the queue
starts empty and enters the loss as far as it is filled; the query's own sentence and key, and all
translations of either in the dataset, are no negatives (translations.py), since in multi-parallel
data a sentence stands in several pairs; the keys of a step enter the queue when the step is done,
sorted by sentence, so that the queue is the same on any number of devices; language embeddings
have a momentum copy as the body has. The queue is part of the checkpoint.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from bitextile.kernels.arrays import I64, U64, Bool
from bitextile.schema.dataset import Dataset
from bitextile.schema.kinds import Kind
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate, collate_plain
from bitextile.trainer.data.examples import Example, Input, join
from bitextile.trainer.data.masking import draws
from bitextile.trainer.data.packed import Packed, map_tensors
from bitextile.trainer.data.tokens import Encoding, Tokenizer, truncate
from bitextile.trainer.losses import LossSum
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.model.projection import projection_head
from bitextile.trainer.objectives.config import MocoSettings
from bitextile.trainer.objectives.mlm import predict
from bitextile.trainer.objectives.objective import Gather, records, texts_of, truncate_pair
from bitextile.trainer.objectives.tlm import PAIR_COLUMNS
from bitextile.trainer.objectives.translations import (
    NO_TRANSLATIONS,
    Translations,
    read_translations,
    sentence_ids,
)

Texts = tuple[str, ...]


def contrast(
    query: torch.Tensor,
    key: torch.Tensor,
    queue: torch.Tensor,
    same: torch.Tensor,
    *,
    temperature: float,
) -> LossSum:
    """Returns the contrastive loss of queries, summed, and their number.

    Args:
        query: [B, D], unit norm.
        key: [B, D] of the translations, unit norm, without gradient.
        queue: [Q, D] of other sentences; Q may be 0, the loss is 0 then.
        same: [B, Q] True where an entry of the queue is the query or a translation of it.
        temperature: tau.

    >>> q, k = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    >>> one = contrast(q, k, -k, torch.tensor([[False]]), temperature=1.0)
    >>> round(float(one.total), 4)  # log(1 + exp(-2))
    0.1269
    """
    positive = (query * key).sum(dim=-1, keepdim=True)
    # exp(-inf) = 0: what says the same as the query is no negative.
    negative = (query @ queue.T).masked_fill(same, -torch.inf)
    logits = torch.cat([positive, negative], dim=1)
    logits = (logits if logits.dtype == torch.float64 else logits.float()) / temperature
    # Column 0, the translation, is the class to tell from the queue's. Alone, with an empty queue,
    # it has probability 1 and loss 0.
    wanted = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    total = cross_entropy(logits, wanted, reduction="sum")
    return LossSum(total, torch.tensor(len(logits), device=logits.device))


def excluded(
    queue_ids: torch.Tensor, ids: torch.Tensor, rows: torch.Tensor, n: int
) -> torch.Tensor:
    """Returns [n, Q] True where an entry of the queue is a sentence that a query excludes.

    Args:
        queue_ids: [Q] sentence of each entry.
        ids: [e] sentences to exclude.
        rows: [e] the query that excludes each.
        n: queries.

    >>> excluded(torch.tensor([7, 5, 7]), torch.tensor([7, 6]), torch.tensor([1, 0]), 2).tolist()
    [[False, False, False], [True, False, True]]
    """
    if not len(queue_ids):
        return torch.zeros(n, 0, dtype=torch.bool, device=queue_ids.device)
    # By bisection: a query may exclude thousands ("Yes."), and [e, Q] comparisons would not fit.
    # What equals stands for all of its equals, which `first` finds again.
    ordered = queue_ids.sort().values
    first = torch.searchsorted(ordered, queue_ids)
    at = torch.searchsorted(ordered, ids).clamp(max=len(ordered) - 1)
    hits = torch.zeros(n, len(ordered), dtype=torch.int32, device=ordered.device)
    hits.index_put_((rows, at), (ordered[at] == ids).int(), accumulate=True)
    return hits[:, first] > 0


class MomentumContrast(nn.Module):
    """The projection, the key encoder that follows by momentum, and the queue.

    Attributes:
        queue: [Q, D] keys, the oldest overwritten first.
        queue_ids: [Q] ids of their sentences.
        queued: how many keys ever entered.
    """

    queue: torch.Tensor
    queue_ids: torch.Tensor
    queued: torch.Tensor

    def __init__(self, encoder: Encoder, *, queue: int, projection: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        # By this name it is written beside the model too (model/projection.py).
        self.project = projection_head(encoder.width, projection)
        # The key encoder starts as the query encoder (He et al. 2020, algorithm 1).
        self.key_body = copy.deepcopy(encoder.mlm.base_model).requires_grad_(False)
        self.key_project = copy.deepcopy(self.project).requires_grad_(False)
        self.key_language = copy.deepcopy(encoder.language)
        if self.key_language is not None:
            self.key_language.requires_grad_(False)
        self.register_buffer("queue", torch.zeros(queue, projection))
        self.register_buffer("queue_ids", torch.zeros(queue, dtype=torch.long))
        self.register_buffer("queued", torch.zeros((), dtype=torch.long))
        self._staged: list[tuple[torch.Tensor, torch.Tensor]] = []

    # Through the same packing as the query; body and language embeddings are the copies.
    def keys(self, encoder: Encoder, sentences: Packed) -> torch.Tensor:
        """Returns [B, D] keys of sentences, without gradient."""
        with torch.no_grad():
            vectors = encoder.vectors(sentences, body=self.key_body, language=self.key_language)[
                sentences.starts
            ]
            return normalize(self.key_project(vectors).float(), dim=-1)

    def filled(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the part of the queue that holds keys, and their ids."""
        n = min(int(self.queued), len(self.queue))
        return self.queue[:n], self.queue_ids[:n]

    def stage_keys(self, keys: torch.Tensor, ids: torch.Tensor) -> None:
        """Keeps keys for the queue until the step is done.

        Args:
            keys: [B, D].
            ids: [B] of their sentences.
        """
        self._staged.append((keys.detach(), ids))

    def after_step(self, encoder: Encoder, gather: Gather) -> None:
        """Moves the key encoder after the query encoder, and the step's keys into the queue."""
        with torch.no_grad():
            _follow(self.key_body, encoder.mlm.base_model, self.momentum)
            _follow(self.key_project, self.project, self.momentum)
            if self.key_language is not None and encoder.language is not None:
                _follow(self.key_language, encoder.language, self.momentum)
            self._enqueue(gather(self._staged))
        self._staged = []

    def _enqueue(self, staged: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        if not staged:
            return
        device = self.queue.device
        ids = torch.cat([i.to(device) for _, i in staged])
        keys = torch.cat([k.to(device) for k, _ in staged])
        # By sentence, not by rank: the queue is the same on any number of devices.
        order = torch.argsort(ids, stable=True)[-len(self.queue) :]
        # A ring: the oldest keys are overwritten.
        slots = (int(self.queued) + torch.arange(len(order), device=device)) % len(self.queue)
        self.queue[slots], self.queue_ids[slots] = keys[order], ids[order]
        self.queued += len(order)


def _follow(follower: nn.Module, leader: nn.Module, momentum: float) -> None:
    for mine, theirs in zip(follower.parameters(), leader.parameters(), strict=True):
        mine.mul_(momentum).add_(theirs, alpha=1.0 - momentum)


@dataclass(frozen=True)
class ContrastiveBatch:
    """The two sentences of each pair, and the pair itself for TLM.

    Attributes:
        pair: concatenated and masked; None without TLM.
        query: [B] sentences alone.
        key: [B] their translations.
        ids: [B] int64, of the keys' sentences.
        excluded: [e] int64 sentences that are no negatives.
        excluded_rows: [e] int64, of which query.
    """

    pair: MaskedBatch | None
    query: Packed
    key: Packed
    ids: torch.Tensor
    excluded: torch.Tensor
    excluded_rows: torch.Tensor

    @property
    def packs(self) -> tuple[Packed, ...]:
        """Every set of rows that an encoder runs over."""
        pair = () if self.pair is None else self.pair.packs
        return (*pair, self.query, self.key)

    @property
    def frozen_packs(self) -> tuple[Packed, ...]:
        """The keys': their encoder follows by momentum."""
        return (self.key,)

    @property
    def n_predictions(self) -> int:
        """How many vectors the head makes logits of: those of TLM alone."""
        return 0 if self.pair is None else self.pair.n_predictions

    def to(self, device: torch.device) -> "ContrastiveBatch":
        """Returns the batch on a device."""
        return map_tensors(self, lambda tensor: tensor.to(device, non_blocking=True))


@dataclass(frozen=True)
class Moco:
    """Adapter: each sentence alone, and with `tlm` the pair.

    Attributes:
        max_length: tokens of an input with special tokens.
        queue: keys that serve as negatives.
        momentum: m.
        temperature: tau.
        projection: size of a projected vector.
        tlm: add TLM on the same pairs, PPA's whole loss.
        seed: of the coin.
        translations: which sentences of the dataset have several, over all language pairs.
    """

    max_length: int
    queue: int = 32_000
    momentum: float = 0.999
    temperature: float = 0.05
    projection: int = 128
    tlm: bool = True
    seed: int = 0
    name: str = "moco"
    translations: Translations = field(default=NO_TRANSLATIONS, repr=False)

    @classmethod
    def build(
        cls, settings: MocoSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
    ) -> "Moco":
        """Returns the objective of an entry."""
        return cls(
            max_length,
            queue=settings.queue,
            momentum=settings.momentum,
            temperature=settings.temperature,
            projection=settings.projection,
            tlm=settings.tlm,
            seed=seed,
        )

    def of_dataset(self, dataset: Dataset) -> "Moco":
        """Returns the objective, knowing the translations of a dataset."""
        return replace(self, translations=read_translations(dataset))

    def columns(self, kind: Kind) -> tuple[str, ...]:
        """Returns the columns read."""
        return PAIR_COLUMNS

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns query, key and, with `tlm`, the pair, in the order of the coin."""
        ids, keys = records(rows)
        src, tgt = texts_of(rows, "src", "tgt")
        languages = list(zip(*texts_of(rows, "src_lang", "tgt_lang")))
        src_is_query = self._coins(keys, epochs)
        sentences_of = np.stack([sentence_ids(src), sentence_ids(tgt)], axis=1)
        examples = []
        for i, sides in enumerate(zip(tokenizer.encode(src), tokenizer.encode(tgt))):
            turn = 1 if src_is_query[i] else -1
            texts = (src[i], tgt[i])[::turn]
            inputs, n_truncated, sentences = self._inputs(
                tokenizer, sides[::turn], texts, languages[i][::turn]
            )
            example = Example(ids[i], keys[i], int(epochs[i]), inputs, n_truncated)
            around = self.translations.around(sentences_of[i, ::turn])
            examples.append(replace(example, sentences=sentences, sentence_ids=around))
        return examples

    def _coins(self, keys: U64, epochs: I64) -> Bool:
        return draws(keys, epochs, seed=self.seed, operation="moco/coin") < 0.5

    def _inputs(
        self, tokenizer: Tokenizer, sides: tuple[Encoding, ...], texts: Texts, languages: Texts
    ) -> tuple[tuple[Input, ...], int, tuple[Input, Input]]:
        """Returns the pair (if TLM runs), the subwords cut off, and the two sentences."""
        # A sentence alone has more room than in the pair, so it is cut for itself.
        alone = [truncate(side, self.max_length - 2, text) for side, text in zip(sides, texts)]
        one, other = (
            join(tokenizer, side, languages=(language,)) for side, language in zip(alone, languages)
        )
        if not self.tlm:
            return (), alone[0].n_truncated + alone[1].n_truncated, (one, other)
        first, second = truncate_pair(sides[0], sides[1], (texts[0], texts[1]), self.max_length)
        pair = join(tokenizer, first, second, languages=languages)
        return (pair,), first.n_truncated + second.n_truncated, (one, other)

    def collate(self, examples: Sequence[Example], collation: Collation) -> ContrastiveBatch:
        """Returns packed rows of sentences and of pairs."""
        pairs = [(e.sentences[0], e.sentences[1]) for e in examples if e.sentences is not None]
        around = [e.sentence_ids for e in examples if e.sentence_ids is not None]
        rows = np.repeat(np.arange(len(around)), [len(ids) for ids in around])
        return ContrastiveBatch(
            collate(examples, collation) if self.tlm else None,
            collate_plain([query for query, _ in pairs], collation),
            collate_plain([key for _, key in pairs], collation),
            torch.from_numpy(np.asarray([ids[1] for ids in around], np.int64)),
            torch.from_numpy(np.concatenate(around)),
            torch.from_numpy(rows),
        )

    def module(self, encoder: Encoder) -> MomentumContrast:
        """Returns projection, key encoder and queue."""
        return MomentumContrast(
            encoder, queue=self.queue, projection=self.projection, momentum=self.momentum
        )

    def losses(
        self, encoder: Encoder, objective_module: MomentumContrast, batch: ContrastiveBatch
    ) -> dict[str, LossSum]:
        """Returns `contrast` and, with TLM, `tlm`."""
        vectors = encoder.vectors(batch.query)[batch.query.starts]
        query = normalize(objective_module.project(vectors).float(), dim=-1)
        keys = objective_module.keys(encoder, batch.key)
        queue, ids = objective_module.filled()
        same = excluded(ids, batch.excluded, batch.excluded_rows, len(batch.ids))
        parts = {"contrast": contrast(query, keys, queue, same, temperature=self.temperature)}
        # Validation compares with the queue, and must not fill it.
        if objective_module.training:
            objective_module.stage_keys(keys, batch.ids)
        if batch.pair is not None:
            parts["tlm"] = predict(encoder, batch.pair)
        return parts

    def weights(self, batch: ContrastiveBatch) -> dict[str, int]:
        """Returns the number of pairs and, with TLM, of predicted positions."""
        tlm = {} if batch.pair is None else {"tlm": len(batch.pair.targets)}
        return {"contrast": len(batch.ids)} | tlm
