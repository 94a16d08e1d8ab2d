import json

import pytest
from hypothesis import given

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.records import (
    derive_task_texts,
    original_text,
    read_records,
    to_records,
)
from bitextile.schema.errors import InputError
from derive_cases import CONFIGS, TEXTS, file


@given(TEXTS, CONFIGS)
def test_a_record_gives_the_text_and_its_words_back(text, config) -> None:
    texts = derive_task_texts([text], "file", "en", config)
    (record,) = (json.loads(line) for line in to_records(texts, ["n"]))
    derived = texts.derived.texts[0].as_py()
    original = original_text(derived, "n", {"n": record}, config)
    assert original.text == text
    words = texts.words
    assert list(zip(original.starts, original.ends)) == list(
        zip(words.starts.tolist(), words.ends.tolist())
    )
    assert [record["source_index"][k] for k in original.derived_index] == list(
        range(len(words.starts))
    )


@pytest.mark.parametrize("damage", [{"source_index": [0, 0]}, {"words": [[0, 1], [2, 99]]}])
def test_the_record_of_another_text_is_refused(damage) -> None:
    config = DeriveConfig(transforms=("invert",))
    texts = derive_task_texts(["a b"], "file", "en", config)
    record = json.loads(to_records(texts, ["n"])[0]) | damage
    with pytest.raises(InputError, match="does not fit its text"):
        original_text("b a", "n", {"n": record}, config)
    with pytest.raises(InputError, match="no record named 'm'"):
        original_text("b a", "m", {"n": record}, config)


@pytest.mark.parametrize("line", ["{", "3", "{}"])
def test_a_file_without_records_is_refused(tmp_path, line) -> None:
    with pytest.raises(InputError, match="no records of a derived file"):
        read_records(file(tmp_path, line + "\n", "r.jsonl"))


def test_the_private_script_is_refused_where_it_is_to_be_written() -> None:
    with pytest.raises(InputError, match="file: text 2 holds code points of the private-use"):
        derive_task_texts(["a", "\U000f0061"], "file", "en", DeriveConfig())
