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
from bitextile.trainer.objectives.mlm import MAX_PARTS, Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.objective import StepHook, list_slices, records
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam

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


def text(tokenizer, one) -> str:
    return tokenizer.pretrained.decode(one.tokens[one.maskable].tolist()).replace("▁", " ").strip()


def squeezed(string: str) -> str:
    return string.replace(" ", "")


def decoded(tokenizer, objective, table, epoch=0) -> list[str]:
    examples = objective.examples(table, np.full(len(table), epoch), tokenizer)
    return [squeezed("".join(text(tokenizer, i) for i in e.inputs)) for e in examples]


def test_mlm_reads_mono(tokenizer, rows):
    table = rows("mono")
    assert decoded(tokenizer, Mlm(64), table) == [squeezed(t) for t in table["text"].to_pylist()]


def test_mlm_takes_the_sides_of_a_pair_by_turns(tokenizer, rows):
    table = rows("pairs", 40)
    first, second, third = (decoded(tokenizer, Mlm(64), table, epoch) for epoch in range(3))
    sides = list(zip(*([squeezed(t) for t in table[c].to_pylist()] for c in ("src", "tgt"))))
    assert [{a, b} for a, b in zip(first, second)] == [set(pair) for pair in sides]
    assert first == third
    assert 8 < sum(a == src for a, (src, _) in zip(first, sides)) < 32


def test_the_language_goes_with_the_side(tokenizer, rows):
    table = rows("pairs", 20)
    for e, src in zip(
        Mlm(64).examples(table, np.zeros(20, int), tokenizer), table["src"].to_pylist()
    ):
        of_src = squeezed(text(tokenizer, e.inputs[0])) == squeezed(src)
        assert e.inputs[0].languages == (("en",) if of_src else ("ar",))
    for e in Tlm(64).examples(table, np.zeros(20, int), tokenizer):
        assert e.inputs[0].languages == ("en", "ar")


def test_tlm_reads_both_sides_and_the_exchanged_ones(tokenizer, rows):
    table = rows("aligned")
    pairs = zip(*(table[c].to_pylist() for c in ("src", "tgt")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]
    table = rows("exchange")
    pairs = zip(*(table[c].to_pylist() for c in ("src_exchanged", "tgt_exchanged")))
    assert decoded(tokenizer, Tlm(64), table) == [squeezed(s + t) for s, t in pairs]


def test_weam_reads_the_original_pair_of_an_exchange_row(tokenizer, rows):
    aligned, exchanged = rows("aligned"), rows("exchange")
    objective = Weam(64)
    a = objective.examples(aligned, np.zeros(10, np.int64), tokenizer)
    b = objective.examples(exchanged, np.zeros(10, np.int64), tokenizer)
    for x, y in zip(a, b):
        assert x.inputs[0].tokens.tolist() == y.inputs[0].tokens.tolist()
        assert x.links.rows.tolist() == y.links.rows.tolist()
        assert y.record == f"{x.record}/0"
        assert x.key != y.key


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


@pytest.mark.parametrize("length", [8, 16, 24])
def test_a_long_text_is_split_and_nothing_is_lost(tokenizer, rows, length):
    whole = Mlm(512).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
    split = Mlm(length).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
    for e, w in zip(split, whole):
        inside = [token for i in e.inputs for token in i.tokens[1:-1].tolist()]
        assert inside == w.inputs[0].tokens[1:-1].tolist()
        assert all(i.tokens[0] == tokenizer.cls and i.tokens[-1] == tokenizer.sep for i in e.inputs)
        assert all(2 < len(i.tokens) <= length for i in e.inputs)
        assert e.n_truncated == 0
        assert e.n_tokens == w.n_tokens + 2 * (len(e.inputs) - 1)
    assert any(len(e.inputs) > 1 for e in split)


def test_a_split_text_is_masked_as_the_whole_one(tokenizer, rows, collation, look):
    def inside(max_length):
        examples = Mlm(max_length).examples(rows("mono", 60), np.zeros(60, np.int64), tokenizer)
        seen = look(Mlm(max_length).collate(examples, collation(tokenizer, width=80)))
        shown = [token for one in seen for token in one.shown[1:-1]]
        return shown, [target for one in seen for target in one.targets]

    assert inside(12) == inside(80)


def test_what_no_input_can_hold_is_counted(tokenizer, rows):
    table = rows("mono", 1)
    long = table.set_column(
        table.schema.get_field_index("text"), table.schema.field("text"), [["the red dog " * 99]]
    )
    (whole,) = Mlm(2048).examples(long, np.zeros(1, int), tokenizer)
    (split,) = Mlm(10).examples(long, np.zeros(1, int), tokenizer)
    assert len(split.inputs) == MAX_PARTS
    kept = sum(len(i.tokens) - 2 for i in split.inputs)
    assert kept + split.n_truncated == len(whole.inputs[0].tokens) - 2
    assert split.n_truncated > 0


@every
def test_columns_exist_in_every_kind_that_is_accepted(objectives, name):
    objective, _ = objectives[name]
    for kind in objective.kinds:
        assert set(objective.columns(kind)) <= set(kind.schema.names)


@every
def test_columns_suffice(objectives, name, rows, word_tokenizer):
    objective, _ = objectives[name]
    for kind in objective.kinds:
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


def test_list_slices_equals_to_pylist(rows):
    table = rows("aligned", 20).slice(3, 9).combine_chunks()
    sliced = list_slices(table["links"], ("src", "tgt"))
    assert [s.tolist() for s in sliced] == [
        [[link["src"], link["tgt"]] for link in row] for row in table["links"].to_pylist()
    ]


def test_records_name_variants(rows):
    ids, keys = records(rows("exchange", 5))
    assert all(i.endswith("/0") for i in ids)
    assert len(set(keys.tolist())) == 5


def test_records_name_the_language_of_pseudo_translations(rows):
    table = rows("pseudo", 5)
    ids, keys = records(table)
    assert ids == [f"{i}/ar" for i in table["text_id"].to_pylist()]
    place = table.schema.get_field_index("tgt_lang")
    french = table.set_column(place, table.schema.field(place), [["fr"] * 5])
    others, other_keys = records(french)
    assert others[0].endswith("/fr")
    assert not set(keys.tolist()) & set(other_keys.tolist())


@pytest.mark.parametrize("tlm", [False, True])
def test_an_example_counts_all_its_sequences(rows, word_tokenizer, tlm):
    for e in Moco(24, tlm=tlm).examples(rows("pairs"), np.zeros(10, int), word_tokenizer):
        sizes = [len(i.tokens) for i in (*e.inputs, *e.sentences)]
        assert len(sizes) == 2 + tlm
        assert e.n_tokens == sum(sizes)
