"""Phrases: groups of links as in a naive search, and what may change places."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.phrases import bitext_of, exchangeable, translate, word_spans

N_SRC, N_TGT = 5, 4
LINKS = st.sets(st.tuples(st.integers(0, N_SRC - 1), st.integers(0, N_TGT - 1)), max_size=7)
SIDES = (("en", "a b c d e"), ("de", "v w x y"))


def groups_of(links: set[tuple[int, int]]) -> list[set[tuple[int, int]]]:
    """Connected groups of links, grown one by one."""
    left, groups = set(links), []
    while left:
        group = {left.pop()}
        while touching := {n for n in left if any(n[0] == a or n[1] == b for a, b in group)}:
            group |= touching
            left -= touching
        groups.append(group)
    return groups


def extent(words: set[int]) -> tuple[int, int] | None:
    """First word and end, or None where a word between is missing."""
    low, high = min(words), max(words) + 1
    return (low, high) if len(words) == high - low else None


@given(LINKS)
def test_phrases_are_the_groups_without_gaps(aligned, links: set) -> None:
    phrases = bitext_of(aligned((*SIDES, links))).phrases
    expected = []
    for group in groups_of(links):
        spans = extent({a for a, _ in group}), extent({b for _, b in group})
        if None not in spans:
            expected.append((*spans, len(group)))
    found = zip(map(tuple, phrases.src.tolist()), map(tuple, phrases.tgt.tolist()), phrases.n_links)
    assert sorted(found) == sorted(expected)
    assert phrases.src[:, 0].tolist() == sorted(phrases.src[:, 0].tolist())


@given(LINKS)
def test_each_link_knows_its_phrase(aligned, links: set) -> None:
    phrases = bitext_of(aligned((*SIDES, links))).phrases
    for (a, b), number in zip(sorted(links), phrases.of_link.tolist(), strict=True):
        if number >= 0:
            assert phrases.src[number, 0] <= a < phrases.src[number, 1]
            assert phrases.tgt[number, 0] <= b < phrases.tgt[number, 1]
    assert np.bincount(phrases.of_link[phrases.of_link >= 0]).tolist() == phrases.n_links.tolist()


def test_the_score_of_a_phrase_is_its_lowest(aligned) -> None:
    batch = aligned((*SIDES, [(0, 0, 0.5), (0, 1, 0.25), (3, 3, 1.0)]))
    assert bitext_of(batch).phrases.score.tolist() == [0.25, 1.0]


def test_flipped_twice_it_is_the_same(aligned) -> None:
    bitext = bitext_of(aligned((*SIDES, [(0, 2), (1, 2), (4, 0)])))
    flipped = bitext.flip()
    assert (flipped.src, flipped.tgt) == (bitext.tgt, bitext.src)
    assert flipped.phrases.src.tolist() == [[2, 3], [0, 1]]
    again = flipped.flip().phrases
    assert again.src.tolist() == bitext.phrases.src.tolist()


@pytest.mark.parametrize(
    ("src", "tgt", "fine"),
    [
        (("en", "dog"), ("zh", "狗"), True),
        (("en", "Paris"), ("de", "Paris"), False),
        (("en", "dog"), ("de", "..."), False),
        (("en", "3"), ("ar", "٣"), True),
        (("en", "e\u0301x", [(0, 1)]), ("de", "y"), False),
        (("en", "\u0301x", [(0, 2)]), ("de", "y"), False),
    ],
)
def test_what_may_change_places(aligned, src, tgt, fine: bool) -> None:
    assert exchangeable(bitext_of(aligned((src, tgt, [(0, 0)])))).tolist() == [fine]


def test_chosen_phrases_are_replaced_by_their_translations(aligned) -> None:
    bitext = bitext_of(aligned((("en", "The dog runs."), ("zh", "狗在跑。"), [(1, 0), (2, 2)])))
    order, new = translate(bitext, np.array([1, 0]))
    assert order.tolist() == [0, 1]
    assert new.strings == pa.array(["The 狗跑."])
    starts, ends = word_spans(bitext.src, bitext.phrases.src)
    assert list(zip(starts.tolist(), ends.tolist())) == [(4, 7), (8, 12)]
