"""ALIGN-MLM against its closed form, and the dictionary it learns from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.trainer.losses import masked_lm
from bitextile.trainer.objectives.align_mlm import AlignMlm, Bags, embedding_alignment
from bitextile.trainer.objectives.dictionary import SubwordEntries, subword_entries
from bitextile.trainer.objectives.mlm import Mlm


def bags(*words: list[int]) -> Bags:
    starts = np.cumsum([0, *map(len, words)])[:-1]
    return Bags(torch.tensor([i for w in words for i in w]), torch.from_numpy(starts))


def test_closed_form_on_a_table_of_four_words():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 4.0]])
    src, tgt = bags([0], [1]).means(embeddings), bags([2], [3]).means(embeddings)
    part = embedding_alignment(src, tgt, alpha=10)
    # Cosines 1 and 4/5.
    assert part.total.item() == pytest.approx(-18.0)
    assert int(part.weight) == 2
    assert part.mean().item() == pytest.approx(-9.0)


def test_the_gradient_is_that_of_the_cosine():
    """d cos(a, b) / da = b / |a||b| - cos a / |a|^2, on the same table."""
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [3.0, 4.0]]).requires_grad_()
    src, tgt = bags([0], [1]).means(embeddings), bags([2], [3]).means(embeddings)
    embedding_alignment(src, tgt, alpha=1.0).total.backward()
    want = torch.zeros(4, 2)
    for i, j in ((0, 2), (1, 3)):
        for x, y in ((i, j), (j, i)):
            a, b = embeddings[x].detach(), embeddings[y].detach()
            cosine = a @ b / a.norm() / b.norm()
            want[x] -= b / a.norm() / b.norm() - cosine * a / a.norm() ** 2
    assert torch.allclose(embeddings.grad, want, atol=1e-6)


def test_gradcheck_through_means_of_subwords():
    drawn = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    src, tgt = bags([0, 3], [1], [6, 6, 2]), bags([4], [5, 0], [2])

    def total(table):
        return embedding_alignment(src.means(table), tgt.means(table), alpha=10.0).total

    assert torch.autograd.gradcheck(total, drawn.requires_grad_())


def test_a_word_is_the_mean_of_its_subwords():
    table = torch.tensor([[1.0, 0.0], [0.0, 2.0], [6.0, 4.0]])
    means = bags([0, 1], [2], [0, 2, 2, 1]).means(table)
    assert means.tolist() == [[0.5, 1.0], [6.0, 4.0], [3.25, 2.5]]
    # In autocast the table is bf16, in which cosines of near vectors cannot be told apart.
    assert bags([0]).means(table.bfloat16()).dtype == torch.float32


words = st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=4), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(words, st.integers(0, 2**31))
def test_the_part_equals_the_naive_loop(found, seed):
    table = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    others = found[::-1]
    total = 0.0
    for s, t in zip(found, others):
        a, b = (sum(table[i] for i in word) / len(word) for word in (s, t))
        total -= 3.0 * float(a @ b) / float(a.norm() * b.norm())
    src, tgt = bags(*found).means(table), bags(*others).means(table)
    part = embedding_alignment(src, tgt, alpha=3.0)
    assert part.total.item() == pytest.approx(total, abs=1e-6)
    assert int(part.weight) == len(found)


def test_no_pairs_are_zero_not_nan():
    none = torch.zeros(0, 4, requires_grad=True)
    part = embedding_alignment(none, none, alpha=10.0)
    part.mean().backward()
    assert (part.total.item(), int(part.weight), part.mean().item()) == (0.0, 0, 0.0)


def test_embeddings_of_any_size_are_finite():
    # A zero vector has no direction, and squares of 1e18 are near float32's end.
    for scale in (0.0, 1e-30, 1e4, 1e18):
        table = (torch.tensor([[1.0, 2.0], [-3.0, 1.0]]) * scale).requires_grad_()
        part = embedding_alignment(table[:1], table[1:], alpha=10.0)
        part.total.backward()
        assert torch.isfinite(part.total)
        assert torch.isfinite(table.grad).all()


@pytest.fixture(scope="module")
def entries(datasets, tokenizer) -> SubwordEntries:
    return subword_entries(datasets["lexicon"], tokenizer, fraction=1.0, seed=0)


def test_both_parts_of_a_batch(entries, rows, tokenizer, collation, table):
    objective, encoder = AlignMlm(64, entries, alpha=2.5), table(tokenizer.size)
    examples = objective.examples(rows("mono"), np.zeros(10, int), tokenizer)
    batch = objective.collate(examples, collation(tokenizer))
    parts = objective.losses(encoder, None, batch)
    plain = Mlm(64).collate(
        Mlm(64).examples(rows("mono"), np.zeros(10, int), tokenizer), collation(tokenizer)
    )
    logits = encoder.logits(encoder.vectors(plain.packed)[plain.predicted])
    assert torch.equal(parts["mlm"].total, masked_lm(logits, plain.targets).total)
    total, count = 0.0, 0
    for row in rows("lexicon", 99).to_pylist():
        s, t = (
            encoder.table.detach()[tokenizer.encode([row[side]])[0].ids].mean(dim=0)
            for side in ("src", "tgt")
        )
        total, count = total - 2.5 * float(s @ t / s.norm() / t.norm()), count + 1
    assert parts["align"].total.item() == pytest.approx(total, rel=1e-6)
    assert objective.weights(batch) == {"mlm": len(plain.targets), "align": count}


def sampled(objective, example, collation_) -> list[tuple[list[int], list[int]]]:
    batch = objective.collate([example], collation_)

    def apart(these: Bags):
        ends = [*these.starts.tolist()[1:], len(these.ids)]
        return [these.ids[s:e].tolist() for s, e in zip(these.starts.tolist(), ends)]

    return list(zip(apart(batch.src), apart(batch.tgt), strict=True))


def test_a_sample_is_keyed_of_its_size_and_of_the_dictionary(entries, rows, tokenizer, collation):
    objective = AlignMlm(64, entries, sample=5)
    epochs = np.arange(10) % 2
    examples = objective.examples(rows("mono"), epochs, tokenizer)
    whole = sampled(AlignMlm(64, entries), examples[0], collation(tokenizer))
    assert len(whole) == len(entries.words) == 20
    drawn = [sampled(objective, e, collation(tokenizer)) for e in examples]
    for pairs in drawn:
        assert len(pairs) == 5
        places = [whole.index(pair) for pair in pairs]
        # In the order of the dictionary, each pair once.
        assert places == sorted(set(places))
    assert drawn == [sampled(objective, e, collation(tokenizer)) for e in examples]
    assert len({str(pairs) for pairs in drawn}) > 5
    other = AlignMlm(64, entries, sample=5, seed=1)
    assert sampled(other, examples[0], collation(tokenizer)) != drawn[0]
    later = objective.examples(rows("mono"), epochs + 1, tokenizer)
    assert sampled(objective, later[0], collation(tokenizer)) != drawn[0]
    assert sampled(AlignMlm(64, entries, sample=20), examples[0], collation(tokenizer)) == whole


def test_a_sample_takes_each_pair_alike(entries, rows, tokenizer, collation):
    objective = AlignMlm(64, entries, sample=5)
    counts = np.zeros(20)
    for epoch in range(20):
        for example in objective.examples(rows("mono", 30), np.full(30, epoch), tokenizer):
            counts[objective._drawn(example)] += 1
    # 600 draws of a quarter: 150 each, sigma 10.6.
    assert (abs(counts - 150) < 4 * 10.6).all()
