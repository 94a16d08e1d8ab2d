"""The aligner's oracles: the same models written as plainly as they can be, in float64."""

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest


def _transition(weights, window, last, n):
    """p(jump to i) for i in range(n), from state `last`; -1 is the start."""
    raw = [weights[min(max(i - last, -window), window) + window] for i in range(n)]
    return [x / sum(raw) for x in raw]


def hmm(emit, null, weights, p_null):
    """Posteriors by summing over every path: real [obs, states], null [obs], log likelihood, jumps.

    A path is a sequence of (state, is_null); null keeps the last state and needs one.

    Args:
        emit: [obs][states].
        null: [obs].
        weights: [2 * window + 1] jump weights.
        p_null: probability of null.
    """
    n_obs, n = len(emit), len(emit[0])
    window = len(weights) // 2
    start = _transition(weights, window, -1, n)
    paths = {}
    for i in range(n):
        paths[((i, False),)] = start[i] * (1 - p_null) * emit[0][i]
        paths[((i, True),)] = start[i] * p_null * null[0]
    for j in range(1, n_obs):
        longer = {}
        for path, p in paths.items():
            last = path[-1][0]
            longer[(*path, (last, True))] = p * p_null * null[j]
            for i, move in enumerate(_transition(weights, window, last, n)):
                longer[(*path, (i, False))] = p * (1 - p_null) * move * emit[j][i]
        paths = longer
    total = sum(paths.values())
    real, nothing, jumps = np.zeros((n_obs, n)), np.zeros(n_obs), {}
    for path, p in paths.items():
        for j, (i, is_null) in enumerate(path):
            if is_null:
                nothing[j] += p / total
            else:
                real[j, i] += p / total
        for (last, _), (i, is_null) in pairwise(path):
            if not is_null:
                jumps[i - last] = jumps.get(i - last, 0) + p / total
    return SimpleNamespace(real=real, null=nothing, log=math.log(total), jumps=jumps)


def model1(pairs, null_src, null_tgt, start, iterations):
    """IBM model 1 in both directions with agreement, by dictionaries, cell by cell."""
    p_tgt, p_src = dict(start[0]), dict(start[1])
    counts = {}
    for _ in range(iterations):
        counts = dict.fromkeys(p_tgt, 0.0)
        for src, tgt in pairs:
            for e in src:
                for f in tgt:
                    if (e, f) not in p_tgt:
                        continue
                    one = p_tgt[e, f] / (null_tgt[f] + sum(p_tgt.get((x, f), 0) for x in src))
                    two = p_src[e, f] / (null_src[e] + sum(p_src.get((e, x), 0) for x in tgt))
                    counts[e, f] += one * two
        rows, columns = {}, {}
        for (e, f), c in counts.items():
            rows[e] = rows.get(e, 0) + c
            columns[f] = columns.get(f, 0) + c
        p_tgt = {k: c / rows[k[0]] for k, c in counts.items()}
        p_src = {k: c / columns[k[1]] for k, c in counts.items()}
    return p_tgt, p_src, counts


_STEPS = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]


def symmetrize(forward, reverse, method):
    """The heuristics over sets of points, as their authors describe them.

    Args:
        forward: links (i, j) with one source word per target word.
        reverse: links (i, j) with one target word per source word.
        method: intersect, union, grow-diag, grow-diag-final or grow-diag-final-and.
    """
    union, on = forward | reverse, forward & reverse
    if method in ("intersect", "union"):
        return union if method == "union" else on
    rows = range(max((i for i, _ in union), default=-1) + 1)
    columns = range(max((j for _, j in union), default=-1) + 1)

    def free_src(i):
        return all(a != i for a, _ in on)

    def free_tgt(j):
        return all(b != j for _, b in on)

    before = None
    while before != on:
        before = set(on)
        for point in [(i, j) for i in rows for j in columns]:
            if point in on:
                for step in _STEPS:
                    new = (point[0] + step[0], point[1] + step[1])
                    if new in union - on and (free_src(new[0]) or free_tgt(new[1])):
                        on = on | {new}
    if method == "grow-diag":
        return on
    combine = all if method.endswith("-and") else any
    for links in (forward, reverse):
        for new in sorted(links - on):
            if combine((free_src(new[0]), free_tgt(new[1]))):
                on = on | {new}
    return on


@pytest.fixture(scope="session")
def reference():
    """The slow, obvious versions."""
    return SimpleNamespace(hmm=hmm, model1=model1, symmetrize=symmetrize)


def _sentence(rng, lexicon, n):
    """A source sentence and its translation: word by word, some swapped, some dropped."""
    src = [int(rng.integers(len(lexicon))) for _ in range(n)]
    order = list(range(n))
    for i in range(n - 1):
        if rng.random() < 0.2:
            order[i], order[i + 1] = order[i + 1], order[i]
    tgt = [lexicon[src[i]] for i in order if rng.random() < 0.9]
    return [f"s{w}" for w in src], tgt or [lexicon[src[0]]]


@pytest.fixture(scope="session")
def corpus():
    """400 pairs of a made-up language pair, 60 words, 1 to 14 words a side."""
    rng = np.random.default_rng(7)
    lexicon = [f"Ж{int(k)}" for k in rng.permutation(60)]
    pairs = [_sentence(rng, lexicon, int(rng.integers(1, 15))) for _ in range(400)]
    words = pa.list_(pa.string())
    return pa.array([s for s, _ in pairs], words), pa.array([t for _, t in pairs], words)


@pytest.fixture(scope="session")
def model(corpus):
    """Fitted to `corpus`."""
    from bitextile.kernels.align.hmm.fit import fit

    return fit(*corpus, n_threads=1)
