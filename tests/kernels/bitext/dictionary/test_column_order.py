"""Column order: told by scripts or known words, else asked for."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.dictionary.column_order import column_order, count_words
from bitextile.kernels.bitext.dictionary.source import read_dictionary
from bitextile.kernels.text.segment import segment
from bitextile.schema.errors import ConfigError
from dictionary_files import KNOWN, source, written


def test_the_wrong_order_is_said_and_an_unknown_one_asked_for(tmp_path) -> None:
    path = written(tmp_path, "der the\nHund dog\nvon of\n")
    with pytest.raises(ConfigError, match=r"cannot tell .* give --columns"):
        read_dictionary(source(path))
    with pytest.raises(ConfigError, match=r"are named src,tgt, but .* they are tgt,src"):
        read_dictionary(source(path, columns="src,tgt"), known=KNOWN)
    assert read_dictionary(source(path, columns="tgt,src")).reason == "as named"


@pytest.mark.parametrize("tgt", ["ja", "ru", "ar", "th", "el"])
@given(data=st.data())
def test_scripts_tell_columns_apart_in_either_order(tgt, data) -> None:
    letters = {"ja": "犬走るがは", "ru": "бвгдж", "ar": "كلبيت", "th": "หมากบ", "el": "αβγδε"}
    word = st.text(letters[tgt], min_size=1, max_size=4)
    there = data.draw(st.lists(word, min_size=1, max_size=9))
    here = data.draw(
        st.lists(st.text("abcdef", min_size=1), min_size=len(there), max_size=len(there))
    )
    straight = column_order(here, there, languages=("en", tgt), known={})
    turned = column_order(there, here, languages=("en", tgt), known={})
    assert (straight.columns, turned.columns) == ("src,tgt", "tgt,src")


def test_known_words_of_the_target_tell_as_well_as_those_of_the_source() -> None:
    german, english = ["der", "Hund"], ["the", "dog"]
    for known in ({"en": Counter(the=9, dog=1)}, {"de": Counter(der=9, hund=1)}):
        found = column_order(german, english, languages=("en", "de"), known=known)
        assert found.columns == "tgt,src"


def test_words_that_both_columns_hold_tell_nothing() -> None:
    known = {"en": Counter(taxi=1)}
    found = column_order(["Taxi"], ["taxi"], languages=("en", "de"), known=known)
    assert found.columns == ""


def test_words_are_counted_lower_cased_and_with_letters_alone() -> None:
    texts = pa.array(["Der Hund, der 3."])
    assert count_words(texts, segment(texts, "de")) == {"der": 2, "hund": 1}
