"""CAMLM: who sees whom, to the last layer, and the loss by its formula."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from bitextile.trainer.data.examples import Example, Input
from bitextile.trainer.data.packed import Layout
from bitextile.trainer.objectives.build import build_objective
from bitextile.trainer.objectives.camlm import VISIBILITY, Camlm
from bitextile.trainer.objectives.config import CamlmSettings
from bitextile.trainer.objectives.tlm import Tlm

N = 3
"""Pairs in the row."""


@pytest.fixture(scope="module")
def batch(batch_of):
    """Three pairs side by side in one row, with padding behind them."""
    made = batch_of(Camlm(24), "pairs", N, width=64, layout=Layout.FIXED)
    assert len(made.packed.inputs) == 1
    return made


def changed(encoder, packed) -> torch.Tensor:
    """[W, W] True where another token at the first place changes the vector at the second."""
    width = packed.inputs.shape[1]
    variants = packed.inputs.repeat(width, 1)
    places = torch.arange(width)
    # Another ordinary id, or an ordinary one for a special: 5 to 34, never the same.
    variants[places, places] = 5 + (variants[places, places] + 11) % 30
    assert (variants[places, places] != packed.inputs[0]).all()
    wide = {
        name: getattr(packed, name).repeat(width, 1)
        for name in ("positions", "groups", "attention_roles")
    }
    with torch.no_grad():
        logits = encoder.logits(encoder.vectors(packed))
        others = encoder.logits(encoder.vectors(replace(packed, inputs=variants, **wide)))
    # Far above rounding and far below what attention that is far from uniform lets through.
    return (others.reshape(width, width, -1) - logits).abs().amax(-1) > 1e-5


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "modernbert"])
def test_nothing_but_the_unselected_of_the_other_side_reaches_a_prediction(
    batch, random_encoder, word_tokenizer, model_type
):
    """All places by all places, through four layers: no way round over the other sentence."""
    packed = batch.packed
    reached = changed(random_encoder(word_tokenizer.size, model_type, layers=4), packed)
    groups, roles = packed.groups[0], packed.attention_roles[0]
    sides, selected = roles // 2, roles % 2 == 1
    n_checked = {True: 0, False: 0}
    for k in batch.predicted.tolist():
        for source in range(len(groups)):
            same_pair, same_side = groups[source] == groups[k], sides[source] == sides[k]
            # A selected place of its own sentence is shown as a mask, so it carries no content.
            wanted = bool(same_pair and (same_side if selected[source] else not same_side))
            assert bool(reached[source, k]) == wanted, (source, k)
            n_checked[wanted] += 1
    assert n_checked[True] > 100
    assert n_checked[False] > 500


def test_tlm_leaks_what_camlm_does_not(batch, random_encoder, word_tokenizer):
    """So that the test above can fail: with full attention its own context reaches a prediction."""
    full = replace(batch.packed, visibility=torch.ones(4, 4, dtype=torch.bool))
    reached = changed(random_encoder(word_tokenizer.size), full)
    own = (full.groups[0][:, None] == full.groups[0]) & (full.attention_roles[0][:, None] // 2 == 0)
    assert reached[own].all()


def test_an_open_table_leaks_from_the_second_layer(batch, random_encoder, word_tokenizer):
    """Why unselected positions must see their own sentence only."""
    sees = [list(row) for row in VISIBILITY]
    sees[0][2] = sees[2][0] = True
    leaky = replace(batch.packed, visibility=torch.tensor(sees))
    groups, roles = leaky.groups[0], leaky.attention_roles[0]
    own = (groups[:, None] == groups) & (roles[:, None] == 0) & (roles == 1)
    # Through one layer only what is attended to directly arrives; the way over the other sentence
    # takes two.
    assert not changed(random_encoder(word_tokenizer.size, layers=1), leaky)[own].any()
    assert changed(random_encoder(word_tokenizer.size, layers=2), leaky)[own].all()


def test_the_table_is_that_of_the_paper():
    for q in range(4):
        for k in range(4):
            same, (selected_q, selected_k) = q // 2 == k // 2, (q % 2 == 1, k % 2 == 1)
            of_selected = same == selected_k  # its own selected, the other's unselected
            of_unselected = same and not selected_k
            assert VISIBILITY[q][k] == (of_selected if selected_q else of_unselected)


def test_roles_masks_and_sides(batch, rows, word_tokenizer, look):
    examples = Camlm(24).examples(rows("pairs", N), np.zeros(N, int), word_tokenizer)
    assert tuple(map(tuple, batch.packed.visibility.tolist())) == VISIBILITY
    for example, one in zip(examples, look(batch)):
        (pair,) = example.inputs
        selected = np.isin(np.arange(len(pair.tokens)), one.predicted)
        assert one.roles == (2 * pair.sides + selected).tolist()
        # All selected are shown as the mask, all others as they are.
        want = np.where(selected, word_tokenizer.mask, pair.tokens)
        assert one.shown == want.tolist()
        assert one.targets == pair.tokens[selected].tolist()
        assert one.roles[0] == 0
        assert one.roles[-1] == 2
    places = batch.packed.attention_roles.flatten()[batch.predicted]
    assert batch.sides.tolist() == (places // 2).tolist()


def test_the_same_positions_are_selected_as_by_tlm(batch_of):
    """In the order of the dataset, that is; a turned pair has other positions."""
    tlm = batch_of(Tlm(24), "pairs", N, width=64, layout=Layout.FIXED)
    batch = batch_of(Camlm(24, random_pair_order=False), "pairs", N, width=64, layout=Layout.FIXED)
    assert torch.equal(tlm.predicted, batch.predicted)
    assert torch.equal(tlm.targets, batch.targets)


@pytest.mark.parametrize("make", [Camlm, partial(Tlm, random_pair_order=True)])
def test_a_coin_decides_which_sentence_comes_first(rows, word_tokenizer, make):
    """Keyed by seed, record and epoch; what is turned is turned with sides and languages."""
    table, n = rows("pairs", 40), 40
    plain = Tlm(64).examples(table, np.zeros(n, int), word_tokenizer)

    def turned(objective, epochs, first=0):
        found = objective.examples(table.slice(first), epochs[first:], word_tokenizer)
        for one, other in zip(found, plain[first:]):
            (a,), (b,) = one.inputs, other.inputs
            n_src = int((b.sides == 0).sum()) - 1
            if a.languages == b.languages:
                assert a.tokens.tolist() == b.tokens.tolist()
                assert a.sides.tolist() == b.sides.tolist()
            else:
                assert a.languages == b.languages[::-1] == ("ar", "en")
                assert a.tokens[1:].tolist() == [*b.tokens[n_src + 1 :], *b.tokens[1 : n_src + 1]]
                assert a.sides.tolist() == [0] * (len(b.tokens) - n_src) + [1] * n_src
            assert (a.maskable == word_tokenizer.is_ordinary[a.tokens]).all()
            assert (one.record, one.key, one.n_truncated) == (
                other.record,
                other.key,
                other.n_truncated,
            )
        return [e.inputs[0].languages == ("ar", "en") for e in found]

    epochs = np.zeros(n, int)
    assert 8 < sum(turned(make(64), epochs)) < 32
    assert turned(make(64), epochs, first=7) == turned(make(64), epochs)[7:]
    assert turned(make(64), epochs) != turned(make(64), epochs + 1)
    assert turned(make(64), epochs) != turned(make(64, seed=1), epochs)
    assert not any(turned(replace(make(64), random_pair_order=False), epochs))


def test_an_entry_may_mask_at_its_own_rate(rows, word_tokenizer, collation):
    """More of the same draws: what is masked at the run's rate is masked at a higher one too."""
    examples = Camlm(64).examples(rows("pairs", 40), np.zeros(40, int), word_tokenizer)
    settings = collation(word_tokenizer, rate=0.15)
    usual, often = (
        set(Camlm(64, mask_rate=rate).collate(examples, settings).predicted.tolist())
        for rate in (None, 0.5)
    )
    assert usual < often
    words = sum(int(e.inputs[0].maskable.sum()) for e in examples)
    # Wide bounds: some hundred words are few for a share.
    assert 0.1 < len(usual) / words < 0.2
    assert 0.45 < len(often) / words < 0.55
    entry = CamlmSettings(objective="camlm", dataset="pairs", mask_rate=0.5)
    objective = build_objective(entry, word_tokenizer, max_length=64, seed=5)
    assert objective == Camlm(64, mask_rate=0.5, seed=5)
    # The entry's rate and the run's are one thing to the draws.
    same = Camlm(64, mask_rate=0.5).collate(examples, collation(word_tokenizer, rate=0.5))
    assert set(same.predicted.tolist()) == often


