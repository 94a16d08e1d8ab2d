"""The hidden Markov model of word alignment, one sentence in one direction.

Observations are the words of one side, states the words of the other (Vogel, Ney and Tillmann
1996), with one null state per word that remembers where the last real link was (Och and Ney 2003):

    p(next = i | last = i') = (1 - p_null) jump(i - i') / sum_k jump(k - i')     a real link
                            = p_null                                           null, last stays i'

The first word comes from i' = -1. Rows are padded to LANES states of probability zero and taken as
slices, because only then does numba's output use vector instructions (5 times as fast at 64 words).
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bitextile.kernels.align.jit import njit_inner, njit_max
from bitextile.kernels.arrays import F32, I64

Real: TypeAlias = float | np.floating[Any]

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
        normaliser: 1 / sum_k jump(k - i') at i' + 1.
        rows: five scratch rows.
        size: int64 [2], observations and states of the sentence at hand.
    """

    emit: F32
    real: F32
    null: F32
    gamma: F32
    pair: F32
    null_emit: F32
    null_gamma: F32
    normaliser: F32
    rows: F32
    size: I64


@njit_inner
def padded(n: int) -> int:
    """Returns n rounded up to whole vectors."""
    return (n + LANES - 1) // LANES * LANES


def allocate_lattice(n_obs: int, n_states: int) -> Lattice:
    """Returns memory for sentences of at most these lengths, in either role."""
    # Square and padded, since a sentence's words are observations in one direction and states in
    # the other; shorter sentences use the first part with a stride of their own.
    stride = -(-max(n_obs, n_states, 1) // LANES) * LANES

    def empty(n: int) -> F32:
        return np.empty(n, np.float32)

    real = empty(stride * stride)
    return Lattice(
        emit=empty(stride * stride),
        real=real,
        null=empty(stride * stride),
        gamma=real,
        pair=empty(stride * stride),
        null_emit=empty(stride),
        null_gamma=empty(stride),
        normaliser=empty(stride + 1),
        rows=empty(5 * stride).reshape(5, stride),
        size=np.zeros(2, np.int64),
    )


@njit_max
def _max(row: F32) -> np.float32:
    greatest = np.float32(0)
    for i in range(len(row)):
        greatest = max(greatest, row[i])
    return greatest


@njit_inner
def _set_normalisers(jumps: Jumps, n_states: int, out: F32) -> None:
    """out[i' + 1] = 1 / sum_{i < n} jump(i - i') for i' = -1 .. n - 1, by a running sum."""
    # From one state to the next the window of n distances moves by one: it gains a distance at the
    # low end and loses one at the high end. In float64, as 2 n terms are added and taken away.
    total = 0.0
    for i in range(n_states):
        total += jumps.weight[jumps.zero + i + 1]
    for last in range(-1, n_states):
        out[last + 1] = 1 / total
        total += jumps.weight[jumps.zero - last - 1]
        total -= jumps.weight[jumps.zero + n_states - 1 - last]
    out[n_states + 1 : padded(n_states) + 1] = 0  # padding: no mass ever leaves or reaches it


@njit_inner
def _convolve(mass: F32, weight: F32, zero: int, n_states: int, cut: Real, out: F32) -> None:
    """out[i] = sum_i' mass[i'] weight[i - i'], over the states whose mass exceeds `cut`."""
    # A convolution by the states that matter: with a sharp model a few of a sentence's words hold
    # nearly all mass, and each costs one multiply-add over a row.
    out[:] = 0
    for last in range(n_states):
        c = mass[last]
        if c > cut:
            # Row i' of the transition matrix is a slice of the weights, as they depend on i - i'
            # alone: n_states squared transitions are never stored.
            w = weight[zero - last : zero - last + len(out)]
            for i in range(len(out)):
                out[i] += c * w[i]


@njit_inner
def _start(
    lattice: Lattice, n_states: int, jumps: Jumps, p_null: Real, mass: F32, incoming: F32
) -> None:
    """Sets where the first word comes from: `incoming` by a jump from -1, `mass` as null."""
    # A null state must remember a last real link. Before the first one, that is drawn by the same
    # jump from -1 as a real link would be.
    w = jumps.weight[jumps.zero + 1 : jumps.zero + 1 + len(incoming)]
    mass[:] = 0
    for i in range(n_states):
        mass[i] = lattice.normaliser[0] * w[i]
    # numba types 1 - float32 as float64, and one float64 operand would make a loop float64, with
    # half as many numbers in a register; hence the casts here and below.
    p_real = np.float32(1 - p_null)
    for i in range(len(incoming)):
        incoming[i] = p_real * mass[i]


@njit_inner
def forward(
    lattice: Lattice, n_obs: int, n_states: int, jumps: Jumps, p_null: Real, cut: Real
) -> float:
    """Fills `real` and `null`, each row scaled to sum to one; returns the log likelihood.

    Args:
        lattice: with `emit` and `null_emit` filled.
        n_obs: observations.
        n_states: states.
        jumps: weights, long enough for n_states.
        p_null: transition probability to null.
        cut: states with less than this share of the strongest's mass are not extended; 0 is exact.
    """
    # a row with 18 states:  |s0 s1 s2 ... s17  0 0 ... 0|  stride 32
    # The padding has emission and normaliser 0: it is part of every sum and changes none.
    stride = padded(n_states)
    mass, outgoing, incoming = (
        lattice.rows[0, :stride],
        lattice.rows[1, :stride],
        lattice.rows[2, :stride],
    )
    _set_normalisers(jumps, n_states, lattice.normaliser)
    normaliser = lattice.normaliser[1 : stride + 1]
    loglik, p_real = 0.0, np.float32(1 - p_null)
    for j in range(n_obs):
        real = lattice.real[j * stride : (j + 1) * stride]
        null = lattice.null[j * stride : (j + 1) * stride]
        emit = lattice.emit[j * stride : (j + 1) * stride]
        if j == 0:
            _start(lattice, n_states, jumps, p_null, mass, incoming)
        else:
            before = lattice.real[(j - 1) * stride : j * stride]
            before_null = lattice.null[(j - 1) * stride : j * stride]
            for i in range(stride):
                mass[i] = before[i] + before_null[i]
                outgoing[i] = mass[i] * normaliser[i] * p_real
            _convolve(outgoing, jumps.weight, jumps.zero, n_states, cut * _max(outgoing), incoming)
        # Each row is scaled to one: products of a thousand probabilities would leave float32, and
        # the logarithms of the scales add up to the likelihood.
        to_null = np.float32(p_null * lattice.null_emit[j])
        total = np.float32(0)
        for i in range(stride):
            real[i] = incoming[i] * emit[i]
            null[i] = mass[i] * to_null
            total += real[i] + null[i]
        scale = np.float32(1 / total)
        for i in range(stride):
            real[i] *= scale
            null[i] *= scale
        loglik += np.log(total)
    return loglik


@njit_inner
def _set_posteriors(lattice: Lattice, j: int, stride: int, beta: F32) -> None:
    """Sets gamma and null_gamma of observation j from the forward row and beta."""
    # posterior(i at j) = alpha[j, i] beta[j, i] / sum over real and null states of the same
    real = lattice.real[j * stride : (j + 1) * stride]
    null = lattice.null[j * stride : (j + 1) * stride]
    gamma = real  # in place: the forward row of an observation is not read again
    total, null_total = np.float32(0), np.float32(0)
    for i in range(stride):
        gamma[i] *= beta[i]
        null_total += null[i] * beta[i]
        total += gamma[i]
    scale = np.float32(1 / (total + null_total))
    for i in range(stride):
        gamma[i] *= scale
    lattice.null_gamma[j] = null_total * scale


@njit_inner
def _add_transitions(
    lattice: Lattice, n_states: int, mass: F32, emit_beta: F32, scale: Real, cut: Real
) -> None:
    """pair[i', i] += mass[i'] normaliser[i'] emit_beta[i] scale."""
    stride = len(emit_beta)
    for last in range(n_states):
        if mass[last] > cut:
            c = np.float32(mass[last] * lattice.normaliser[last + 1] * scale)
            row = lattice.pair[last * stride : (last + 1) * stride]
            for i in range(stride):
                row[i] += c * emit_beta[i]


@njit_inner
def backward(
    lattice: Lattice,
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
        lattice: after `forward`.
        n_obs: observations.
        n_states: states.
        jumps: as for `forward`.
        p_null: as for `forward`.
        cut: as for `forward`.
        jump_counts: float32 [2 * zero + 1], gains the expected transitions by distance, still to be
            multiplied by the jump weights; empty if they are not to be counted.
    """
    stride = padded(n_states)
    beta, emit_beta = lattice.rows[3, :stride], lattice.rows[4, :stride]
    incoming, mass = lattice.rows[2, :stride], lattice.rows[0, :stride]
    normaliser = lattice.normaliser[1 : stride + 1]
    # After the last word nothing more is to be explained: every state's future has probability one.
    beta[:n_states] = 1
    beta[n_states:] = 0
    p_real = np.float32(1 - p_null)
    counting = len(jump_counts) > 0
    if counting:
        lattice.pair[: n_states * stride] = 0
    for j in range(n_obs - 1, -1, -1):
        _set_posteriors(lattice, j, stride, beta)
        if j == 0:
            break
        emit = lattice.emit[j * stride : (j + 1) * stride]
        for i in range(stride):
            emit_beta[i] = emit[i] * beta[i]
        _convolve(emit_beta, jumps.mirrored, jumps.zero, n_states, cut * _max(emit_beta), incoming)
        real = lattice.real[(j - 1) * stride : j * stride]
        null = lattice.null[(j - 1) * stride : j * stride]
        to_null = np.float32(p_null * lattice.null_emit[j])
        total = np.float32(0)
        for i in range(stride):
            mass[i] = real[i] + null[i]
            # A real link at j follows by a jump, null stays: both from the same last link i.
            beta[i] = p_real * normaliser[i] * incoming[i] + to_null * beta[i]
            total += mass[i] * beta[i]
        if counting:
            _add_transitions(lattice, n_states, mass, emit_beta, p_real / total, cut)
        # Only the ratios of beta matter: posteriors are normalised, pairs divided by `total`.
        scale = np.float32(1 / _max(beta))
        for i in range(stride):
            beta[i] *= scale
    if counting:
        _add_diagonals(lattice.pair, n_states, stride, jumps.zero, jump_counts)


@njit_inner
def _add_diagonals(pair: F32, n_states: int, stride: int, zero: int, jump_counts: F32) -> None:
    """jump_counts[i - i'] += pair[i', i]."""
    for last in range(n_states):
        row = pair[last * stride : last * stride + n_states]
        diagonal = jump_counts[zero - last : zero - last + n_states]
        for i in range(n_states):
            diagonal[i] += row[i]
