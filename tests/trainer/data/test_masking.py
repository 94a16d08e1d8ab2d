"""Masks depend on seed, epoch, record and position alone, at the rates promised."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.randomness import bits, uniform
from bitextile.trainer.data.masking import Masking, draws, mask_tokens

MASKING = Masking(rate=0.15, mask=4, ordinary=np.arange(5, 105, dtype=np.int32), seed=11)


def corpus(n_records: int, length: int = 20):
    keys = bits(np.arange(n_records, dtype=np.uint64), seed=0, operation="test")
    row = np.repeat(np.arange(n_records), length)
    return {
        "tokens": (5 + np.arange(n_records * length) % 100).astype(np.int32),
        "maskable": np.arange(n_records * length) % length != 0,
        "keys": keys[row],
        "epochs": (row % 2).astype(np.int32),
        "positions": np.tile(np.arange(length, dtype=np.int32), n_records),
    }


def masked(arrays, masking=MASKING, where=slice(None)):
    part = {name: values[where] for name, values in arrays.items()}
    return mask_tokens(part.pop("tokens"), part.pop("maskable"), **part, masking=masking)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(6)))
def test_any_batch_split_and_order_masks_alike(order):
    arrays = corpus(6)
    shown, selected = masked(arrays)
    for record in order:
        part = slice(record * 20, record * 20 + 20)
        # Records of two epochs, in an order that hypothesis draws.
        alone, chosen = masked(arrays, where=part)
        assert alone.tolist() == shown[part].tolist()
        assert chosen.tolist() == selected[part].tolist()


def test_rates_lie_within_three_sigma():
    arrays = corpus(5_000)
    shown, selected = masked(arrays)
    n = int(arrays["maskable"].sum())
    m = int(selected.sum())
    assert abs(m - 0.15 * n) < 3 * (n * 0.15 * 0.85) ** 0.5
    changed = selected & (shown != arrays["tokens"])
    as_mask = int((shown[selected] == MASKING.mask).sum())
    assert abs(as_mask - 0.8 * m) < 3 * (m * 0.8 * 0.2) ** 0.5
    # A random token is the same one by chance in 1 of 100 cases.
    swapped = int((changed & (shown != MASKING.mask)).sum())
    assert abs(swapped - 0.099 * m) < 3 * (m * 0.099 * 0.901) ** 0.5
    assert not (shown != arrays["tokens"])[~selected].any()


def test_special_positions_are_never_selected():
    arrays = corpus(500)
    _, selected = masked(arrays, replace(MASKING, rate=0.999))
    assert not selected[~arrays["maskable"]].any()
    assert selected[arrays["maskable"]].mean() > 0.99


def test_random_tokens_are_ordinary():
    shown, selected = masked(corpus(500), replace(MASKING, masked=0.0, random=1.0))
    assert set(shown[selected].tolist()) <= set(MASKING.ordinary.tolist())
    assert len(set(shown[selected].tolist())) > 90


def test_epoch_seed_and_operation_each_mask_anew():
    arrays = corpus(50)
    later = arrays | {"epochs": arrays["epochs"] + 1}
    base = masked(arrays)[1]
    for other in (
        masked(later)[1],
        masked(arrays, replace(MASKING, seed=12))[1],
        masked(arrays, replace(MASKING, operation="mask/valid"))[1],
    ):
        assert (base != other).mean() > 0.1


def test_each_position_is_what_its_own_draws_make_it():
    """The rule again, one token at a time: select, then mask, swap or keep."""
    arrays = corpus(300)
    masking = replace(MASKING, rate=0.5, masked=0.5, random=0.3)
    shown, selected = masked(arrays, masking)
    actions = set()
    for i, token in enumerate(arrays["tokens"].tolist()):
        key, place = arrays["keys"][i : i + 1], int(arrays["positions"][i])
        epoch = int(arrays["epochs"][i])

        def draw(what: str, key=key, place=place, epoch=epoch) -> float:
            settings = {"seed": 11, "variant": epoch, "position": place}
            return float(uniform(key, operation=f"mask/{what}", **settings)[0])

        want, chosen = token, bool(arrays["maskable"][i]) and draw("select") < 0.5
        if chosen and draw("fate") < 0.5:
            want = masking.mask
            actions.add("mask")
        elif chosen and draw("fate") < 0.8:
            want = int(masking.ordinary[int(draw("token") * 100)])
            actions.add("random")
        elif chosen:
            actions.add("keep")
        assert (shown[i], selected[i]) == (want, chosen)
    assert actions == {"mask", "random", "keep"}


def test_shares_of_masked_random_and_kept_are_as_asked():
    arrays = corpus(2_000)
    for masked_, random in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (0.3, 0.5)):
        shown, selected = masked(arrays, replace(MASKING, masked=masked_, random=random))
        m = int(selected.sum())
        as_mask = int((shown[selected] == MASKING.mask).sum())
        swapped = int(((shown != arrays["tokens"]) & (shown != MASKING.mask)).sum())
        for found, share in ((as_mask, masked_), (swapped, 0.99 * random)):
            # Four sigma, as eight of these are tested; a random token is the old one in 1 of 100.
            assert abs(found - share * m) <= 4 * (m * share * (1 - share)) ** 0.5


def test_a_rate_of_nothing_selects_nothing():
    shown, selected = masked(corpus(50), replace(MASKING, rate=0.0))
    assert not selected.any()
    assert shown.tolist() == corpus(50)["tokens"].tolist()


def test_draws_are_keyed_by_record_epoch_and_position():
    keys = corpus(4)["keys"][::20]
    epochs, positions = np.asarray([0, 1, 0, 1]), np.asarray([3, 3, 5, 0])
    found = draws(keys, epochs, seed=7, operation="test", positions=positions)
    for i in range(4):
        settings = {"seed": 7, "operation": "test", "variant": int(epochs[i])}
        assert found[i] == uniform(keys[i : i + 1], position=int(positions[i]), **settings)[0]
    alone = draws(keys, np.zeros(4, int), seed=7, operation="test")
    assert alone.tolist() == uniform(keys, seed=7, operation="test", variant=0).tolist()
