"""Sentence-pair classification, plain and with SALT's two augmentations.

    input  [CLS] premise [SEP] hypothesis [SEP],  p(y | x) = softmax(head(R_1))
    L = 1/n sum_i  - log p(y_i | x_i)                      plain
                   - log p(y_i | x_i with words switched)  copy, where the row has one
                   - log p(y_i | x_i, embeddings mixed)    mixup, where the row has candidates

Source: SALT (arXiv 2309.10891), which learns from the original and from both augmented forms. The
sum is our choice: all three parts are divided by the n rows of the step, so that a row counts as
much however many others are augmented, and one without an augmented form adds nothing for it.

Switched copies are written offline (`codeswitch --method candidates`, or any other), by field;
where a field has several, each epoch draws one. A row has a copy if one of its fields has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from bitextile.kernels.arrays import I64, U64
from bitextile.kernels.randomness import hash64
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.examples import Example, Input, join
from bitextile.trainer.data.masking import draws
from bitextile.trainer.data.packed import Packed, flatten, map_tensors, pack_inputs
from bitextile.trainer.data.tokens import Encoding, Tokenizer
from bitextile.trainer.evaluate.task import NO_AUGMENTATION, Augmentation
from bitextile.trainer.finetune.mixup import Mixing, Mixup, mixing_of, shares_of
from bitextile.trainer.finetune.model import Classifier, fresh_classifier
from bitextile.trainer.losses import LossSum, masked_lm
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.objective import texts_of, truncate_pair

VIEWS = ("plain", "copy", "mixup")
Pair = tuple[str, str]


@dataclass(frozen=True)
class LabelledExample(Example):
    """A row to classify; `inputs` are its forms.

    Attributes:
        label: its class.
        views: of each input, index into VIEWS.
        share: lambda of its mixup.
        mixing: what is mixed in the last input, if that is the mixed form.
    """

    label: int = 0
    views: tuple[int, ...] = (0,)
    share: float = 1.0
    mixing: Mixing | None = None


@dataclass(frozen=True)
class ClassificationBatch:
    """Packed inputs with their classes.

    Attributes:
        packed: the rows.
        views: [inputs] int64 index into VIEWS.
        targets: [inputs] int64 classes.
        mixup: what is mixed, if anything.
        n_rows: how many rows of the task the inputs come from.
    """

    packed: Packed
    views: torch.Tensor
    targets: torch.Tensor
    mixup: Mixup | None
    n_rows: int

    @property
    def packs(self) -> tuple[Packed, ...]:
        """Every set of rows that the encoder runs over."""
        return (self.packed,)

    def to(self, device: torch.device) -> "ClassificationBatch":
        """Returns the batch on a device."""
        batch: ClassificationBatch = map_tensors(
            self, lambda tensor: tensor.to(device, non_blocking=True)
        )
        return batch


@dataclass(frozen=True)
class Classify:
    """Adapter: rows of a task with two fields and their `class`.

    Attributes:
        fields: names of both columns of text.
        labels: name of each class.
        max_length: tokens of an input with special tokens; longer fields are truncated at a word.
        seed: of the run.
        augmentation: what SALT adds to the fields.
        model: the encoder's folder, which may have layers of the head; None for a fresh head.
    """

    fields: tuple[str, ...]
    labels: tuple[str, ...]
    max_length: int
    seed: int = 0
    augmentation: Augmentation = NO_AUGMENTATION
    model: str | None = None
    name: str = "classify"

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the loss."""
        added = self.augmentation
        on = {"plain": True, "copy": added.copies is not None, "mixup": added.choices is not None}
        return tuple(view for view in VIEWS if on[view])

    def examples(self, rows: pa.Table, epochs: I64, tokenizer: Tokenizer) -> list[Example]:
        """Returns one `LabelledExample` per row, of one to three inputs."""
        records = rows.column("record").to_pylist()
        keys = hash64(pa.array(records, pa.string()))
        texts: list[Pair] = list(zip(*texts_of(rows, *self.fields)))
        sides = self._sides(texts, tokenizer)
        copied = self._copied(rows, texts, keys, epochs)
        # All copies in one call of the tokenizer; they are taken in the order of their rows.
        of_copies = iter(self._sides([pair for pair in copied if pair is not None], tokenizer))
        shares = shares_of(keys, epochs, seed=self.seed)
        mixings = self._mixed(rows, texts, sides)
        classes = rows.column("class").to_pylist()
        examples: list[Example] = []
        for i, pair in enumerate(sides):
            forms = [(0, pair)]
            forms += [(1, next(of_copies))] if copied[i] is not None else []
            forms += [(2, pair)] if mixings[i] is not None else []
            examples.append(
                LabelledExample(
                    record=records[i],
                    key=keys[i],
                    epoch=int(epochs[i]),
                    inputs=tuple(_input(tokenizer, form) for _, form in forms),
                    n_truncated=sum(side.n_truncated for side in pair),
                    label=classes[i],
                    views=tuple(view for view, _ in forms),
                    share=float(shares[i]),
                    mixing=mixings[i],
                )
            )
        return examples

    def _sides(
        self, texts: Sequence[Pair], tokenizer: Tokenizer
    ) -> list[tuple[Encoding, Encoding]]:
        flat = tokenizer.encode([text for pair in texts for text in pair])
        return [
            truncate_pair(premise, hypothesis, pair, self.max_length)
            for premise, hypothesis, pair in zip(flat[::2], flat[1::2], texts)
        ]

    def _copied(
        self, rows: pa.Table, texts: Sequence[Pair], keys: U64, epochs: I64
    ) -> list[Pair | None]:
        """Returns the copy of each row, None where no field has one."""
        copies = self.augmentation.copies
        if copies is None:
            return [None] * len(texts)
        fields = []
        for number, name in enumerate(self.fields):
            # Each field draws for itself: two copies of both fields make four forms of a row.
            drawn = draws(keys, epochs, seed=self.seed, operation="finetune/copy", positions=number)
            ids = rows.column(f"{name}_id").to_pylist()
            known = [copies.get(text_id, ()) for text_id in ids]
            # u < 1, so the index is one of the copies.
            fields.append([c[int(u * len(c))] if c else None for c, u in zip(known, drawn)])
        return [
            None if p is None and h is None else (p or text[0], h or text[1])
            for p, h, text in zip(*fields, texts)
        ]

    def _mixed(
        self, rows: pa.Table, texts: Sequence[Pair], sides: Sequence[tuple[Encoding, Encoding]]
    ) -> list[Mixing | None]:
        """Returns what is mixed in each row, None where no field has candidates."""
        choices, tokens = self.augmentation.choices, self.augmentation.tokens
        if choices is None or tokens is None:
            return [None] * len(texts)
        ids = zip(*(rows.column(f"{name}_id").to_pylist() for name in self.fields))
        return [
            mixing_of(list(zip(pair, text)), [choices.get(i) for i in own], tokens)
            for own, pair, text in zip(ids, sides, texts)
        ]

    def collate(self, examples: Sequence[Any], collation: Collation) -> ClassificationBatch:
        """Returns packed rows of `LabelledExample` examples: all forms of a row in one batch."""
        inputs = [i for e in examples for i in e.inputs]
        flat = flatten(inputs)
        packed, _ = pack_inputs(
            flat, flat.tokens, width=collation.width, pad=collation.pad, layout=collation.layout
        )
        views = [view for e in examples for view in e.views]
        targets = [e.label for e in examples for _ in e.views]
        return ClassificationBatch(
            packed=packed,
            views=torch.tensor(views),
            targets=torch.tensor(targets),
            mixup=_mixup(examples, packed.starts.numpy()),
            n_rows=len(examples),
        )

    def module(self, encoder: Encoder) -> Classifier:
        """Returns the head, fresh but for layers that the encoder's folder has."""
        return fresh_classifier(encoder, self.labels, folder=self.model)

    def losses(
        self, encoder: Encoder, objective_module: Classifier, batch: ClassificationBatch
    ) -> dict[str, LossSum]:
        """Returns the parts `plain`, `copy` and `mixup`, as far as they are wanted."""
        scores = logits(encoder, objective_module, batch)
        weight = torch.tensor(batch.n_rows)
        found = {}
        for view, name in enumerate(VIEWS):
            if name in self.parts:
                of_view = batch.views == view
                # Divided by rows, not by inputs: a view that few rows have weighs as few rows.
                total = masked_lm(scores[of_view], batch.targets[of_view]).total
                found[name] = LossSum(total, weight)
        return found

    def weights(self, batch: ClassificationBatch) -> dict[str, int]:
        """Returns the number of rows, for each part."""
        return dict.fromkeys(self.parts, batch.n_rows)


