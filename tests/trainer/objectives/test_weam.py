"""WEAM against the paper's definition, by hand, by a naive loop, and by its invariances."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.data.examples import Example, Input, SubwordLinks
from bitextile.trainer.data.tokens import Encoding
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam, WordExchange, exchange_vectors, subword_links


def side(*pieces: tuple[int, int]) -> Encoding:
    return Encoding(np.arange(len(pieces), dtype=np.int32), np.asarray(pieces, np.int32))


def words(*spans: tuple[int, int]) -> np.ndarray:
    return np.asarray(spans, np.int32).reshape(-1, 2)


def dense(links, length: int) -> np.ndarray:
    matrix = np.zeros((length, length))
    matrix[links.rows, links.columns] += links.weights
    return matrix


def exchange_of(matrix: np.ndarray) -> WordExchange:
    rows, columns = np.nonzero(matrix)
    weights = torch.from_numpy(matrix[rows, columns])
    return WordExchange(torch.from_numpy(rows), torch.from_numpy(columns), weights)


def test_matrix_of_das_haus_by_hand():
    # das | Ha us   and   a | house, "Haus" linked to "house"; [CLS] das Ha us [SEP] a house [SEP]
    s, t = side((0, 3), (4, 6), (6, 8)), side((0, 1), (2, 7))
    links = subword_links(
        s, t, (words((0, 3), (4, 8)), words((0, 1), (2, 7))), np.asarray([[1, 1]], np.int32)
    )
    want = np.zeros((8, 8))
    want[2, 6] = want[3, 6] = 1.0
    # Rows add up to 1: "house" takes the mean of both subwords of "Haus".
    want[6, 2] = want[6, 3] = 0.5
    assert dense(links, 8).tolist() == want.tolist()


def test_options_narrow_the_links():
    s, t = side((0, 2), (2, 4), (5, 6)), side((0, 2), (2, 4), (5, 6))
    spans = (words((0, 4), (5, 6)), words((0, 4), (5, 6)))
    links = np.asarray([[0, 0], [0, 1], [1, 1]], np.int32)
    first = dense(subword_links(s, t, spans, links, first_subword_only=True), 9)
    assert np.flatnonzero(first.sum(axis=1)).tolist() == [1, 3, 5, 7]
    assert first[1, [5, 7]].tolist() == [0.5, 0.5]
    assert not first[:, [2, 6]].any()
    none = subword_links(s, t, spans, links, one_to_one_only=True)
    assert len(none.rows) == 0
    one = subword_links(s, t, spans, links[[0, 2]], one_to_one_only=True)
    assert len(one.rows) == len(subword_links(s, t, spans, links[[0, 2]]).rows) > 0


def test_a_subword_over_two_words_takes_the_union_of_their_links():
    s, t = side((0, 2)), side((0, 1), (2, 3), (4, 5))
    spans = (words((0, 1), (1, 2)), words((0, 1), (2, 3), (4, 5)))
    links = subword_links(s, t, spans, np.asarray([[0, 0], [1, 2]], np.int32))
    # Words 0 and 1 share the subword, so it takes from the partners of both, in halves.
    assert dense(links, 7)[1].tolist() == [0, 0, 0, 0.5, 0, 0.5, 0]


SPELLED_IN_BYTES = [
    ("☃é☃", [(0, 1), (1, 2), (2, 3)]),
    ("ქართული", [(0, 3), (3, 7)]),
    ("ភាសាខ្មែរ", [(0, 4), (4, 9)]),  # an unspaced script
]


@pytest.mark.parametrize(("text", "spans"), SPELLED_IN_BYTES)
def test_bytes_take_from_the_partners_of_their_own_word(byte_tokenizer, text, spans):
    """One subword `dog` for each word; a byte's row is the one partner of the word it is in."""
    tgt = "dog " * len(spans)
    s, t = byte_tokenizer.encode([text, tgt.strip()])
    partners = words(*((4 * k, 4 * k + 3) for k in range(len(spans))))
    links = subword_links(
        s, t, (words(*spans), partners), np.asarray([[k, k] for k in range(len(spans))], np.int32)
    )
    matrix = dense(links, 3 + len(s.ids) + len(t.ids))
    of_word = [k for k, (a, b) in enumerate(spans) for _ in text[a:b].encode()]
    mark = len(s.ids) - len(of_word)  # the bare mark before the text, which is in no word
    assert mark == 1
    assert not matrix[1].any()
    for byte, word in enumerate(of_word):
        row = matrix[1 + mark + byte]
        assert np.flatnonzero(row).tolist() == [2 + len(s.ids) + word]
        assert row.sum() == 1.0


