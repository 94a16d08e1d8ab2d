"""Windows over sentences an encoder cannot read whole, and subwords taken and joined."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.align.encoder.tokens import ContextWindow, Subwords, context_windows


@given(length=st.integers(0, 3000), max_length=st.integers(4, 700))
def test_windows_own_everything_once_with_context(length: int, max_length: int) -> None:
    windows = context_windows(length, max_length)
    owned = [k for window in windows for k in range(window.own_start, window.own_stop)]
    assert owned == list(range(length))
    for window in windows:
        assert window.stop - window.start <= max_length
        assert window.start <= window.own_start <= window.own_stop <= window.stop
        left, right = window.own_start - window.start, window.stop - window.own_stop
        assert window.start == 0 or left >= max_length // 8
        assert window.stop == length or right >= max_length // 8


def test_a_shifted_window_moves_all_its_places() -> None:
    assert ContextWindow(0, 8, 1, 7).shift(10) == (10, 18, 11, 17)


SENTENCES = st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=5)


def subwords(sentences: list[list[int]]) -> Subwords:
    at = np.cumsum([0, *map(len, sentences)])
    ids = np.array([k for s in sentences for k in s], np.int64)
    word = np.array([k for s in sentences for k in range(len(s))], np.int64)
    return Subwords(ids, at, word)


def lists(found: Subwords) -> list[tuple[list[int], list[int]]]:
    bounds = zip(found.at, found.at[1:])
    return [(found.ids[a:b].tolist(), found.word[a:b].tolist()) for a, b in bounds]


@given(SENTENCES, SENTENCES, st.data())
def test_sentences_are_taken_and_joined_as_lists_are(one, two, data) -> None:
    rows = data.draw(st.lists(st.integers(0, len(one) - 1), max_size=6))
    taken = subwords(one).take(np.array(rows, np.int64))
    assert lists(taken) == [lists(subwords(one))[row] for row in rows]
    assert lists(subwords(one).append(subwords(two))) == lists(subwords([*one, *two]))
