"""WEAM against the paper's definition, by hand, by a naive loop, and by its invariances."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.data.collate import Batch, WordExchange, collate
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.tokens import Side, load_coder
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam, exchange, subword_links


class Table(nn.Module):
    """An encoder without context: a vector per id, a linear head; enough to test an objective."""

    def __init__(self, vocabulary: int = 200, width: int = 6) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.table = nn.Embedding(vocabulary, width, dtype=torch.float64)
        self.head = nn.Linear(width, vocabulary, dtype=torch.float64)

    def vectors(self, inputs, attention):
        return self.table(inputs).flatten(0, 1)

    def logits(self, vectors):
        return self.head(vectors)


def side(*pieces: tuple[int, int]) -> Side:
    return Side(np.arange(len(pieces), dtype=np.int32), np.asarray(pieces, np.int32))


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
    assert dense(links, 7)[1].tolist() == [0, 0, 0, 0.5, 0, 0.5, 0]


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
    assert torch.allclose(exchange(vectors, vectors, exchange_of(matrix)), want)


def test_exchange_twice_with_one_to_one_links_is_the_identity():
    matrix = np.zeros((8, 8))
    for i, j in ((1, 5), (2, 6), (3, 4)):
        matrix[i, j] = matrix[j, i] = 1.0
    vectors = torch.randn(8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    once = exchange(vectors, vectors, exchange_of(matrix))
    assert not torch.equal(once, vectors)
    assert torch.equal(exchange(once, once, exchange_of(matrix)), vectors)


def test_gradient_flows_to_the_linked_vectors():
    matrix = np.zeros((5, 5))
    matrix[1, [3, 4]] = 0.5
    links = exchange_of(matrix)
    vectors = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: exchange(v, v[:3], links), vectors)


MASKING = Masking(rate=0.4, mask=4, ordinary=np.arange(5, 150, dtype=np.int32), seed=2)


@pytest.fixture(scope="module")
def aligned(datasets, tokenizer_folder):
    """The examples of WEAM and of TLM on the same rows."""
    table = open_dataset(datasets["aligned"]).table().slice(0, 12).combine_chunks()
    coder = load_coder(tokenizer_folder)
    epochs = np.zeros(12, np.int64)
    return Weam(64).examples(table, epochs, coder), Tlm(64).examples(table, epochs, coder)


def batch_of(examples) -> Batch:
    return collate(examples, masking=MASKING, pad=1)


def test_inputs_and_masks_are_those_of_tlm(aligned):
    weam, tlm = (batch_of(e) for e in aligned)
    assert torch.equal(weam.inputs, tlm.inputs)
    assert torch.equal(weam.predicted, tlm.predicted)
    encoder = Table()
    own = Weam(64).losses(encoder, None, weam)["mp"].total
    assert torch.equal(own, Tlm(64).losses(encoder, None, tlm)["tlm"].total)


def test_without_links_it_is_twice_tlm(aligned):
    batch = batch_of(aligned[0])
    none = torch.zeros(0, dtype=torch.long)
    unlinked = Batch(
        **(
            vars(batch)
            | {"exchange": WordExchange(none, none, torch.zeros(0, dtype=torch.float64))}
        )
    )
    parts = Weam(64).losses(Table(), None, unlinked)
    assert torch.equal(parts["cp"].total, parts["mp"].total)
    tlm = Tlm(64).losses(Table(), None, batch_of(aligned[1]))["tlm"]
    assert torch.equal(parts["mp"].total + parts["cp"].total, 2 * tlm.total)


def test_cross_prediction_equals_the_naive_loop(aligned):
    examples, encoder = aligned[0], Table()
    total = torch.zeros((), dtype=torch.float64)
    for e in examples:
        alone = batch_of([e])
        vectors = encoder.vectors(alone.inputs, None)
        matrix = dense(e.links, len(e.tokens))
        for k, target in zip(alone.predicted.tolist(), alone.targets.tolist()):
            vector = vectors[k]
            if matrix[k].any():
                vector = sum(matrix[k, j] * vectors[j] for j in np.flatnonzero(matrix[k]))
            total = total - torch.log_softmax(encoder.logits(vector), -1)[target]
    part = Weam(64).losses(encoder, None, batch_of(examples))["cp"]
    assert torch.allclose(part.total, total, rtol=1e-6)


def test_a_batch_by_hand():
    # Three positions 0 1 2, all predicted; 0 and 2 linked; vectors = one-hot, head = 2 x identity.
    vectors = torch.eye(3, dtype=torch.float64)
    swap = WordExchange(
        torch.tensor([0, 2]), torch.tensor([2, 0]), torch.ones(2, dtype=torch.float64)
    )
    swapped = exchange(vectors, vectors, swap)
    loss = masked_lm(2 * swapped, torch.tensor([2, 1, 0]))
    e2 = float(np.exp(2))
    assert loss.total.item() == pytest.approx(3 * np.log((e2 + 2) / e2))


def test_weights_are_known_beforehand_and_the_parts_match_them(aligned):
    objective, batch = Weam(64), batch_of(aligned[0])
    parts = objective.losses(Table(), None, batch)
    assert objective.weights(batch) == {name: int(part.weight) for name, part in parts.items()}


def test_the_exchange_layer_starts_as_the_identity_and_learns(aligned):
    objective, batch = Weam(64, exchange_layer=True), batch_of(aligned[0])
    layer = objective.module(6).double()
    plain = Weam(64).losses(Table(), None, batch)
    parts = objective.losses(Table(), layer, batch)
    assert torch.allclose(parts["cp"].total, plain["cp"].total)
    parts["cp"].total.backward()
    assert layer.weight.grad.abs().sum() > 0


def test_gradcheck_of_the_whole_loss(aligned):
    batch, encoder = batch_of(aligned[0][:2]), Table(width=3)
    batch = Batch(
        **(
            vars(batch)
            | {
                "exchange": WordExchange(
                    batch.exchange.rows, batch.exchange.columns, batch.exchange.weights.double()
                )
            }
        )
    )

    def total(weight):
        vectors = torch.nn.functional.embedding(batch.inputs, weight).flatten(0, 1)
        swapped = exchange(vectors, vectors[batch.predicted], batch.exchange)
        return masked_lm(encoder.logits(swapped), batch.targets).total

    assert torch.autograd.gradcheck(total, encoder.table.weight, fast_mode=True)
