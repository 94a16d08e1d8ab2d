"""The hidden Markov model of word alignment, one sentence in one direction.

Observations are the words of one side, states the words of the other (Vogel, Ney and Tillmann
1996), with one null state per word that remembers where the last real link was (Och and Ney 2003):

    p(next = i | last = i') = (1 - p_null) jump(i - i') / sum_k jump(k - i')     a real link
                            = p_null                                           null, last stays i'

The first word comes from i' = -1. Rows are padded to LANES states of probability zero and taken as
slices, because only then does numba's output use vector instructions (5 times as fast at 64 words).
"""

from typing import NamedTuple

import numpy as np

from bitextile.kernels.align.corpus import Real
from bitextile.kernels.align.jit import inner, njit_max
from bitextile.kernels.arrays import F32, I64

LANES = 16
"""Floats in a vector register of AVX-512; two or four registers elsewhere."""


class Jumps(NamedTuple):
    """Jump weights spread out over every distance that occurs.

    Attributes:
        weight: float32 [2 * zero + 1], weight of distance d at zero + d.
        mirrored: the same, of distance -d.
        zero: index of distance 0.
    """

    weight: F32
    mirrored: F32
    zero: int


class Lattice(NamedTuple):
    """Memory for one sentence in one direction; matrices lie flat, a padded row per observation.

    Attributes:
        emit: p(observation | state).
        real: forward probability of ending in a real link, scaled to sum to one with `null`.
        null: forward probability of ending in null with the last real link at a state.
        gamma: posterior of each real link, the result; takes the place of `real` in memory.
        pair: expected transitions without their jump weight, a padded row per former state.
        null_emit: p(observation | null), one per observation.
        null_gamma: posterior of null, one per observation.
        leave: 1 / sum_k jump(k - i') at i' + 1.
        state: five scratch rows.
        size: int64 [2], observations and states of the sentence at hand.
    """

    emit: F32
    real: F32
    null: F32
    gamma: F32
    pair: F32
    null_emit: F32
    null_gamma: F32
    leave: F32
    state: F32
    size: I64


@inner
def padded(n: int) -> int:
    """Returns n rounded up to whole vectors."""
    return (n + LANES - 1) // LANES * LANES