def test_the_loss_equals_the_naive_loop(batch, random_encoder, word_tokenizer):
    """Each pair alone, its mask written out, each side's mean by itself."""
    encoder = random_encoder(word_tokenizer.size)
    parts = Camlm(24).losses(encoder, None, batch)
    sums, counts = {0: 0.0, 1: 0.0}, {0: 0, 1: 0}
    groups, roles = batch.packed.groups[0], batch.packed.attention_roles[0]
    for pair in range(N):
        here = torch.nonzero(groups == pair + 1).flatten()
        shown, role = batch.packed.inputs[0, here], roles[here]
        mask = torch.tensor([[VISIBILITY[q][k] for k in role.tolist()] for q in role.tolist()])
        with torch.no_grad():
            logits = encoder.mlm(input_ids=shown[None], attention_mask=mask[None, None]).logits[0]
        for place, target in zip(batch.predicted.tolist(), batch.targets.tolist()):
            if groups[place] == pair + 1:
                side = int(roles[place]) // 2
                at = int((here == place).nonzero())
                sums[side] -= float(logits[at].log_softmax(-1)[target])
                counts[side] += 1
    for side, name in enumerate(("src", "tgt")):
        assert parts[name].total.item() == pytest.approx(sums[side], rel=1e-4)
        assert int(parts[name].weight) == counts[side] > 0


def test_a_batch_by_hand(table, word_tokenizer, collation):
    """One pair of which every word is selected; the table gives each prediction alike."""
    tokens = np.asarray([0, 5, 6, 2, 7, 2], np.int32)
    maskable = np.asarray([False, True, True, False, True, False])
    sides = np.asarray([0, 0, 0, 0, 1, 1], np.int8)
    example = Example("r", np.uint64(3), 0, (Input(tokens, maskable, sides, ("en", "ar")),))
    batch = Camlm(24).collate([example], collation(word_tokenizer, rate=1.0))
    assert batch.packed.inputs[0, :6].tolist() == [0, 4, 4, 2, 4, 2]
    assert batch.packed.attention_roles[0, :6].tolist() == [0, 1, 1, 0, 3, 2]
    encoder = table(word_tokenizer.size)
    log_p = encoder.logits(encoder.vector[4]).log_softmax(-1).detach()
    parts = Camlm(24).losses(encoder, None, batch)
    assert parts["src"].total.item() == pytest.approx(-float(log_p[5] + log_p[6]))
    assert parts["tgt"].total.item() == pytest.approx(-float(log_p[7]))
    assert Camlm(24).weights(batch) == {"src": 2, "tgt": 1}
