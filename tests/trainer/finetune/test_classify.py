"""The loss is that of rows one by one: plain, switched, mixed; heads are those of transformers."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.finetune.augment import read_copies
from bitextile.trainer.finetune.classify import VIEWS
from bitextile.trainer.finetune.loop import _entry
from bitextile.trainer.finetune.model import (
    fresh_classifier,
)
from bitextile.trainer.model.build import load_masked_lm
from bitextile.trainer.model.encoder import Encoder


@pytest.fixture
def learned(tuning, salt, encoder, tokenizer):
    """The entry of a fine-tuning with both augmentations, its encoder and head, without dropout."""
    entry, _ = _entry(tuning(**salt), tokenizer)
    body = Encoder(load_masked_lm(encoder)).eval()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        head = fresh_classifier(body, entry.objective.labels).eval()
    return entry, body, head


def examples(entry, tokenizer, epoch: int = 0) -> list:
    rows = entry.row_streams[0].rows
    return entry.objective.examples(rows, np.full(len(rows), epoch), tokenizer)


def test_parts_are_sums_over_forms_divided_by_all_rows(learned, tokenizer, collation):
    entry, body, head = learned
    made = examples(entry, tokenizer)
    has = {name: sum(k in e.views for e in made) for k, name in enumerate(VIEWS)}
    assert has["plain"] == 20
    assert 0 < has["copy"] < 20
    assert has["mixup"] < 20  # the first row's fields have no candidates
    batch = entry.objective.collate(made, collation)
    with torch.no_grad():
        losses = entry.objective.losses(body, head, batch)
    assert entry.objective.weights(batch) == dict.fromkeys(VIEWS, 20)
    want = dict.fromkeys(VIEWS, 0.0)
    for e in made:
        for view, form in zip(e.views, e.inputs):
            ids = torch.from_numpy(form.tokens.astype(np.int64))[None]
            # By embeddings, as mixup changes them; plain and switched forms go the same way
            # unchanged.
            embedded = body.table[ids].detach().clone()
            for m, place in enumerate(e.mixing.places if view == 2 else ()):
                here = e.mixing.rows == m
                other = sum(
                    float(w) * body.table[int(i)]
                    for i, w in zip(e.mixing.ids[here], e.mixing.weights[here])
                )
                embedded[0, place] = e.share * embedded[0, place] + (1 - e.share) * other
            with torch.no_grad():
                hidden = body.mlm.base_model(inputs_embeds=embedded).last_hidden_state
                scores = head(hidden[:, 0]).log_softmax(dim=1)
            want[VIEWS[view]] -= float(scores[0, e.label])
    for name in VIEWS:
        assert float(losses[name].total) == pytest.approx(want[name], rel=1e-4)
        assert int(losses[name].weight) == 20


@pytest.mark.parametrize(
    ("settings", "parts"),
    [((), ("plain",)), (("copies",), VIEWS[:2]), (("candidates",), VIEWS[::2])],
)
def test_each_augmentation_is_on_alone(tuning, salt, tokenizer, settings, parts):
    entry, _ = _entry(tuning(**{name: salt[name] for name in settings}), tokenizer)
    assert entry.objective.parts == parts
    forms = {VIEWS[view] for e in examples(entry, tokenizer) for view in e.views}
    assert forms == set(parts)


def test_a_row_is_augmented_alike_in_any_batch_and_anew_in_each_epoch(tuning, salt, tokenizer):
    entry, _ = _entry(tuning(**salt), tokenizer)
    rows = entry.row_streams[0].rows
    order = np.arange(len(rows))[::-1].copy()
    there = entry.objective.examples(rows.take(pa.array(order)), np.zeros(20, np.int64), tokenizer)
    here = examples(entry, tokenizer)

    def told(example) -> tuple:
        forms = [tuple(form.tokens.tolist()) for form in example.inputs]
        return example.record, example.share, example.views, forms

    assert [told(e) for e in there] == [told(e) for e in here][::-1]
    later = examples(entry, tokenizer, epoch=1)
    assert [e.share for e in later] != [e.share for e in here]
    assert [told(e)[3] for e in later] != [told(e)[3] for e in here]  # other copies of the fields


def test_copies_are_the_rows_fields_switched(tuning, salt, task_rows, tokenizer):
    entry, _ = _entry(tuning(**salt), tokenizer)
    known = read_copies([open_dataset(salt["copies"][0])], _ids(entry))
    for row, example in zip(task_rows, examples(entry, tokenizer)):
        if 1 not in example.views:
            continue
        tokens = example.inputs[example.views.index(1)].tokens.tolist()
        own = entry.row_streams[0].rows.filter(
            pa.compute.equal(entry.row_streams[0].rows.column("record"), example.record)
        )
        options = [
            {row[k], *known.get(own.column(name)[0].as_py(), ())}
            for k, name in enumerate(("premise_id", "hypothesis_id"))
        ]
        forms = [
            [
                tokenizer.cls,
                *tokenizer.encode([p])[0].ids,
                tokenizer.sep,
                *tokenizer.encode([h])[0].ids,
                tokenizer.sep,
            ]
            for p in options[0]
            for h in options[1]
        ]
        assert tokens in forms
        assert tokens != example.inputs[0].tokens.tolist()


def _ids(entry) -> set[str]:
    rows = entry.row_streams[0].rows
    return {i for n in ("premise_id", "hypothesis_id") for i in rows.column(n).to_pylist()}
