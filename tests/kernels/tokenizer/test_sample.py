"""The sample: balanced by temperature, unique, the same in any order of the sentences."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.tokenizer.sample import SentenceSample, sample_sizes


@given(
    st.dictionaries(
        st.sampled_from(["ar", "de", "en", "th", "zh"]), st.integers(1, 10**9), min_size=1
    ),
    st.floats(0, 1),
    st.integers(1, 10**6),
)
def test_sample_sizes_follow_the_temperature(sentences, alpha: float, budget: int) -> None:
    sizes = sample_sizes(sentences, alpha=alpha, budget=budget)
    assert all(n >= 1 for n in sizes.values())
    assert abs(sum(sizes.values()) - min(budget, sum(sentences.values()))) <= len(sizes)
    ranked = sorted(sentences, key=lambda lang: sentences[lang])
    assert [sizes[lang] for lang in ranked] == sorted(sizes.values())


TEXTS = st.lists(st.text("ab犬", max_size=3), min_size=1, max_size=12)


@given(TEXTS, st.integers(1, 9), st.data())
def test_a_sample_is_the_same_for_any_order_and_batches(texts, cap: int, data) -> None:
    shuffled = data.draw(st.permutations(texts))
    cut = data.draw(st.integers(0, len(texts)))
    samples = []
    for batches in ([texts], [shuffled[:cut], shuffled[cut:]]):
        sample = SentenceSample("zh", cap)
        for batch in batches:
            sample.add(pa.array(batch, pa.string()))
        assert sample.n_unique == len(set(texts))
        samples.append(list(sample.first(min(cap, len(set(texts))))))
    assert samples[0] == samples[1]
    assert len(set(samples[0])) == len(samples[0])


def test_a_sample_that_is_too_small_begins_again() -> None:
    sample = SentenceSample("de", 9)
    sample.add(pa.array(["Hund", "Katze", "Hund"]))
    first = list(sample.first(5))
    assert set(first) == {"Hund", "Katze"}
    assert first == [*first[:2], *first[:2], first[0]]
