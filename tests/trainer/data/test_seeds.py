"""Entries of a mixture on one dataset read it in orders and with masks of their own."""

from itertools import combinations

import pytest

from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.seeds import entry_seed, run_seed
from bitextile.trainer.train.pretrain import open_pretraining

SEEDS = (0, 1, 12345, 2**64 - 1)


def test_no_two_entries_of_any_runs_share_a_seed_and_the_first_has_the_run_s():
    found = {entry_seed(seed, entry) for seed in SEEDS for entry in range(20)}
    assert len(found) == len(SEEDS) * 20
    assert all(entry_seed(seed, 0) == seed for seed in SEEDS)
    assert all(run_seed(entry_seed(seed, 19)) == seed for seed in SEEDS)


def first_epoch(state, n_steps: int = 30) -> list[dict[str, tuple[int, ...]]]:
    """Of each entry the rows of its first epoch in the order read, and what was masked of each."""
    found: list[dict] = [{} for _ in state.entries]
    batches = steps(state.streams, state.collation)
    for _ in range(n_steps):
        for made in next(batches):
            masked = getattr(made.batch, "pair", None) or made.batch
            starts = masked.packed.starts.tolist()
            owner = (masked.packed.groups.flatten()[masked.predicted] - 1).tolist()
            places = list(zip(owner, masked.predicted.tolist()))
            for i, record in enumerate(made.records):
                chosen = tuple(sorted(at - starts[i] for input_, at in places if input_ == i))
                found[made.entry].setdefault(record, chosen)
    batches.close()
    return found


@pytest.mark.parametrize(
    ("kind", "objectives"),
    [
        ("mono", ("mlm", "mlm")),
        ("mono", ("mlm", "align_mlm", "dict_mlm")),
        ("pairs", ("tlm", "tlm", "moco")),
        ("aligned", ("weam", "tlm", "camlm")),
        ("pseudo", ("btmlm", "btmlm")),
    ],
)
def test_entries_on_one_dataset_have_their_own_order_and_masks(
    config, datasets, make_dataset, tmp_path, kind, objectives
):
    path = make_dataset(tmp_path / kind, kind, rows=200)
    more = {
        "align_mlm": {"lexicon": datasets["lexicon"]},
        "dict_mlm": {"lexicon": datasets["lexicon"]},
        # Camlm and moco would turn pairs by a coin, and positions could not be compared.
        "camlm": {"random_pair_order": False, "mask_rate": 0.5},
    }
    data = [{"objective": o, "dataset": path} | more.get(o, {}) for o in objectives]
    state = open_pretraining(config(data=data, mask_rate=0.5, batch_tokens=512))
    for one, other in combinations(first_epoch(state), 2):
        shared = one.keys() & other.keys()
        assert len(shared) > 40
        orders = [[r for r in entry if r in shared] for entry in (one, other)]
        same_place = sum(a == b for a, b in zip(*orders)) / len(shared)
        # Of n positions half are masked: 2^-n of the rows agree by chance, n being 3 and more.
        same_masks = sum(one[r] == other[r] for r in shared) / len(shared)
        assert same_place < 0.1
        assert same_masks < 0.2


def test_a_run_of_one_entry_draws_from_the_run_s_seed_and_a_second_entry_changes_nothing_of_it(
    config, datasets
):
    entry = {"objective": "mlm", "dataset": datasets["mono"]}
    alone = first_epoch(open_pretraining(config(data=[entry])))[0]
    beside = first_epoch(open_pretraining(config(data=[entry, entry])))[0]
    assert alone.keys() == beside.keys()
    assert all(alone[record] == beside[record] for record in alone)
    assert list(alone)[:10] == list(beside)[:10]


def test_entries_use_the_same_part_of_a_lexicon(config, datasets):
    data = [
        {"objective": "align_mlm", "dataset": datasets["mono"], "lexicon": datasets["lexicon"]}
        | {"lexicon_fraction": 0.5}
    ] * 2
    first, second = open_pretraining(config(data=data)).entries
    assert first.objective.entries.words == second.objective.entries.words
    assert first.objective.seed != second.objective.seed