def logits(
    encoder: Encoder, objective_module: Classifier, batch: ClassificationBatch
) -> torch.Tensor:
    """Returns the scores [inputs, classes] of a batch."""
    vectors = encoder.vectors(batch.packed, change=batch.mixup)
    return objective_module(vectors[batch.packed.starts])


def _input(tokenizer: Tokenizer, pair: tuple[Encoding, Encoding]) -> Input:
    # No languages: their embeddings are of pre-training only, and the encoder is opened without.
    return join(tokenizer, *pair, languages=("", ""))


def _mixup(examples: Sequence[LabelledExample], starts: I64) -> Mixup | None:
    """Returns the mixings of all examples, at the places where their last inputs lie."""
    # flat:  plain_0 mixed_0 | plain_1 | plain_2 copy_2 mixed_2      last: 1 2 5
    last = np.cumsum([len(e.inputs) for e in examples]) - 1
    mixed = [(e, e.mixing, starts[k]) for e, k in zip(examples, last) if e.mixing is not None]
    if not mixed:
        return None
    sizes = np.asarray([len(m.places) for _, m, _ in mixed])
    before = np.cumsum(sizes) - sizes
    return Mixup(
        places=torch.from_numpy(np.concatenate([m.places + start for _, m, start in mixed])),
        shares=torch.tensor([e.share for e, _, _ in mixed]).repeat_interleave(
            torch.from_numpy(sizes)
        ),
        rows=torch.from_numpy(np.concatenate([m.rows + b for (_, m, _), b in zip(mixed, before)])),
        ids=torch.from_numpy(np.concatenate([m.ids for _, m, _ in mixed]).astype(np.int64)),
        weights=torch.from_numpy(np.concatenate([m.weights for _, m, _ in mixed])),
    )
