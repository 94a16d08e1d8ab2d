import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.derive.order import (
    SEPARATOR,
    fill_gaps,
    head_swap,
    inverse_order,
    order_free_hash,
    reorder,
    word_order,
)
from bitextile.kernels.randomness import uniform
from bitextile.kernels.text.codepoints import cut, to_strings
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import SegmentedTexts, segmented_texts
from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import SPANS
from derive_cases import TEXTS


def segmented(*texts: str, lang: str = "en") -> SegmentedTexts:
    column = pa.array(texts, pa.string())
    return segmented_texts(column, segment(column, lang))


def by_hand(text: str, *spans: tuple[int, int]) -> SegmentedTexts:
    ends = [[{"start": start, "end": end} for start, end in spans]]
    return segmented_texts(pa.array([text]), pa.array(ends, SPANS))


def words_in_order(words: SegmentedTexts, order: np.ndarray) -> list[str]:
    spelled = cut(words.texts, words.starts, words.ends).to_pylist()
    return [spelled[k] for k in order.tolist()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog, it runs.", "runs it , dog The ."),
        ("Who came? He did.", "came Who ? did He ."),
        ("狗。猫。鱼。", "狗 。 猫 。 鱼 。"),
        ("a.b", "b . a"),
        ("!", "!"),
        ("", ""),
    ],
)
def test_inverting_keeps_sentences_and_their_ends(text, expected) -> None:
    words = segmented(text)
    order = word_order(words, ["invert"], seed=0)
    assert words_in_order(words, order) == expected.split()


@given(st.lists(TEXTS, max_size=4), st.integers(0, 3))
def test_permuting_is_a_sort_by_draws_within_sentences(texts, seed) -> None:
    """The slow version: each sentence by itself, its words sorted by one draw each."""
    words = segmented(*texts)
    order = word_order(words, ["permute"], seed=seed).tolist()
    keys = order_free_hash(words)
    expected = []
    for row, text in enumerate(texts):
        alone = segmented(text)
        spelled = cut(alone.texts, alone.starts, alone.ends).to_pylist()
        draws = uniform(
            np.repeat(keys[row : row + 1], len(spelled)),
            seed=seed,
            operation="derive/permute",
            position=np.arange(len(spelled)),
        )
        sentence: list[int] = []
        for at, word in enumerate(spelled):
            final = set(word) <= set(".!?。！？؟।։።")
            following = text[int(alone.ends[at]) :][:1]
            ends = final and (not following.strip() or word[0] > "\u3000")
            if not ends:
                sentence.append(at)
            if ends or at == len(spelled) - 1:
                shuffled = sorted(sentence, key=lambda k: draws[k]) + [at] * ends
                expected += [int(words.words[row]) + k for k in shuffled]
                sentence = []
    assert order == expected


@given(TEXTS, st.randoms(use_true_random=False))
def test_the_hash_of_a_text_does_not_depend_on_the_order_of_its_words(text, random) -> None:
    words = segmented(text)
    order = list(range(len(words.starts)))
    random.shuffle(order)
    assert order_free_hash(words) == order_free_hash(reorder(words, np.array(order, np.int64)))
    assert (
        len({int(order_free_hash(segmented(t))[0]) for t in ("ab c", "a bc", "abc", "ba c")}) == 4
    )


def test_separators_stand_only_where_words_would_join() -> None:
    separator = chr(SEPARATOR)
    for text, spans, order, expected in (
        ("L'été vient", [(0, 2), (2, 5), (6, 11)], [2, 1, 0], f"vient{separator}été L'"),
        # A combining mark that begins a word would go to whatever stands before it.
        ("x. \u0301y", [(0, 1), (1, 2), (3, 5)], [1, 2, 0], f".{separator}\u0301y x"),
        ("a,b c", [(0, 1), (1, 2), (2, 3), (4, 5)], [0, 1, 2, 3], "a,b c"),
        ("a1 b", [(0, 1), (1, 2), (3, 4)], [0, 1, 2], "a1 b"),
        ("a1 b", [(0, 1), (1, 2), (3, 4)], [1, 0, 2], f"1{separator}a b"),
        ("狗跑。", [(0, 1), (1, 2), (2, 3)], [1, 0, 2], "跑狗。"),
    ):
        words = by_hand(text, *spans)
        made = reorder(words, np.array(order))
        assert to_strings(made.texts).to_pylist() == [expected]
        plain = to_strings(reorder(words, np.array(order), keep_separate=False).texts)
        assert plain.to_pylist() == [expected.replace(separator, "")]


@given(st.lists(TEXTS, max_size=4), st.data())
def test_words_and_gaps_are_those_of_a_slow_version(texts, data) -> None:
    words = segmented(*texts)
    order = np.concatenate(
        [
            np.array(data.draw(st.permutations(range(low, high))), np.int64)
            for low, high in zip(words.words[:-1].tolist(), words.words[1:].tolist())
        ]
        or [np.zeros(0, np.int64)]
    )
    made = reorder(words, order, keep_separate=False)
    spelled = words_in_order(words, order)
    assert cut(made.texts, made.starts, made.ends).to_pylist() == spelled
    expected = []
    for row, text in enumerate(texts):
        low, high = words.words[row : row + 2]
        at, base, new = 0, int(words.texts.offsets[row]), ""
        for place in range(low, high):
            new += text[at : int(words.starts[place]) - base] + spelled[place]
            at = int(words.ends[place]) - base
        expected.append(new + text[at:])
    assert to_strings(made.texts).to_pylist() == expected
    assert to_strings(fill_gaps(words, words, order)).to_pylist() == expected
    assert to_strings(fill_gaps(words, made, inverse_order(order))).to_pylist() == texts


def test_syntax_without_a_parse_is_refused() -> None:
    with pytest.raises(ConfigError, match="parse"):
        word_order(segmented("a"), ["invert", "syntax"], seed=0)


@st.composite
def _projective(draw, n: int = 7) -> list[int]:
    """Heads of a projective tree: each span has a head, and its sides hang on it."""
    heads = [0] * draw(st.integers(1, n))

    def build(low: int, high: int, above: int) -> None:
        if low < high:
            head = draw(st.integers(low, high - 1))
            heads[head] = above
            for a, b in ((low, head), (head + 1, high)):
                while a < b:
                    cut = draw(st.integers(a + 1, b))
                    build(a, cut, head + 1)
                    a = cut

    build(0, len(heads), 0)
    return heads


@given(_projective())
def test_swapping_heads_twice_gives_the_order_back(heads) -> None:
    order = head_swap(heads)
    assert sorted(order) == list(range(len(heads)))
    number = {0: 0} | {old + 1: at + 1 for at, old in enumerate(order)}
    swapped = [number[heads[old]] for old in order]
    for at, head in enumerate(swapped, 1):
        if head:
            old, above = order[at - 1] + 1, heads[order[at - 1]]
            assert (at < head) != (old < above)
    again = head_swap(swapped)
    assert [order[k] for k in again] == list(range(len(heads)))


@pytest.mark.parametrize("heads", [[2, 1], [3], [1]])
def test_heads_that_are_no_tree_are_refused(heads) -> None:
    with pytest.raises(ValueError, match=r"cycle|head"):
        head_swap(heads)
