"""Negative log likelihoods of masked subwords, sentence by sentence."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from bitextile.kernels.progress import count, numbered
from bitextile.schema.dataset import Dataset
from bitextile.trainer.data.collate import Collation, MaskedBatch, collate
from bitextile.trainer.data.examples import Example, Input, batch_by_tokens, join
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.streams import split_rows
from bitextile.trainer.data.tokens import Tokenizer, truncate
from bitextile.trainer.evaluate.vectors import BATCH_TOKENS, Embedder
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.objective import records

RATE = 0.15
SEED = 0


def masked_examples(
    embedder: Embedder,
    dataset: Dataset,
    *,
    split: str | None,
    max_rows: int,
    conditional: bool,
) -> dict[str, list[Example]]:
    """Returns the sentences of a dataset by language, each as an input of its own.

    Args:
        embedder: gives tokenizer and length.
        dataset: of kind mono, pairs or aligned; of a pair each side is a sentence of its own.
        split: train, valid or test; None for all.
        max_rows: of a language pair or language at most.
        conditional: show the other side of a pair too, unmasked, in the order of the dataset.

    Returns:
        Without sentences that are shown in a language of which the embedder has no embedding.
    """
    sides = dataset.kind.sides
    columns = (dataset.kind.id_columns[0], *(c for side in sides for c in side))
    found: dict[str, list[Example]] = {}
    for key in dataset.keys:
        rows = split_rows(dataset, key, columns, split=split, limit=max_rows)
        if rows is None:
            continue
        ids, keys = records(rows)
        texts = [rows.column(text).to_pylist() for _, text in sides]
        languages = [rows.column(lang).to_pylist() for lang, _ in sides]
        for masked in range(len(sides)):
            for i, language in enumerate(languages[masked]):
                shown = list(range(len(sides))) if conditional else [masked]
                tags = tuple(languages[side][i] for side in shown)
                if not embedder.knows(tags):
                    continue
                inputs, n_truncated = _input(
                    embedder, [texts[side][i] for side in shown], tags, shown.index(masked)
                )
                # Epoch 0 and the row's key: every model is asked for the same positions.
                example = Example(ids[i], keys[i], 0, (inputs,), n_truncated)
                found.setdefault(language, []).append(example)
    return found


def _input(
    embedder: Embedder, texts: list[str], languages: tuple[str, ...], masked: int
) -> tuple[Input, int]:
    """Returns one or two sentences as an input of which only sentence `masked` may be masked.

    And how many of their subwords did not fit.
    """
    tokenizer = embedder.tokenizer
    # Half for each of two sentences, whatever their lengths: what is predicted of one must not
    # depend on how long the other is.
    room = (embedder.max_length - 1 - len(texts)) // len(texts)
    sides = [truncate(side, room, text) for side, text in zip(tokenizer.encode(texts), texts)]
    joined = join(tokenizer, *sides, languages=languages)
    one = replace(joined, maskable=joined.maskable & (joined.sides == masked))
    return one, sum(side.n_truncated for side in sides)


def likelihoods(
    embedder: Embedder, examples: list[Example], *, reset_positions: bool = False
) -> list[tuple[float, int]]:
    """Returns of each example the summed negative log likelihood, nats, and the predictions.

    Args:
        embedder: the model.
        examples: as `masked_examples` gives them.
        reset_positions: positions start again in the second sentence.
    """
    collation = Collation(
        masking=_masking(embedder.tokenizer),
        pad=embedder.tokenizer.pad,
        width=embedder.max_length,
        languages=embedder.languages,
        reset_positions=reset_positions,
    )
    return list(_likelihoods(embedder, examples, collation))


def _likelihoods(
    embedder: Embedder, examples: list[Example], collation: Collation
) -> Iterator[tuple[float, int]]:
    step = numbered("PredictWords")
    for group in batch_by_tokens(BATCH_TOKENS, examples):
        batch = collate(group, collation).to(embedder.device)
        logits = _logits(embedder, batch)
        # Group g is input g - 1, and each example here has one input.
        owner = batch.packed.groups.flatten()[batch.predicted].cpu() - 1
        targets = batch.targets.cpu()
        count(step, len(group), total=len(examples))
        for i in range(len(group)):
            part = masked_lm(logits[owner == i], targets[owner == i])
            yield float(part.total), int(part.weight)


def _masking(tokenizer: Tokenizer) -> Masking:
    return Masking(
        rate=RATE,
        mask=tokenizer.mask,
        ordinary=tokenizer.ordinary,
        seed=SEED,
        operation="mask/evaluate",
        # All shown as [MASK]: BERT's 80/10/10 is for training, and would measure copying too.
        masked=1.0,
        random=0.0,
    )


def _logits(embedder: Embedder, batch: MaskedBatch) -> torch.Tensor:
    with torch.no_grad():
        vectors = embedder.encoder.vectors(batch.packed)[batch.predicted]
        return embedder.encoder.logits(vectors).cpu()
