"""A step: its loss and gradient are those of the formula, however cut into micro-batches."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bitextile.trainer.data.loader import CollatedBatch, steps
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train import step as module
from bitextile.trainer.train.pretrain import open_pretraining
from bitextile.trainer.train.state import TrainState
from bitextile.trainer.train.step import (
    MicroBatchStats,
    StepStats,
    learning_rate,
    train_step,
)


def stats(stream: int, entry: int, **weights: int) -> MicroBatchStats:
    return MicroBatchStats(
        stream=stream, entry=entry, weights=weights, digest="", rows=1, n_tokens=8, n_positions=8,
        n_truncated=0, n_split=0, epoch=0, flops=0.0,
    )  # fmt: skip


def test_a_part_is_weighed_by_the_share_of_its_entry_and_by_its_weight_over_the_step():
    step = StepStats((stats(0, 0, a=3, b=6), stats(1, 1, a=5), stats(2, 0, a=7, b=0)))
    assert step.weights == {(0, "a"): 10, (0, "b"): 6, (1, "a"): 5}
    assert (step.share(0), step.share(1), step.share(2)) == (2 / 3, 1 / 3, 0.0)
    assert step.factor((0, "a")) == pytest.approx(2 / 3 / 10)
    assert step.factor((0, "b")) == pytest.approx(2 / 3 / 6)
    assert step.factor((1, "a")) == pytest.approx(1 / 3 / 5)


def test_a_part_that_nothing_weighs_is_multiplied_by_its_share():
    assert StepStats((stats(0, 0, a=0),)).factor((0, "a")) == 1.0


def test_an_entry_without_anything_to_predict_has_no_part_in_the_loss_of_a_step():
    step = StepStats((stats(0, 0, a=3), stats(1, 0, a=1), stats(2, 1, b=0), stats(3, 2, c=2)))
    assert step.loss({(0, "a"): 3.0, (2, "c"): 6.0}) == pytest.approx(3.0 * 2 / 3 + 6.0 / 3)
    assert step.loss({(0, "a"): 3.0}) == pytest.approx(3.0)
    assert step.loss({}) is None
    whole = StepStats((stats(0, 0, a=3, d=1), stats(1, 1, b=2)))
    assert whole.loss({(0, "a"): 3.0, (0, "d"): 1.0, (1, "b"): 6.0}) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("objective", "kind"),
    [
        ("mlm", "mono"),
        ("tlm", "pairs"),
        ("camlm", "pairs"),
        ("weam", "aligned"),
        ("btmlm", "pseudo"),
        ("dict_mlm", "mono"),
        ("align_mlm", "mono"),
        ("moco", "pairs"),
    ],
)
def test_a_part_that_nothing_is_predicted_for_is_no_loss_of_0(config, datasets, objective, kind):
    more = {"lexicon": datasets["lexicon"]} if objective in ("dict_mlm", "align_mlm") else {}
    entry = {"objective": objective, "dataset": datasets[kind]} | more
    state = open_pretraining(config(data=[entry], mask_rate=0.01, batch_tokens=64, steps=60))
    batches = steps(state.streams, state.collation)
    seen = set()
    for _ in range(30):
        (batch,) = made = next(batches)
        metrics = train_step(state, iter([made]))
        named = {n.split("/")[-1]: loss for n, loss in metrics["losses"].items()}
        # Exactly the parts that have a position or pair, by the loader's count.
        weighed = {n for n, weight in batch.weights.items() if weight}
        assert set(named) == weighed
        predicted = {n: v for n, v in named.items() if n not in ("contrast", "align")}
        assert all(loss > 0 for loss in predicted.values())
        if named:
            assert metrics["loss"] == pytest.approx(sum(named.values()))
        else:
            assert metrics["loss"] is None
        seen.add(bool(predicted))
    assert seen == {True, False}


@pytest.fixture
def plain(config) -> dict:
    """A model without dropout, so that a second forward pass gives the same."""
    geometry = config().model.config | {"hidden_dropout_prob": 0.0}
    return {"config": geometry | {"attention_probs_dropout_prob": 0.0}}


@pytest.fixture
def mixture(config, datasets, plain):
    """Opens a mixture of two entries with unlike weights, in steps of three micro-batches."""
    entries = [
        {"objective": "weam", "dataset": datasets["aligned"], "weight": 2},
        {"objective": "mlm", "dataset": datasets["mono"], "weight": 1},
    ]

    def make(**more) -> TrainState:
        settings = {"data": entries, "grad_accumulation": 3, "max_grad_norm": 0, "model": plain}
        return open_pretraining(config(**(settings | more)))

    return make


def loaded(state: TrainState) -> list[CollatedBatch]:
    return next(steps(state.streams, state.collation))


def twice(batches: list[CollatedBatch]) -> Iterator[list[CollatedBatch]]:
    yield batches


def expected_loss(state: TrainState, batches: list[CollatedBatch]) -> torch.Tensor:
    """The formula, the obvious way: share * sum / weight over entries and parts."""
    loss = torch.zeros((), dtype=torch.float64)
    for entry in {b.entry for b in batches}:
        mine = [b for b in batches if b.entry == entry]
        objective, own = state.entries[entry].objective, state.module_of(entry)
        parts = [objective.losses(state.encoder, own, b.batch) for b in mine]
        for name in parts[0]:
            total = sum(p[name].total.double() for p in parts)
            weight = sum(int(p[name].weight) for p in parts)
            loss = loss + len(mine) / len(batches) * total / weight
    return loss


def test_loss_and_gradient_of_a_mixture_are_those_of_the_formula(mixture, monkeypatch):
    state = mixture()
    batches = loaded(state)
    # Two micro-batches of one entry and one of the other: shares of 2/3 and 1/3, whose weights
    # differ.
    assert sorted(b.entry for b in batches) == [0, 0, 1]
    state.encoder.train()
    expected = expected_loss(state, batches)
    expected.backward()
    want = {n: p.grad.clone() for n, p in state.encoder.named_parameters() if p.grad is not None}
    state.encoder.zero_grad(set_to_none=True)
    found = {}

    # Where the whole gradient stands, before the update takes it away.
    def keep(parameters, max_norm):
        found.update(
            {n: p.grad.clone() for n, p in state.encoder.named_parameters() if p.grad is not None}
        )
        return 1.0

    monkeypatch.setattr(module, "clip_gradients", keep)
    metrics = train_step(state, twice(batches))
    assert metrics["loss"] == pytest.approx(float(expected.detach()), rel=1e-6)
    assert found.keys() == want.keys()
    for name, gradient in want.items():
        assert torch.allclose(found[name], gradient, rtol=1e-4, atol=1e-7), name


def test_the_parts_of_a_step_are_named_and_averaged_over_it(mixture):
    state = mixture()
    batches = loaded(state)
    weam = [b for b in batches if b.entry == 0]
    with torch.no_grad():
        state.encoder.train()
        parts = [state.entries[0].objective.losses(state.encoder, None, b.batch) for b in weam]
    metrics = train_step(state, twice(batches))
    assert set(metrics["losses"]) == {"weam/mp", "weam/cp", "mlm"}
    for name in ("mp", "cp"):
        total = sum(float(p[name].total) for p in parts)
        mean = total / sum(int(p[name].weight) for p in parts)
        assert metrics["losses"][f"weam/{name}"] == pytest.approx(mean, rel=1e-5)
    losses = metrics["losses"]
    whole = 2 / 3 * (losses["weam/mp"] + losses["weam/cp"]) + 1 / 3 * losses["mlm"]
    assert metrics["loss"] == pytest.approx(whole)


def test_the_counts_of_a_step_are_those_of_its_micro_batches(mixture):
    state = mixture(max_length=10)
    batches = loaded(state)
    metrics = train_step(state, twice(batches))
    n_positions = sum(p.inputs.numel() for b in batches for p in b.batch.packs)
    assert metrics["tokens"] == sum(p.n_tokens for b in batches for p in b.batch.packs)
    assert metrics["padding"] == pytest.approx(1 - metrics["tokens"] / n_positions)
    assert metrics["rows"] == sum(len(b.records) for b in batches)
    assert metrics["truncated"] == sum(b.n_truncated for b in batches) > 0
    assert metrics["split"] == sum(b.n_split for b in batches)
    assert metrics["epoch"] == max(b.epoch for b in batches)
    assert (state.step, state.tokens) == (1, metrics["tokens"])
    assert state.counters == {b.stream: b.state for b in batches}
    assert 0 <= metrics["data_wait"] <= 1
    assert "mfu" not in metrics


def test_the_digest_of_the_records_depends_on_each_of_them(mixture):
    first, again = mixture(), mixture()
    one = train_step(first, twice(loaded(first)))["records"]
    assert train_step(again, twice(loaded(again)))["records"] == one
    assert len(one) == 16
    other = mixture(seed=1)
    assert train_step(other, twice(loaded(other)))["records"] != one


def test_useful_operations_are_summed_and_divided_by_seconds_and_peak(mixture):
    state = mixture(peak_flops=1e9)
    batches = loaded(state)
    metrics = train_step(state, twice(batches))
    flops = sum(module.step_flops(state.geometry, b.batch) for b in batches)
    seconds = metrics["tokens"] / metrics["tokens_per_s"]
    assert metrics["mfu"] == pytest.approx(flops / seconds / 1e9)


def test_the_optimiser_steps_at_the_rate_of_the_schedule(mixture):
    state = mixture(lr=1e-3, warmup_steps=4, weight_decay=0.0)
    before = {n: p.detach().clone() for n, p in state.encoder.named_parameters()}
    assert train_step(state, twice(loaded(state)))["lr"] == pytest.approx(2.5e-4)
    moved = max(
        float((p.detach() - before[n]).abs().max()) for n, p in state.encoder.named_parameters()
    )
    # Adam's first update is its rate times the sign of the gradient.
    assert moved == pytest.approx(2.5e-4, rel=1e-2)
    assert all(p.grad is None for p in state.encoder.parameters())


def test_dropout_is_drawn_from_seed_step_and_stream():
    seeds = {
        module._dropout_seed(seed, step, stream)
        for seed in (0, 1)
        for step in (0, 1, 7)
        for stream in (0, 1, 2)
    }
    # All of 2 x 3 x 3 differ.
    assert len(seeds) == 18
    assert all(0 <= s < 2**63 for s in seeds)
    assert module._dropout_seed(3, 5, 1) == module._dropout_seed(3, 5, 1)


def test_a_gradient_that_is_not_finite_stops_before_anything_is_updated(mixture, monkeypatch):
    state = mixture()
    batches = loaded(state)
    # As if a norm had overflowed, with losses that are all finite.
    monkeypatch.setattr(module, "clip_gradients", lambda *_: math.inf)
    before = [p.detach().clone() for p in state.encoder.parameters()]
    with pytest.raises(TrainingError, match=r"step 1: the gradient is not finite \(norm inf\)"):
        train_step(state, twice(batches))
    assert all(torch.equal(a, b) for a, b in zip(before, state.encoder.parameters()))
    assert (state.step, state.tokens) == (0, 0)


def test_a_loss_that_is_not_finite_names_the_records_of_its_micro_batch(mixture, monkeypatch):
    state = mixture()
    batches = loaded(state)
    (bad,) = (b for b in batches if b.entry == 1)
    objective = state.entries[1].objective
    losses = type(objective).losses

    def broken(self, *arguments):
        return {
            n: type(p)(p.total * math.nan, p.weight) for n, p in losses(self, *arguments).items()
        }

    monkeypatch.setattr(type(objective), "losses", broken)
    with pytest.raises(TrainingError) as caught:
        train_step(state, twice(batches))
    message = str(caught.value)
    assert f"a loss (nan in micro-batch {bad.stream}) is not finite" in message
    named = message.split("its records are ")[1].split(". Look")[0]
    shown, more = (named.split(" and ")[0].split(", "), len(bad.records) - 8)
    assert shown == list(bad.records)[:8]
    assert (f"and {more} more" in named) == (more > 0)


def test_entries_of_one_objective_are_told_apart(config, datasets):
    entries = [{"objective": "mlm", "dataset": datasets[k]} for k in ("mono", "pairs")]
    state = open_pretraining(config(data=entries, grad_accumulation=2))
    assert set(train_step(state, twice(loaded(state)))["losses"]) == {"mlm.0", "mlm.1"}


@pytest.mark.parametrize(
    ("schedule", "middle", "last"), [("linear", 0.5, 0.1), ("cosine", 0.5, 0.02447)]
)
def test_schedules_rise_and_fall(config, schedule, middle, last):
    made = config(schedule=schedule, steps=12, warmup_steps=2, lr=1.0)
    rates = [learning_rate(made, s) for s in range(12)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[7] == pytest.approx(middle)
    assert rates[11] == pytest.approx(last, abs=1e-4)
    assert learning_rate(made, 40) == pytest.approx(0.0, abs=1e-12)


def test_a_constant_schedule_stays(config):
    made = config(schedule="constant", steps=9, warmup_steps=0, lr=0.25)
    assert {learning_rate(made, s) for s in range(9)} == {0.25}


def test_a_warm_up_as_long_as_the_run_ends_at_the_peak(config):
    made = config(steps=4, warmup_steps=4, lr=1.0)
    assert np.allclose([learning_rate(made, s) for s in range(4)], [0.25, 0.5, 0.75, 1.0])
