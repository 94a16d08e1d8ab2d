"""MoCo: the loss, the queue, the key encoder and the coin, each by its definition."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from bitextile.kernels.randomness import bits
from bitextile.trainer.data.examples import Input
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.moco import Moco, MomentumContrast, contrast, excluded
from bitextile.trainer.objectives.objective import StepHook
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.translations import sentence_ids


def unit(generator, *shape):
    drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return normalize(drawn, dim=-1)


def naive(query, key, queue, same, temperature) -> float:
    total = 0.0
    for b in range(len(query)):
        positive = math.exp(float(query[b] @ key[b]) / temperature)
        negatives = sum(
            math.exp(float(query[b] @ queue[j]) / temperature)
            for j in range(len(queue))
            if not same[b, j]
        )
        total -= math.log(positive / (positive + negatives))
    return total


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 4), st.integers(0, 9), st.integers(0, 12))
def test_what_a_query_excludes_equals_the_naive_loop(seed, n, queued, n_excluded):
    generator = torch.Generator().manual_seed(seed)
    # Few ids, the largest and the smallest among them, so that all sorts of equals occur.
    ids = torch.tensor([-(2**63), -5, 0, 3, 2**63 - 1])
    queue = ids[torch.randint(5, (queued,), generator=generator)]
    wanted = ids[torch.randint(5, (n_excluded if n else 0,), generator=generator)]
    rows = torch.randint(max(n, 1), (len(wanted),), generator=generator)
    found = excluded(queue, wanted, rows, n)
    pairs = set(zip(rows.tolist(), wanted.tolist()))
    assert found.tolist() == [[(b, q) in pairs for q in queue.tolist()] for b in range(n)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5), st.integers(0, 7), st.sampled_from([0.05, 1.0]))
def test_the_loss_equals_the_naive_loop(seed, n, queued, temperature):
    generator = torch.Generator().manual_seed(seed)
    query, key, queue = (unit(generator, m, 4) for m in (n, n, queued))
    same = torch.rand(n, queued, generator=generator) < 0.3
    part = contrast(query, key, queue, same, temperature=temperature)
    want = naive(query, key, queue, same, temperature)
    assert part.total.item() == pytest.approx(want, rel=1e-9, abs=1e-12)
    assert int(part.weight) == n


def test_a_batch_by_hand():
    # Two queries at right angles; the queue holds each of them, one of which is the query's own.
    eye = torch.eye(2)
    same = torch.tensor([[True, False], [False, False]])
    part = contrast(eye, eye, eye, same, temperature=0.5)
    # log(1 + e^(0-2)) for the first; for the second its double counts too: log(1 + 1 + e^-2).
    want = math.log(1 + math.exp(-2)) + math.log(2 + math.exp(-2))
    assert part.total.item() == pytest.approx(want, abs=1e-6)


def test_without_negatives_there_is_nothing_to_learn():
    query = torch.randn(3, 4, requires_grad=True)
    none = torch.zeros(3, 0, dtype=torch.bool)
    part = contrast(query, query.detach(), torch.zeros(0, 4), none, temperature=0.05)
    part.total.backward()
    assert part.total.item() == 0.0
    assert not query.grad.any()
    own = torch.ones(3, 2, dtype=torch.bool)
    # A queue of the query's own pair only is as good as an empty one.
    assert contrast(query, query, torch.ones(2, 4), own, temperature=0.05).total.item() == 0.0


def test_gradcheck_of_the_contrast():
    generator = torch.Generator().manual_seed(1)
    query, key, queue = (unit(generator, m, 3) for m in (2, 2, 4))
    same = torch.zeros(2, 4, dtype=torch.bool)
    same[0, 1] = True

    def total(q):
        return contrast(q, key, queue, same, temperature=0.5).total

    assert torch.autograd.gradcheck(total, query.requires_grad_())


def test_finite_at_any_temperature():
    query = torch.tensor([[1e4, -1e4]], requires_grad=True)
    part = contrast(
        query,
        torch.tensor([[-1.0, 1.0]]),
        torch.ones(2, 2) * torch.tensor([[1.0, -1.0]]),
        torch.tensor([[False, True]]),
        temperature=1e-3,
    )
    part.total.backward()
    assert torch.isfinite(part.total)
    assert torch.isfinite(query.grad).all()


@pytest.fixture
def encoder(random_encoder, word_tokenizer):
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return random_encoder(word_tokenizer.size, layers=1, **dropout)


def module(encoder, *, queue: int = 5, momentum: float = 0.9) -> MomentumContrast:
    # Two modules of one test start alike, and no test moves another's generator.
    with torch.random.fork_rng():
        torch.manual_seed(8)
        return MomentumContrast(encoder, queue=queue, projection=4, momentum=momentum).train()


def alone(items):
    return items


def keys_of(ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys that can be told apart: the one with id i is (i, i, i, i)."""
    tensor = torch.tensor(ids, dtype=torch.long)
    return tensor[:, None].expand(-1, 4).float(), tensor