def lattice(n_obs: int, n_states: int) -> Lattice:
    """Returns memory for sentences of at most these lengths, in either role."""
    wide = -(-max(n_obs, n_states, 1) // LANES) * LANES

    def empty(n: int) -> F32:
        return np.empty(n, np.float32)

    real = empty(wide * wide)
    return Lattice(
        emit=empty(wide * wide),
        real=real,
        null=empty(wide * wide),
        gamma=real,
        pair=empty(wide * wide),
        null_emit=empty(wide),
        null_gamma=empty(wide),
        leave=empty(wide + 1),
        state=empty(5 * wide).reshape(5, wide),
        size=np.zeros(2, np.int64),
    )


@njit_max
def _greatest(row: F32) -> np.float32:
    most = np.float32(0)
    for i in range(len(row)):
        most = max(most, row[i])
    return most


@inner
def _leave(jumps: Jumps, n_states: int, out: F32) -> None:
    """out[i' + 1] = 1 / sum_{i < n} jump(i - i') for i' = -1 .. n - 1, by a running sum."""
    total = 0.0
    for i in range(n_states):
        total += jumps.weight[jumps.zero + i + 1]
    for last in range(-1, n_states):
        out[last + 1] = 1 / total
        total += jumps.weight[jumps.zero - last - 1]
        total -= jumps.weight[jumps.zero + n_states - 1 - last]
    out[n_states + 1 : padded(n_states) + 1] = 0


@inner
def _spread(mass: F32, weight: F32, zero: int, n_states: int, cut: Real, out: F32) -> None:
    """out[i] = sum_i' mass[i'] weight[i - i'], over the states whose mass exceeds `cut`."""
    out[:] = 0
    for last in range(n_states):
        c = mass[last]
        if c > cut:
            w = weight[zero - last : zero - last + len(out)]
            for i in range(len(out)):
                out[i] += c * w[i]


@inner
def _first(work: Lattice, n_states: int, jumps: Jumps, p_null: Real, stay: F32, come: F32) -> None:
    """Fills where the first word comes from: `come` by a jump from -1, `stay` as null."""
    w = jumps.weight[jumps.zero + 1 : jumps.zero + 1 + len(come)]
    stay[:] = 0
    for i in range(n_states):
        stay[i] = work.leave[0] * w[i]
    p_real = np.float32(1 - p_null)
    for i in range(len(come)):
        come[i] = p_real * stay[i]


@inner
def forward(
    work: Lattice, n_obs: int, n_states: int, jumps: Jumps, p_null: Real, cut: Real
) -> float:
    """Fills `real` and `null`, each row scaled to sum to one; returns the log likelihood.

    Args:
        work: with `emit` and `null_emit` filled.
        n_obs: observations.
        n_states: states.
        jumps: weights, long enough for n_states.
        p_null: transition probability to null.
        cut: states with less than this share of the strongest's mass are not extended; 0 is exact.
    """
    wide = padded(n_states)
    stay, go, come = work.state[0, :wide], work.state[1, :wide], work.state[2, :wide]
    _leave(jumps, n_states, work.leave)
    leave = work.leave[1 : wide + 1]
    loglik, p_real = 0.0, np.float32(1 - p_null)
    for j in range(n_obs):
        real, null = work.real[j * wide : (j + 1) * wide], work.null[j * wide : (j + 1) * wide]
        emit = work.emit[j * wide : (j + 1) * wide]
        if j == 0:
            _first(work, n_states, jumps, p_null, stay, come)
        else:
            before = work.real[(j - 1) * wide : j * wide]
            before_null = work.null[(j - 1) * wide : j * wide]
            for i in range(wide):
                stay[i] = before[i] + before_null[i]
                go[i] = stay[i] * leave[i] * p_real
            _spread(go, jumps.weight, jumps.zero, n_states, cut * _greatest(go), come)
        to_null = np.float32(p_null * work.null_emit[j])
        total = np.float32(0)
        for i in range(wide):
            real[i] = come[i] * emit[i]
            null[i] = stay[i] * to_null
            total += real[i] + null[i]
        scale = np.float32(1 / total)
        for i in range(wide):
            real[i] *= scale
            null[i] *= scale
        loglik += np.log(total)
    return loglik


@inner
def _posterior_row(work: Lattice, j: int, wide: int, beta: F32) -> None:
    """Fills gamma and null_gamma of observation j from the forward row and beta."""
    real, null = work.real[j * wide : (j + 1) * wide], work.null[j * wide : (j + 1) * wide]
    gamma = real  # in place: the forward row of an observation is not read again
    total, nothing = np.float32(0), np.float32(0)
    for i in range(wide):
        gamma[i] *= beta[i]
        nothing += null[i] * beta[i]
        total += gamma[i]
    scale = np.float32(1 / (total + nothing))
    for i in range(wide):
        gamma[i] *= scale
    work.null_gamma[j] = nothing * scale


@inner
def _add_pairs(work: Lattice, n_states: int, mass: F32, ahead: F32, scale: Real, cut: Real) -> None:
    """pair[i', i] += mass[i'] leave[i'] ahead[i] scale."""
    wide = len(ahead)
    for last in range(n_states):
        if mass[last] > cut:
            c = np.float32(mass[last] * work.leave[last + 1] * scale)
            row = work.pair[last * wide : (last + 1) * wide]
            for i in range(wide):
                row[i] += c * ahead[i]


@inner
def backward(
    work: Lattice,
    n_obs: int,
    n_states: int,
    jumps: Jumps,
    p_null: Real,
    cut: Real,
    jump_counts: F32,
) -> None:
    """Fills `gamma` and `null_gamma` after `forward`, and adds to the expected jumps.

    A null state's future is that of its last real link, so one beta serves both.

    Args:
        work: after `forward`.
        n_obs: observations.
        n_states: states.
        jumps: as for `forward`.
        p_null: as for `forward`.
        cut: as for `forward`.
        jump_counts: float32 [2 * zero + 1], gains the expected transitions by distance, still to be
            multiplied by the jump weights; empty when nobody wants them.
    """
    wide = padded(n_states)
    beta, ahead, come = work.state[3, :wide], work.state[4, :wide], work.state[2, :wide]
    mass = work.state[0, :wide]
    leave = work.leave[1 : wide + 1]
    beta[:n_states] = 1
    beta[n_states:] = 0
    p_real = np.float32(1 - p_null)
    counting = len(jump_counts) > 0
    if counting:
        work.pair[: n_states * wide] = 0
    for j in range(n_obs - 1, -1, -1):
        _posterior_row(work, j, wide, beta)
        if j == 0:
            break
        emit = work.emit[j * wide : (j + 1) * wide]
        for i in range(wide):
            ahead[i] = emit[i] * beta[i]
        _spread(ahead, jumps.mirrored, jumps.zero, n_states, cut * _greatest(ahead), come)
        real, null = work.real[(j - 1) * wide : j * wide], work.null[(j - 1) * wide : j * wide]
        to_null = np.float32(p_null * work.null_emit[j])
        total = np.float32(0)
        for i in range(wide):
            mass[i] = real[i] + null[i]
            beta[i] = p_real * leave[i] * come[i] + to_null * beta[i]
            total += mass[i] * beta[i]
        if counting:
            _add_pairs(work, n_states, mass, ahead, p_real / total, cut)
        scale = np.float32(1 / _greatest(beta))
        for i in range(wide):
            beta[i] *= scale
    if counting:
        _add_diagonals(work.pair, n_states, wide, jumps.zero, jump_counts)


@inner
def _add_diagonals(pair: F32, n_states: int, wide: int, zero: int, jump_counts: F32) -> None:
    for last in range(n_states):
        row = pair[last * wide : last * wide + n_states]
        diagonal = jump_counts[zero - last : zero - last + n_states]
        for i in range(n_states):
            diagonal[i] += row[i]
