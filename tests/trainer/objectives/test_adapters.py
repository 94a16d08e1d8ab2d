"""What each objective makes of a row, and what holds for all of them."""

import functools
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.losses import LossSum
from bitextile.trainer.objectives.camlm import Camlm
from bitextile.trainer.objectives.config import OBJECTIVE_SETTINGS
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.objective import StepHook, records
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam
from toy_examples import squeezed, text

NAMES = (
    "mlm",
    "tlm",
    "camlm",
    "btmlm",
    "weam",
    "moco",
    "align_mlm",
    "dict_mlm",
    "dict_mlm/from",
)
every = pytest.mark.parametrize("name", NAMES)


def test_the_language_goes_with_the_side(tokenizer, rows):
    table = rows("pairs", 20)
    for e, src in zip(
        Mlm(64).examples(table, np.zeros(20, int), tokenizer), table["src"].to_pylist()
    ):
        of_src = squeezed(text(tokenizer, e.inputs[0])) == squeezed(src)
        assert e.inputs[0].languages == (("en",) if of_src else ("ar",))
    for e in Tlm(64).examples(table, np.zeros(20, int), tokenizer):
        assert e.inputs[0].languages == ("en", "ar")


@pytest.mark.parametrize("objective", [Tlm(16), Weam(16), Camlm(16), Moco(16)])
def test_long_pairs_are_cut_and_counted(tokenizer, rows, objective):
    examples = objective.examples(rows("aligned", 40), np.zeros(40, np.int64), tokenizer)
    whole = Tlm(512).examples(rows("aligned", 40), np.zeros(40, np.int64), tokenizer)
    for e, w in zip(examples, whole):
        (one,) = e.inputs
        assert len(one.tokens) <= 16
        assert len(one.tokens) + e.n_truncated == len(w.inputs[0].tokens)
        assert one.tokens[-1] == tokenizer.sep
    assert sum(e.n_truncated > 0 for e in examples) > 20


@every
def test_columns_exist_in_every_kind_that_is_accepted(objectives, name):
    objective, _ = objectives[name]
    for kind in OBJECTIVE_SETTINGS[objective.name].kinds:
        assert set(objective.columns(kind)) <= set(kind.schema.names)


@every
def test_columns_suffice(objectives, name, rows, word_tokenizer):
    objective, _ = objectives[name]
    for kind in OBJECTIVE_SETTINGS[objective.name].kinds:
        table = rows(kind.name, 6)
        few = table.select(list(objective.columns(kind)))
        want = objective.examples(table, np.zeros(6, int), word_tokenizer)
        assert plain(tuple(objective.examples(few, np.zeros(6, int), word_tokenizer))) == plain(
            tuple(want)
        )
        assert [e.record for e in want] == records(table)[0]


def own_of(objective, encoder):
    """The objective's module after a step, so that a queue is not empty."""
    own = objective.module(encoder)
    return own if own is None else own.train()


def queued(objective, encoder, own, batch):
    if isinstance(own, StepHook):
        objective.losses(encoder, own, batch)
        own.after_step(encoder, lambda items: items)


@every
def test_weights_are_those_of_the_parts(objectives, name, batch_of, word_tokenizer, random_encoder):
    objective, kind = objectives[name]
    batch = batch_of(objective, kind)
    encoder = random_encoder(word_tokenizer.size)
    own = own_of(objective, encoder)
    parts = objective.losses(encoder, own, batch)
    assert objective.weights(batch) == {n: int(part.weight) for n, part in parts.items()}
    assert all(weight > 0 for weight in objective.weights(batch).values())
    assert all(torch.isfinite(part.total) for part in parts.values())


@every
def test_nothing_to_predict_is_zero_not_nan(
    objectives, name, batch_of, word_tokenizer, random_encoder
):
    objective, kind = objectives[name]
    batch = batch_of(objective, kind, rate=0.0)
    encoder = random_encoder(word_tokenizer.size)
    own = own_of(objective, encoder)
    parts = objective.losses(encoder, own, batch)
    # Those of sentences and of dictionary pairs are not of predicted positions.
    empty = {n: p for n, p in parts.items() if n not in ("contrast", "align")}
    assert empty
    for part in empty.values():
        assert (part.total.item(), int(part.weight), part.mean().item()) == (0.0, 0, 0.0)
    sum(part.mean() for part in parts.values()).backward()
    for parameter in encoder.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


@every
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_finite_at_large_logits(objectives, name, batch_of, word_tokenizer, random_encoder, scale):
    objective, kind = objectives[name]
    batch = batch_of(objective, kind)
    encoder = random_encoder(word_tokenizer.size)
    own = own_of(objective, encoder)
    queued(objective, encoder, own, batch)
    plain = encoder.logits

    def scaled(vectors):
        logits = plain(vectors)
        return logits * (scale / logits.detach().abs().amax())

    encoder.logits = scaled
    try:
        parts = objective.losses(encoder, own, batch)
    finally:
        del encoder.logits
    total = functools.reduce(LossSum.__add__, parts.values())
    total.total.backward()
    assert torch.isfinite(total.total)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in encoder.parameters())