def test_the_queue_fills_in_order_and_wraps_around(encoder):
    own = module(encoder, queue=5)
    assert [len(t) for t in own.filled()] == [0, 0]
    for step, (ids, want) in enumerate(
        [
            ([30, 10], [10, 30]),
            ([22, 21], [10, 30, 21, 22]),
            # The place behind the last is the first.
            ([43, 41, 42], [42, 43, 21, 22, 41]),
            ([], [42, 43, 21, 22, 41]),
            ([50], [42, 43, 50, 22, 41]),
        ]
    ):
        own.stage_keys(*keys_of(ids))
        own.after_step(encoder, alone)
        queue, found = own.filled()
        assert found.tolist() == want, step
        assert queue.tolist() == [[float(i)] * 4 for i in want]
    assert int(own.queued) == 8


@pytest.mark.parametrize("before", [0, 3])
def test_more_keys_than_places_leave_the_last_ones(encoder, before):
    own = module(encoder, queue=4)
    own.stage_keys(*keys_of(list(range(before))))
    own.after_step(encoder, alone)
    own.stage_keys(*keys_of([17, 11, 19, 13, 15, 12, 18]))
    own.after_step(encoder, alone)
    queue, ids = own.filled()
    # The last in the order of ids, which is the order of entry; where the ring begins depends on
    # what came before.
    assert sorted(ids.tolist()) == [15, 17, 18, 19]
    assert queue[:, 0].tolist() == ids.tolist()


def test_the_queue_is_the_same_however_a_step_is_split_over_ranks(encoder):
    whole, split = module(encoder), module(encoder)
    whole.stage_keys(*keys_of([3, 9, 1, 7]))
    whole.after_step(encoder, alone)
    # Two micro-batches here, one on another rank.
    split.stage_keys(*keys_of([9]))
    split.stage_keys(*keys_of([7, 1]))
    split.after_step(encoder, lambda items: [keys_of([3]), *items])
    assert torch.equal(whole.queue, split.queue)
    assert torch.equal(whole.queue_ids, split.queue_ids)


def test_the_key_encoder_follows_exactly(encoder):
    momentum, steps = 0.9, 4
    own = module(encoder, momentum=momentum)
    names = ("key_body", "key_project")
    start = {n: copy.deepcopy(getattr(own, n)) for n in names}
    generator = torch.Generator().manual_seed(2)
    history: list[dict[str, list[torch.Tensor]]] = []
    for _ in range(steps):
        leaders = {"key_body": encoder.mlm.base_model, "key_project": own.project}
        with torch.no_grad():
            for leader in leaders.values():
                for p in leader.parameters():
                    p.add_(torch.randn(p.shape, generator=generator) * 0.1)
        history.append(
            {n: [p.detach().clone() for p in m.parameters()] for n, m in leaders.items()}
        )
        own.after_step(encoder, alone)
    for name in names:
        for i, (got, first) in enumerate(
            zip(getattr(own, name).parameters(), start[name].parameters(), strict=True)
        ):
            want = momentum**steps * first
            # m^T k_0 + (1 - m) sum_t m^(T - 1 - t) q_t: the recursion, written out.
            for step, told in enumerate(history):
                want = want + (1 - momentum) * momentum ** (steps - 1 - step) * told[name][i]
            assert torch.allclose(got, want, atol=1e-6)
            assert not got.requires_grad


