"""Validation: the mean loss of each part over the `valid` split, the same whenever it is taken."""

import pytest
import torch

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.train import validate as module
from bitextile.trainer.train.pretrain import open_pretraining
from bitextile.trainer.train.validate import validate


@pytest.fixture
def state(config, datasets):
    entries = [
        {"objective": "weam", "dataset": datasets["aligned"]},
        {"objective": "btmlm", "dataset": datasets["pseudo"]},
    ]
    return open_pretraining(config(data=entries))


def test_a_loss_is_the_sum_of_the_means_of_its_parts(state):
    entry = state.entries[0]
    sums: dict[str, list[float]] = {}
    state.encoder.eval()
    for batch in module._valid_batches(state, entry):
        with torch.no_grad():
            for name, part in entry.objective.losses(state.encoder, None, batch).items():
                total, weight = sums.get(name, [0.0, 0.0])
                sums[name] = [total + float(part.total), weight + int(part.weight)]
    expected = sum(total / weight for total, weight in sums.values())
    assert set(sums) == {"mp", "cp"}
    # Rows without a split, as those of pseudo, have no validation loss.
    assert validate(state) == {"weam": pytest.approx(expected, rel=1e-5)}


def test_rows_in_which_nothing_is_masked_have_no_loss(config, datasets):
    entries = [
        {"objective": "mlm", "dataset": datasets["mono"]},
        {"objective": "camlm", "dataset": datasets["pairs"], "mask_rate": 0.9},
    ]
    found = validate(open_pretraining(config(data=entries, mask_rate=1e-6)))
    assert found.keys() == {"camlm"}
    assert found["camlm"] > 0


def test_it_reads_the_valid_split_up_to_the_limit(state, config, datasets):
    def n_rows(state) -> int:
        return sum(len(b.packed.starts) for b in module._valid_batches(state, state.entries[0]))

    splits = open_dataset(datasets["aligned"]).table().column("split").to_pylist()
    assert n_rows(state) == splits.count("valid") > 3
    assert n_rows(open_pretraining(config(evaluate_rows=3))) == 3


def test_it_is_the_same_whenever_it_is_taken_and_leaves_training_alone(state):
    generator = torch.random.get_rng_state()
    first = validate(state)
    state.streams[0].next()
    assert validate(state) == first
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert not state.encoder.training
