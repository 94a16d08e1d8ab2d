"""Masked perplexity per language: fixed masks keyed by row id, so that models can be compared.

    exp( - (1 / |M|) sum_{k in M} log p(x_k | R_k) )      M: 15 % of positions, all shown as [MASK]

A perplexity per subword: comparable between models with the same tokenizer only.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS
from bitextile.trainer.data.collate import Collation, Masked, collate
from bitextile.trainer.data.examples import Example, Input, join, within
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.data.tokens import Coder, cut
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.vectors import BATCH_TOKENS, Embedder
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.objective import records

RATE = 0.15
SEED = 0


@dataclass(frozen=True)
class PerplexityResult:
    """Masked perplexity of one language.

    Attributes:
        perplexity: per masked subword.
        sentences: read.
        predictions: masked subwords.
    """

    perplexity: Estimate
    sentences: int
    predictions: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return asdict(self)


def perplexities(
    embedder: Embedder, path: str, *, split: str | None, limit: int, given: bool = False
) -> dict[str, PerplexityResult]:
    """Returns the masked perplexity of each language of a dataset.

    Args:
        embedder: the model; its layer does not matter here.
        path: a mono, pairs or aligned dataset; of a pair each side is a sentence of its own.
        split: train, valid or test; None for all.
        limit: sentences per key and side at most.
        given: of a pair, show the other side too, unmasked, in the order of the dataset: the
            perplexity given the translation.

    Raises:
        InputError: the split has no rows, or `given` is asked of sentences without translation.
    """
    examples = _examples(embedder, path, split, limit, given)
    if not examples:
        raise InputError(f"{path}: no row of split {split!r}; give --split, or all")
    return {language: _perplexity(embedder, rows) for language, rows in sorted(examples.items())}


def _examples(
    embedder: Embedder, path: str, split: str | None, limit: int, given: bool
) -> dict[str, list[Example]]:
    dataset = open_dataset(path, (PAIRS, ALIGNED) if given else (MONO, PAIRS, ALIGNED))
    sides = dataset.kind.sides
    columns = (dataset.kind.id_columns[0], *(c for side in sides for c in side))
    found: dict[str, list[Example]] = {}
    for key in dataset.keys:
        rows = split_rows(dataset, key, columns, split=split, limit=limit)
        if rows is None:
            continue
        ids, keys = records(rows)
        texts = [rows.column(text).to_pylist() for _, text in sides]
        for masked, (lang, _) in enumerate(sides):
            for i, language in enumerate(rows.column(lang).to_pylist()):
                shown = [column[i] for column in texts] if given else [texts[masked][i]]
                inputs = _input(embedder, shown, masked if given else 0)
                found.setdefault(language, []).append(Example(ids[i], keys[i], 0, (inputs,)))
    return found


def _input(embedder: Embedder, texts: list[str], masked: int) -> Input:
    """Returns one or two sentences as an input of which only sentence `masked` may be masked."""
    coder = embedder.coder
    room = (embedder.max_length - 1 - len(texts)) // len(texts)
    sides = [cut(side, room, text) for side, text in zip(coder.sides(texts), texts)]
    joined = join(coder, *sides, languages=("",) * len(sides))
    return replace(joined, maskable=joined.maskable & (joined.sides == masked))


def _perplexity(embedder: Embedder, examples: list[Example]) -> PerplexityResult:
    terms = np.asarray(list(_terms(embedder, examples)), np.float64).reshape(-1, 2)
    if not terms[:, 1].sum():
        raise InputError("too few sentences: not one subword was masked; give more data")
    return PerplexityResult(
        bootstrap(terms, lambda s: math.exp(s[0] / max(s[1], 1.0)), operation="mlm"),
        sentences=len(examples),
        predictions=int(terms[:, 1].sum()),
    )


def _terms(embedder: Embedder, examples: list[Example]) -> Iterator[tuple[float, int]]:
    """Yields each example's sum of negative log likelihoods and number of predictions."""
    collation = Collation(
        masking=_masking(embedder.coder), pad=embedder.coder.pad, width=embedder.max_length
    )
    for group in within(BATCH_TOKENS, examples):
        batch = collate(group, collation).to(embedder.device)
        logits = _logits(embedder, batch)
        owner = batch.packed.groups.flatten()[batch.predicted].cpu() - 1
        targets = batch.targets.cpu()
        for i in range(len(group)):
            part = masked_lm(logits[owner == i], targets[owner == i])
            yield float(part.total), int(part.weight)


def _masking(coder: Coder) -> Masking:
    return Masking(
        rate=RATE,
        mask=coder.mask,
        ordinary=coder.ordinary,
        seed=SEED,
        operation="mask/evaluate",
        masked=1.0,
        random=0.0,
    )


def _logits(embedder: Embedder, batch: Masked) -> torch.Tensor:
    with torch.no_grad():
        vectors = embedder.encoder.vectors(batch.packed)[batch.predicted]
        return embedder.encoder.logits(vectors).cpu()