def test_the_key_encoder_has_language_embeddings_of_its_own(
    batch_of, word_tokenizer, random_encoder
):
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    mlm = random_encoder(word_tokenizer.size, layers=1, **dropout).mlm
    with torch.random.fork_rng():
        torch.manual_seed(4)
        encoder = Encoder(mlm, ("ar", "en"))
    momentum, steps = 0.9, 3
    own = module(encoder, momentum=momentum)
    assert torch.equal(own.key_language.weight, encoder.language.weight)
    assert not own.key_language.weight.requires_grad
    batch = batch_of(Moco(24, projection=4), "pairs", 6, languages={"ar": 0, "en": 1})
    before = own.keys(encoder, batch.key)
    want, generator = encoder.language.weight.detach().clone(), torch.Generator().manual_seed(2)
    for _ in range(steps):
        with torch.no_grad():
            encoder.language.weight.add_(torch.randn(2, 32, generator=generator))
        # The query encoder has moved, the key encoder has not yet.
        assert torch.equal(own.keys(encoder, batch.key), before)
        want = momentum * want + (1 - momentum) * encoder.language.weight.detach()
        body = copy.deepcopy(own.key_body.state_dict())
        own.after_step(encoder, alone)
        own.key_body.load_state_dict(body)
        assert torch.allclose(own.key_language.weight, want, atol=1e-6)
        now = own.keys(encoder, batch.key)
        assert not torch.allclose(now, before, atol=1e-4)
        before = now
    # Through transformers, with the embeddings of tokens and of languages added by hand.
    flat = batch.key.groups.flatten() == 1
    tokens, tags = (t.flatten()[flat][None] for t in (batch.key.inputs, batch.key.languages))
    with torch.no_grad():
        embedded = own.key_body.get_input_embeddings()(tokens) + want[tags]
        positions = torch.arange(tokens.shape[1])[None] + 2
        hidden = own.key_body(inputs_embeds=embedded, position_ids=positions).last_hidden_state
        expected = normalize(own.key_project(hidden[:, 0]), dim=-1)
    assert torch.allclose(before[:1], expected, atol=1e-5)


def test_no_gradient_goes_through_the_keys(encoder, batch_of):
    objective = Moco(24, queue=5, projection=4, temperature=1.0)
    own, batch = module(encoder), batch_of(objective, "pairs")
    own.stage_keys(normalize(torch.randn(3, 4), dim=-1), torch.tensor([1, 2, 3]))
    own.after_step(encoder, alone)
    parts = objective.losses(encoder, own, batch)
    parts["contrast"].total.backward()
    assert all(p.grad is None for m in (own.key_body, own.key_project) for p in m.parameters())
    assert own.queue.grad is None
    assert all(p.grad.abs().sum() > 0 for p in own.project.parameters())
    assert encoder.table.grad.abs().sum() > 0
    # It is the gradient of the formula with the keys held fixed.
    keys = own.keys(encoder, batch.key)
    assert not keys.requires_grad
    expected = {n: p.grad.clone() for n, p in own.project.named_parameters()}
    own.zero_grad()
    vectors = encoder.vectors(batch.query)[batch.query.starts].detach()
    query = normalize(own.project(vectors), dim=-1)
    logits = torch.cat([(query * keys).sum(-1, keepdim=True), query @ own.filled()[0].T], 1)
    (-logits.log_softmax(-1)[:, 0].sum()).backward()
    for name, parameter in own.project.named_parameters():
        assert parameter.grad.abs().max() > 1e-2
        assert torch.allclose(parameter.grad, expected[name], rtol=1e-4, atol=1e-5)


def translation_of(row: dict, query: Input) -> str:
    return row["tgt"] if query.languages == (row["src_lang"],) else row["src"]


def test_the_whole_loss_equals_the_naive_loop(encoder, batch_of, rows, word_tokenizer):
    """Sentence by sentence through transformers, the queue with two of the queries' own pairs."""
    objective = Moco(24, queue=5, projection=4, temperature=1.0)
    own, batch = module(encoder), batch_of(objective, "pairs", 6)
    with torch.no_grad():
        for p in own.key_body.parameters():
            p.mul_(1.1)  # so that query and key encoder differ
    ids = torch.cat([batch.ids[:2], torch.tensor([5, 6])])
    own.stage_keys(normalize(torch.randn(4, 4, generator=torch.Generator().manual_seed(1))), ids)
    body = copy.deepcopy(own.key_body)
    own.after_step(encoder, alone)
    # `after_step` has moved the key encoder; back to what the loop below computes with.
    own.key_body.load_state_dict(body.state_dict())
    queue, queue_ids = own.filled()
    examples = objective.examples(rows("pairs", 6), np.zeros(6, int), word_tokenizer)
    total = 0.0
    with torch.no_grad():
        for i, example in enumerate(examples):
            first, second = (
                torch.from_numpy(s.tokens.astype(np.int64))[None] for s in example.sentences
            )
            q = own.project(encoder.mlm.base_model(input_ids=first).last_hidden_state[0, 0])
            k = own.key_project(own.key_body(input_ids=second).last_hidden_state[0, 0])
            q, k = (v / v.norm() for v in (q, k))
            # The key's sentence, by its text alone.
            text = translation_of(rows("pairs", 6).to_pylist()[i], example.sentences[0])
            same = queue_ids == int(sentence_ids([text])[0])
            assert int(same.sum()) == (i < 2)
            total += naive(q[None], k[None], queue, same[None], 1.0)
        parts = objective.losses(encoder, own, batch)
    assert parts["contrast"].total.item() == pytest.approx(total, rel=1e-4)
    assert int(parts["contrast"].weight) == 6
    tlm = masked_lm(
        encoder.logits(encoder.vectors(batch.pair.packed)[batch.pair.predicted]), batch.pair.targets
    )
    assert parts["tlm"].total.item() == pytest.approx(tlm.total.item(), rel=1e-6)