def taken_apart(objective, batch, look) -> list:
    """All that a batch says of each of its examples, as plain values."""
    if isinstance(objective, Moco):
        pairs = look(batch.pair)
        sides = [
            (packed.inputs.flatten()[packed.groups.flatten() == i + 1].tolist())
            for packed in (batch.query, batch.key)
            for i in range(len(batch.ids))
        ]
        n = len(batch.ids)
        return [(pairs[i], sides[i], sides[n + i], int(batch.ids[i])) for i in range(n)]
    seen = look(batch)
    if not isinstance(objective, Weam):
        return seen
    groups, positions = batch.packed.groups.flatten(), batch.packed.positions.flatten()
    receives = batch.predicted[batch.links.rows]
    links = zip(
        (groups[receives] - 1).tolist(),
        positions[receives].tolist(),
        positions[batch.links.columns].tolist(),
        batch.links.weights.tolist(),
    )
    by_input: list[list] = [[] for _ in seen]
    for i, *link in links:
        by_input[i].append(tuple(link))
    return [(one, sorted(links)) for one, links in zip(seen, by_input)]


@every
@settings(max_examples=12, deadline=None)
@given(st.permutations(range(9)), st.integers(1, 8), st.integers(0, 2))
def test_a_batch_says_the_same_of_an_example_in_any_split_and_order(
    objectives, name, rows, word_tokenizer, collation, look, order, cut, epoch
):
    objective, kind = objectives[name]
    examples = objective.examples(rows(kind, 9), np.full(9, epoch), word_tokenizer)
    assert all(len(e.inputs) == 1 for e in examples)
    settings_ = collation(word_tokenizer)
    together = taken_apart(objective, objective.collate(examples, settings_), look)
    shuffled = [examples[i] for i in order]
    parts = [shuffled[:cut], shuffled[cut:]]
    apart = [
        t
        for part in parts
        for t in taken_apart(objective, objective.collate(part, settings_), look)
    ]
    assert apart == [together[i] for i in order]


@every
def test_examples_do_not_depend_on_the_rows_beside(objectives, name, rows, word_tokenizer):
    objective, kind = objectives[name]
    table = rows(kind, 8)
    together = objective.examples(table, np.zeros(8, int), word_tokenizer)
    for i, example in enumerate(together):
        (alone,) = objective.examples(
            table.slice(i, 1).combine_chunks(), np.zeros(1, int), word_tokenizer
        )
        assert plain(alone) == plain(example)


def plain(value):
    """Arrays as lists, so that examples can be compared."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return value


@every
def test_a_batch_moves_whole(objectives, name, batch_of):
    objective, kind = objectives[name]
    batch = batch_of(objective, kind)
    meta = batch.to(torch.device("meta"))
    assert type(meta) is type(batch)
    assert {t.device.type for t in tensors(meta)} == {"meta"}
    assert len(list(tensors(meta))) == len(list(tensors(batch))) > 6
    assert all(p.n_tokens > 0 for p in meta.packs)


@every
def test_a_batch_counts_what_passes_through_encoder_and_head(
    objectives, name, batch_of, random_encoder, word_tokenizer, monkeypatch
):
    objective, kind = objectives[name]
    encoder, batch = random_encoder(word_tokenizer.size), batch_of(objective, kind)
    passes, heads = [], []
    vectors, loss = encoder.vectors, encoder.prediction_loss

    def seen(packed, *, body=None, **more):
        passes.append((id(packed), body is not None))
        return vectors(packed, body=body, **more)

    monkeypatch.setattr(encoder, "vectors", seen)
    monkeypatch.setattr(
        encoder, "prediction_loss", lambda v, targets: heads.append(len(v)) or loss(v, targets)
    )
    # moco makes its keys though the queue is still empty.
    objective.losses(encoder, objective.module(encoder), batch)
    frozen = {id(packed) for packed in batch.frozen_packs}
    assert sorted(passes) == sorted((id(p), id(p) in frozen) for p in batch.packs)
    assert sum(heads) == batch.n_predictions > 0
    trained = len(batch.packs) - len(batch.frozen_packs)
    settings_class = OBJECTIVE_SETTINGS[objective.name]
    given = {"objective": objective.name, "dataset": "data", "lexicon": "lexicon"}
    known = {k: v for k, v in given.items() if k in settings_class.model_fields}
    assert trained == settings_class(**known).encoder_passes


def tensors(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif hasattr(value, "__dataclass_fields__"):
        for f in fields(value):
            yield from tensors(getattr(value, f.name))


@every
def test_an_empty_text_is_no_mishap(objectives, name, rows, word_tokenizer, collation):
    objective, kind = objectives[name]
    table = rows(kind, 3)
    for column in ("text", "src", "tgt"):
        if column in table.column_names:
            place = table.schema.get_field_index(column)
            values = ["", *table[column].to_pylist()[1:]]
            table = table.set_column(place, table.schema.field(place), [values])
    for column in ("src_spans", "tgt_spans", "links", "tgt_tokens"):
        if column in table.column_names:
            place = table.schema.get_field_index(column)
            values = [[], *table[column].to_pylist()[1:]]
            field = table.schema.field(place)
            table = table.set_column(place, field, pa.array(values, field.type))
    examples = objective.examples(table, np.zeros(3, int), word_tokenizer)
    batch = objective.collate(examples, collation(word_tokenizer, rate=0.9))
    assert sum(objective.weights(batch).values()) > 0


@pytest.mark.parametrize("tlm", [False, True])
def test_an_example_counts_all_its_sequences(rows, word_tokenizer, tlm):
    for e in Moco(24, tlm=tlm).examples(rows("pairs"), np.zeros(10, int), word_tokenizer):
        sizes = [len(i.tokens) for i in (*e.inputs, *e.sentences)]
        assert len(sizes) == 2 + tlm
        assert e.n_tokens == sum(sizes)