@pytest.mark.parametrize("text", ["房子 dog", "เห็น dog", "☃ dog"])
def test_the_first_subword_is_not_the_bare_mark(byte_tokenizer, text):
    spans = words((0, text.index(" ")), (text.index(" ") + 1, len(text)))
    s, t = byte_tokenizer.encode([text, "dog dog"])
    links = subword_links(
        s,
        t,
        (spans, words((0, 3), (4, 7))),
        np.asarray([[0, 0], [1, 1]], np.int32),
        first_subword_only=True,
    )
    first = byte_tokenizer.pretrained.convert_ids_to_tokens(
        s.ids[links.rows[links.rows <= len(s.ids)] - 1]
    )
    assert first == [{"房": "房子", "เ": "เห็น", "☃": "<0xE2>"}[text[0]], "▁dog"]


def test_words_that_were_cut_off_are_out_of_the_exchange():
    s, t = side((0, 1)), side((0, 1), (2, 3))
    spans = (words((0, 1), (2, 3)), words((0, 1), (2, 3)))
    links = subword_links(s, t, spans, np.asarray([[0, 1], [1, 0]], np.int32))
    assert sorted(zip(links.rows.tolist(), links.columns.tolist())) == [(1, 4), (4, 1)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_rows_are_normalised_and_bounded(seed):
    generator = np.random.default_rng(seed)
    m, n = generator.integers(1, 6, 2)
    spans = tuple(words(*((3 * i, 3 * i + 2) for i in range(k))) for k in (m, n))
    sides = tuple(
        side(*((3 * i + b, 3 * i + b + 1) for i in range(k) for b in (0, 1))) for k in (m, n)
    )
    chosen = np.argwhere(generator.random((m, n)) < 0.4).astype(np.int32)
    length = 3 + 2 * int(m + n)
    matrix = dense(subword_links(*sides, spans, chosen.reshape(-1, 2)), length)
    sums = matrix.sum(axis=1)
    assert np.allclose(sums[sums > 0], 1.0)
    assert not matrix[[0, 1 + 2 * m, length - 1]].any()
    assert not matrix[:, [0, 1 + 2 * m, length - 1]].any()
    # Links have no direction: who receives gives as well.
    assert ((matrix > 0) == (matrix > 0).T).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_exchange_equals_the_naive_loop(seed):
    generator = np.random.default_rng(seed)
    matrix = generator.random((9, 9)) * (generator.random((9, 9)) < 0.2)
    sums = matrix.sum(axis=1, keepdims=True)
    matrix = np.divide(matrix, sums, out=matrix, where=sums > 0)
    vectors = torch.from_numpy(generator.normal(size=(9, 4)))
    want = vectors.clone()
    for i in range(9):
        if matrix[i].any():
            want[i] = sum(matrix[i, j] * vectors[j] for j in range(9))
    assert torch.allclose(exchange_vectors(vectors, vectors, exchange_of(matrix)), want)


def test_exchange_twice_with_one_to_one_links_is_the_identity():
    matrix = np.zeros((8, 8))
    for i, j in ((1, 5), (2, 6), (3, 4)):
        matrix[i, j] = matrix[j, i] = 1.0
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    once = exchange_vectors(vectors, vectors, exchange_of(matrix))
    assert not torch.equal(once, vectors)
    assert torch.equal(exchange_vectors(once, once, exchange_of(matrix)), vectors)


def test_gradient_flows_to_the_linked_vectors():
    matrix = np.zeros((5, 5))
    matrix[1, [3, 4]] = 0.5
    links = exchange_of(matrix)
    vectors = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    # Position 1 gives up its own vector, so its gradient reaches 3 and 4 alone.
    assert torch.autograd.gradcheck(lambda v: exchange_vectors(v, v[:3], links), vectors)


@pytest.fixture(scope="module")
def aligned(rows, tokenizer):
    """The examples of WEAM and of TLM on the same rows."""
    epochs = np.zeros(12, np.int64)
    table = rows("aligned", 12)
    return Weam(64).examples(table, epochs, tokenizer), Tlm(64).examples(table, epochs, tokenizer)


@pytest.fixture(scope="module")
def batch(aligned, collation, tokenizer):
    """All examples in packed rows."""
    return Weam(64).collate(aligned[0], collation(tokenizer))


def in_float64(batch):
    """The batch with float64 weights, so that gradients can be checked."""
    links = batch.links
    return replace(batch, links=replace(links, weights=links.weights.double()))


def test_inputs_and_masks_are_those_of_tlm(aligned, batch, collation, tokenizer, table):
    tlm = Tlm(64).collate(aligned[1], collation(tokenizer))
    assert torch.equal(batch.packed.inputs, tlm.packed.inputs)
    assert torch.equal(batch.predicted, tlm.predicted)
    encoder = table()
    own = Weam(64).losses(encoder, None, batch)["mp"].total
    assert torch.equal(own, Tlm(64).losses(encoder, None, tlm)["tlm"].total)


def test_without_links_it_is_twice_tlm(aligned, batch, collation, tokenizer, table):
    none = torch.zeros(0, dtype=torch.long)
    unlinked = replace(batch, links=WordExchange(none, none, torch.zeros(0, dtype=torch.float64)))
    parts = Weam(64).losses(table(), None, unlinked)
    # Bit for bit: without a link the exchanged vector is the position's own.
    assert torch.equal(parts["cp"].total, parts["mp"].total)
    linked = Weam(64).losses(table(), None, batch)
    assert not torch.equal(linked["cp"].total, linked["mp"].total)
    tlm = Tlm(64).losses(table(), None, Tlm(64).collate(aligned[1], collation(tokenizer)))["tlm"]
    assert torch.equal(parts["mp"].total + parts["cp"].total, 2 * tlm.total)


def test_rows_without_a_link_are_rows_of_tlm(aligned, rows, collation, tokenizer, table):
    nothing = pa.array([[]] * 12, rows("aligned", 12).schema.field("links").type)
    unlinked = rows("aligned", 12)
    place = unlinked.schema.get_field_index("links")
    unlinked = unlinked.set_column(place, unlinked.schema.field(place), nothing)
    examples = Weam(64).examples(unlinked, np.zeros(12, np.int64), tokenizer)
    parts = Weam(64).losses(table(), None, Weam(64).collate(examples, collation(tokenizer)))
    tlm = Tlm(64).losses(table(), None, Tlm(64).collate(aligned[1], collation(tokenizer)))["tlm"]
    assert torch.equal(parts["mp"].total + parts["cp"].total, 2 * tlm.total)


def test_cross_prediction_equals_the_naive_loop(aligned, batch, collation, tokenizer, table):
    encoder = table()
    total = torch.zeros((), dtype=torch.float64)
    for e in aligned[0]:
        alone = Weam(64).collate([e], collation(tokenizer))
        vectors = encoder.vectors(alone.packed)
        matrix = dense(e.links, len(e.inputs[0].tokens))
        for k, target in zip(alone.predicted.tolist(), alone.targets.tolist()):
            vector = vectors[k]
            if matrix[k].any():
                vector = sum(matrix[k, j] * vectors[j] for j in np.flatnonzero(matrix[k]))
            total = total - torch.log_softmax(encoder.logits(vector), -1)[target]
    part = Weam(64).losses(encoder, None, batch)["cp"]
    assert torch.allclose(part.total, total, rtol=1e-6)


def test_links_are_kept_for_predicted_positions_and_follow_them_into_the_rows(collation, tokenizer):
    # Position k is linked to 9 - k, so that a link which went astray in packing shows by its sum.
    mirror = SubwordLinks(
        np.arange(1, 9, dtype=np.int32), np.arange(8, 0, -1, dtype=np.int32), np.ones(8, np.float32)
    )
    maskable = np.arange(10) % 9 > 0
    inputs = Input(np.arange(10, 20, dtype=np.int32), maskable, np.zeros(10, np.int8), ("", ""))
    examples = [
        Example(str(i), np.uint64(977 * i), 0, (inputs,), links=mirror) for i in range(1, 8)
    ]
    packed = Weam(64).collate(examples, collation(tokenizer, width=32))
    received = packed.predicted[packed.links.rows]
    assert received.tolist() == packed.predicted.tolist()
    groups, positions = packed.packed.groups.flatten(), packed.packed.positions.flatten()
    gives = packed.links.columns
    assert torch.equal(groups[received], groups[gives])
    assert (positions[received] + positions[gives] == 9).all()


def test_a_batch_by_hand():
    # Three positions 0 1 2, all predicted; 0 and 2 linked; vectors = one-hot, head = 2 x identity.
    vectors = torch.eye(3, dtype=torch.float64)
    swap = WordExchange(
        torch.tensor([0, 2]), torch.tensor([2, 0]), torch.ones(2, dtype=torch.float64)
    )
    swapped = exchange_vectors(vectors, vectors, swap)
    loss = masked_lm(2 * swapped, torch.tensor([2, 1, 0]))
    e2 = float(np.exp(2))
    assert loss.total.item() == pytest.approx(3 * np.log((e2 + 2) / e2))


def test_weights_are_known_beforehand_and_the_parts_match_them(batch, table):
    objective = Weam(64)
    parts = objective.losses(table(), None, batch)
    assert objective.weights(batch) == {name: int(part.weight) for name, part in parts.items()}


def test_the_exchange_layer_starts_as_the_identity_and_learns(batch, table):
    objective, batch = Weam(64, exchange_layer=True), in_float64(batch)
    assert Weam(64).module(Wide) is None
    layer = objective.module(Wide).double()
    plain = Weam(64).losses(table(), None, batch)
    parts = objective.losses(table(), layer, batch)
    assert torch.allclose(parts["cp"].total, plain["cp"].total)
    parts["cp"].total.backward()
    assert layer.weight.grad.abs().sum() > 0


class Wide:
    """All that a layer must know of an encoder."""

    width = 6


def test_gradcheck_of_the_whole_loss(aligned, collation, tokenizer, table):
    batch = in_float64(Weam(64).collate(aligned[0][:2], collation(tokenizer)))
    encoder = table(width=3)

    def total(vector):
        vectors = vector[batch.packed.inputs].flatten(0, 1)
        swapped = exchange_vectors(vectors, vectors[batch.predicted], batch.links)
        return masked_lm(encoder.logits(swapped), batch.targets).total

    assert torch.autograd.gradcheck(total, encoder.vector, fast_mode=True)


@pytest.mark.parametrize(
    ("piece", "span", "linked"),
    [
        ((0, 3), (0, 3), True),
        ((0, 1), (0, 3), True),
        ((2, 3), (0, 3), True),
        ((3, 4), (0, 3), False),  # begins where the word ends
        ((0, 2), (2, 5), False),  # ends where the word begins
        ((0, 3), (2, 5), True),  # one character in common
        ((4, 9), (2, 5), True),
        ((0, 9), (2, 5), True),
    ],
)
def test_a_subword_is_of_a_word_where_they_share_a_character(piece, span, linked):
    src = Encoding(np.zeros(1, np.int32), np.asarray([piece], np.int32))
    tgt = Encoding(np.zeros(1, np.int32), np.asarray([[0, 4]], np.int32))
    spans = (np.asarray([span], np.int32), np.asarray([[0, 4]], np.int32))
    matrix = subword_links(src, tgt, spans, np.asarray([[0, 0]], np.int32))
    assert list(zip(matrix.rows.tolist(), matrix.columns.tolist())) == (
        [(1, 3), (3, 1)] if linked else []
    )


def test_the_first_subword_of_each_word_alone_takes_part():
    src = Encoding(np.zeros(3, np.int32), np.asarray([[0, 2], [2, 4], [5, 7]], np.int32))
    tgt = Encoding(np.zeros(2, np.int32), np.asarray([[0, 1], [1, 3]], np.int32))
    spans = (np.asarray([[0, 4], [5, 7]], np.int32), np.asarray([[0, 3]], np.int32))
    links = np.asarray([[0, 0], [1, 0]], np.int32)
    every = subword_links(src, tgt, spans, links)
    first = subword_links(src, tgt, spans, links, first_subword_only=True)
    # [CLS] 0 1 2 [SEP] 0 1 [SEP]: source subwords at 1 to 3, target subwords at 5 and 6
    assert set(zip(every.rows.tolist(), every.columns.tolist())) >= {(2, 6), (6, 2), (1, 6)}
    assert set(zip(first.rows.tolist(), first.columns.tolist())) == {(1, 5), (3, 5), (5, 1), (5, 3)}
    weights = dict(zip(zip(first.rows.tolist(), first.columns.tolist()), first.weights.tolist()))
    assert weights == {(1, 5): 1.0, (3, 5): 1.0, (5, 1): 0.5, (5, 3): 0.5}


def test_links_of_a_word_with_several_are_dropped_where_asked():
    src = Encoding(np.zeros(3, np.int32), np.asarray([[0, 1], [1, 2], [2, 3]], np.int32))
    spans = (np.asarray([[0, 1], [1, 2], [2, 3]], np.int32),) * 2
    links = np.asarray([[0, 0], [1, 1], [1, 2]], np.int32)
    one = subword_links(src, src, spans, links, one_to_one_only=True)
    assert list(zip(one.rows.tolist(), one.columns.tolist())) == [(1, 5), (5, 1)]
    turned = subword_links(src, src, spans, links[:, ::-1], one_to_one_only=True)
    assert list(zip(turned.rows.tolist(), turned.columns.tolist())) == [(1, 5), (5, 1)]


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