def test_keys_are_remembered_while_training_only(encoder, batch_of):
    objective = Moco(24, queue=40, projection=4)
    own, batch = module(encoder, queue=40), batch_of(objective, "pairs", 6)
    for training, queued in ((False, 0), (True, 6), (False, 6), (True, 12)):
        own.train(training)
        keys = own.keys(encoder, batch.key)
        objective.losses(encoder, own, batch)
        own.after_step(encoder, alone)
        assert int(own.queued) == queued
        if training:
            order = torch.argsort(batch.ids)
            assert torch.allclose(own.filled()[0][-6:], keys[order], atol=1e-6)
            assert own.filled()[1][-6:].tolist() == batch.ids[order].tolist()


def test_the_queue_is_part_of_the_state(encoder, batch_of):
    objective = Moco(24, queue=5, projection=4)
    own = module(encoder)
    objective.losses(encoder, own, batch_of(objective, "pairs", 3))
    own.after_step(encoder, alone)
    state = own.state_dict()
    assert {"queue", "queue_ids", "queued"} <= set(state)
    other = module(encoder)
    assert int(other.queued) == 0
    other.load_state_dict(state)
    assert int(other.queued) == 3
    for mine, theirs in zip(own.state_dict().values(), other.state_dict().values()):
        assert torch.equal(mine, theirs)
    assert isinstance(own, StepHook)


def turns(keys, epoch: int = 0, seed: int = 0) -> np.ndarray:
    objective = Moco(24, seed=seed)
    return objective._coins(keys, np.full(len(keys), epoch))


def test_the_coin_is_fair_and_keyed():
    keys = bits(np.arange(3000, dtype=np.uint64), seed=0, operation="test")
    first = turns(keys)
    # Three sigma of a fair coin.
    assert abs(first.sum() - 1500) < 3 * (3000 * 0.25) ** 0.5
    assert (turns(keys) == first).all()
    assert (turns(keys[::-1])[::-1] == first).all()
    for other in (turns(keys, epoch=1), turns(keys, seed=1)):
        # Independent coins agree half of the time.
        assert 0.4 < (first == other).mean() < 0.6


def test_the_coin_turns_sentences_and_pair_alike(rows, word_tokenizer):
    table, objective = rows("pairs", 40), Moco(40)
    plain = Tlm(40).examples(table, np.zeros(40, int), word_tokenizer)
    turned = 0
    for example, both in zip(objective.examples(table, np.zeros(40, int), word_tokenizer), plain):
        (pair,), (query, key) = example.inputs, example.sentences
        joined = [*query.tokens.tolist(), *key.tokens.tolist()[1:]]
        assert pair.tokens.tolist() == joined
        assert pair.languages == (*query.languages, *key.languages)
        straight = joined == both.inputs[0].tokens.tolist()
        assert query.languages == (("en",) if straight else ("ar",))
        (coin,) = objective._coins(np.asarray([example.key]), np.zeros(1, np.int64))
        assert coin == straight
        turned += not straight
    assert 8 < turned < 32


def test_without_tlm_only_sentences_are_read(encoder, batch_of):
    objective = Moco(24, queue=5, projection=4, tlm=False)
    batch = batch_of(objective, "pairs", 6)
    assert (batch.pair, len(batch.packs)) == (None, 2)
    own = objective.module(encoder)
    assert (
        set(objective.losses(encoder, own, batch)) == {"contrast"} == set(objective.weights(batch))
    )


def test_long_sentences_are_cut_apart_from_the_pair(rows, word_tokenizer):
    whole = Moco(64).examples(rows("pairs", 40), np.zeros(40, int), word_tokenizer)
    for tlm in (True, False):
        cut = Moco(10, tlm=tlm).examples(rows("pairs", 40), np.zeros(40, int), word_tokenizer)
        for e, w in zip(cut, whole):
            assert all(len(i.tokens) <= 10 for i in (*e.inputs, *e.sentences))
            inputs, all_of = (e.inputs, w.inputs) if tlm else (e.sentences, w.sentences)
            lost = sum(len(b.tokens) - len(a.tokens) for a, b in zip(inputs, all_of))
            assert e.n_truncated == lost
        assert any(e.n_truncated for e in cut)
