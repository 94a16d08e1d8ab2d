"""Tiny corpora, and the steps of fitting on them, as tests of single steps need them."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.align.corpus import Corpus
from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.cooccurrence import (
    count_cooccurrences,
    find_occurrences,
    target_exposure,
)
from bitextile.kernels.align.hmm.e_step import Parameters
from bitextile.kernels.align.hmm.jumps import expand_jumps, initial_jumps
from bitextile.kernels.align.hmm.m_step import add_prior, cooccurrence_marginals, estimate_table
from bitextile.kernels.align.hmm.prior import build_prior, normalise_lexicon
from bitextile.kernels.align.hmm.word_classes import WordClasses
from bitextile.kernels.arrays import offsets_of

NULL = np.full(5, 0.05, np.float32)


def corpus_of(pairs):
    def side(k):
        at = offsets_of(np.array([len(p[k]) for p in pairs], int))
        return np.array([w for p in pairs for w in p[k]], np.int32), at

    return Corpus(*side(0), *side(1))


def rows(table):
    return np.repeat(np.arange(len(table.start) - 1), np.diff(table.start))


def entries(table):
    return list(zip(rows(table).tolist(), table.tgt.tolist()))


def no_words(n=5):
    """No word is known beforehand."""
    none = pa.array([str(k) for k in range(n)])
    return build_prior(normalise_lexicon(None), none, none)


def no_classes(n=5, **weights):
    """Every word in a class of its own, no word spelt as on the other side."""
    ids, none = np.arange(n, dtype=np.int32), np.full(n, -1, np.int32)
    classes = WordClasses(np.arange(n + 1), ids, ids, ids, none, none)
    return classes, HmmModelConfig(**({"class_weight": 0.0} | weights))


def counted(pairs, association=0.0, often=99, n_threads=1):
    corpus = corpus_of(pairs)
    config = HmmModelConfig(min_association=association, max_singleton_frequency=often)
    occurrences = find_occurrences(corpus, 5)
    return (
        corpus,
        occurrences,
        count_cooccurrences(corpus, occurrences, 5, config=config, n_threads=n_threads),
    )


def by_chance(corpus, occurrences, counts, n=5, n_threads=1):
    marginals = cooccurrence_marginals(
        occurrences.exposure, target_exposure(corpus, n), no_classes(n)[0]
    )
    return estimate_table(counts, marginals, min_probability=-1.0, n_threads=n_threads)


def estimated(counts, classes, config, prior=None):
    """The M-step: expected counts of all candidates to a table of them all."""
    marginals = add_prior(counts, classes, prior or no_words(), config)
    return estimate_table(counts, marginals, min_probability=-1.0, n_threads=1)


def parameters_of(table, p_null=0.3):
    jumps = expand_jumps(initial_jumps(10), 8)
    numbers = (np.float32(p_null), np.float32(1e-7), np.float32(0))
    return Parameters(table, NULL, NULL, jumps, jumps, *numbers)


@pytest.fixture(scope="session")
def small():
    """What makes corpora of five words a side, counts and tables of them."""
    functions = (corpus_of, rows, entries, no_words, no_classes, counted, by_chance, estimated)
    named = {function.__name__: function for function in functions}
    return SimpleNamespace(null=NULL, parameters_of=parameters_of, **named)
