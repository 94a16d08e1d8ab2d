"""Dynamic masking: what is predicted is a function of (seed, epoch, record, position)."""

from dataclasses import dataclass

import numpy as np

from bitextile.kernels.arrays import I32, U64, Bool
from bitextile.kernels.randomness import uniform

MASKED = 0.8
"""Share of the selected positions shown as `[MASK]` (BERT, Devlin et al. 2019, section 3.1)."""

RANDOM = 0.1
"""Share of them shown as a random ordinary token; the rest, 10 %, stays as it is."""


@dataclass(frozen=True, kw_only=True)
class Masking:
    """How positions are selected and shown.

    Attributes:
        rate: share of maskable positions to select.
        mask: id of the mask token.
        ordinary: [v] ids a random token is drawn from.
        seed: of the run.
        operation: names the draw; training and evaluation draw apart.
        masked: share of the selected that is shown as `mask`.
        random: share of them shown as a random ordinary token.
    """

    rate: float
    mask: int
    ordinary: I32
    seed: int
    operation: str = "mask"
    masked: float = MASKED
    random: float = RANDOM


def mask_tokens(
    tokens: I32,
    maskable: Bool,
    *,
    keys: U64,
    epochs: I32,
    positions: I32,
    masking: Masking,
) -> tuple[I32, Bool]:
    """Returns the ids that the model is given, and which positions it is to predict.

    All arrays are [n], one element per token of any number of records: the draw of a token depends
    on its own record and position alone, so any split into batches gives the same.

    Args:
        tokens: ids.
        maskable: False for special tokens and padding.
        keys: 64 bits of the token's record.
        epochs: of the token's record.
        positions: of the token in its record.
        masking: rate, ids and seed.

    Returns:
        ids with masks and random tokens set in, and True where selected.
    """
    # Each position by itself, where BERT's code rounds 15 % of a sentence to a number: a token's
    # draw does not depend on how many others there are, at the price of short sentences without
    # any.
    selected = np.zeros(len(tokens), bool)
    shown = tokens.copy()
    for epoch in np.unique(epochs):
        here = np.flatnonzero((epochs == epoch) & maskable)
        # Three draws of their own names, not one number cut in pieces: that a token is selected
        # must say nothing of what is shown for it.
        draw = _draw("select", keys[here], positions[here], int(epoch), masking)
        here = here[draw < masking.rate]
        selected[here] = True
        # The names key the draws: under another word than "fate" every run would have other masks.
        mask_action = _draw("fate", keys[here], positions[here], int(epoch), masking)
        shown[here[mask_action < masking.masked]] = masking.mask
        random = (mask_action >= masking.masked) & (mask_action < masking.masked + masking.random)
        swap = here[random]
        # Any ordinary token, the original among them, as in BERT.
        draw = _draw("token", keys[swap], positions[swap], int(epoch), masking)
        # A draw is at most 1 - 2^-53, whose product with a whole number n rounds to less than n.
        shown[swap] = masking.ordinary[(draw * len(masking.ordinary)).astype(np.int64)]
    return shown, selected


def _draw(what: str, keys: U64, positions: I32, epoch: int, masking: Masking) -> np.ndarray:
    operation = f"{masking.operation}/{what}"
    return uniform(keys, seed=masking.seed, operation=operation, variant=epoch, position=positions)


def draws(
    keys: U64, epochs: np.ndarray, *, seed: int, operation: str, positions: np.ndarray | int = 0
) -> np.ndarray:
    """Returns a draw in [0, 1) for each element, keyed by its record, epoch and position.

    Args:
        keys: [n] 64 bits of the records.
        epochs: [n] of the records.
        seed: of the run.
        operation: names what is drawn.
        positions: [n] within the records, or one for all.
    """
    at = np.broadcast_to(positions, keys.shape)
    drawn = np.zeros(len(keys))
    for epoch in np.unique(epochs):
        here = np.flatnonzero(epochs == epoch)
        drawn[here] = uniform(
            keys[here], seed=seed, operation=operation, variant=int(epoch), position=at[here]
        )
    return drawn
