"""What translators share: directions, batches, order of rows, rejects; with a toy model."""

import json

import pyarrow as pa
import pytest

from bitextile.kernels.backtranslate import GENERATED
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.translator import (
    Hypothesis,
    Translator,
    check_directions,
    code_id,
    load_pretrained_tokenizer,
)


class Copying(Translator):
    """Repeats the first two tokens of each source; notes what it was given."""

    batch_tokens = 12
    max_tokens = 7

    def translate(self, batches):
        self.batches = batches
        return [[Hypothesis(ids[1:3], -len(ids) / 3) for ids in b.ids] for b in batches]


@pytest.fixture
def copying(random_model) -> Copying:
    return Copying(random_model, generator="copy sha256:0", codes={})


def test_rows_come_in_their_order_whatever_is_batched(copying, requests) -> None:
    texts = ["the red dog", "birds", "a house", "old trees while birds sing under blue skies", ""]
    made = copying(requests(texts))
    assert made.kept.schema == GENERATED
    assert made.kept["src"].to_pylist() == [texts[0], texts[1], texts[2], ""]
    assert made.rejects["src"].to_pylist() == [texts[3]]
    assert made.rejects["rule"].to_pylist() == ["too_long_for_model/1"]
    lengths = {t: len(copying.tokenizer(t)["input_ids"]) for t in texts}
    assert made.rejects["value"].to_pylist() == [lengths[texts[3]]]
    for row in made.kept.to_pylist():
        assert row["score"] == pytest.approx(-lengths[row["src"]] / 3, abs=6e-4)
        assert row["generator"] == "copy sha256:0"
    sizes = [[len(ids) for ids in batch.ids] for batch in copying.batches]
    # Longest first over all batches, and each within the budget as it is padded.
    flat = [n for batch in sizes for n in batch]
    assert flat == sorted(flat, reverse=True)
    assert all(len(batch) == 1 or len(batch) * batch[0] <= 12 for batch in sizes)


def test_directions_are_translated_apart(copying, requests) -> None:
    mixed = pa.concat_batches(
        [requests(["birds", "the dog"], "en", "ar"), requests(["a house"], "en", "de")]
    ).take(pa.array([0, 2, 1]))
    made = copying(mixed)
    assert made.kept["src"].to_pylist() == ["birds", "a house", "the dog"]
    assert made.kept["tgt_lang"].to_pylist() == ["ar", "de", "ar"]


def test_no_rows_make_no_rows(copying, requests) -> None:
    made = copying(requests([]))
    assert (made.kept.num_rows, made.rejects.num_rows) == (0, 0)
    assert made.kept.schema == GENERATED


def test_a_translation_may_have_twice_the_longest_source_and_ten(copying) -> None:
    copying.max_tokens = 100
    assert copying.max_length([[1] * 3, [1] * 5]) == 20
    copying.max_tokens = 15
    assert copying.max_length([[1] * 5]) == 15


class Codes:
    """A tokenizer that tells languages apart."""

    src_lang = "en"
    unk_token_id = 0

    def convert_tokens_to_ids(self, token: str) -> int:
        return {"eng": 5, "de": 6}.get(token, 0)


def test_languages_are_found_by_their_code() -> None:
    codes = {"en": "eng"}
    asked = {("en", "de"), ("de", "en")}
    assert check_directions(Codes(), asked, codes=codes, folder="m") == [6, 5]
    with pytest.raises(ConfigError, match=r"m: knows no language 'en'.*--language-code en=CODE"):
        check_directions(Codes(), asked, codes={}, folder="m")
    with pytest.raises(ConfigError, match="knows no language 'xx'"):
        code_id(Codes(), "xx", tag="x", folder="m")


def test_a_model_without_codes_translates_one_way(copying) -> None:
    assert check_directions(copying.tokenizer, {("en", "de")}, codes={}, folder="m") == []
    assert copying.forced_prefix("de") == []
    with pytest.raises(ConfigError, match="one way only, but de -> en, en -> de are asked for"):
        check_directions(copying.tokenizer, {("en", "de"), ("de", "en")}, codes={}, folder="m")


def test_a_folder_without_a_tokenizer_is_named(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "none"}))
    with pytest.raises(ConfigError, match="no tokenizer that transformers can load"):
        load_pretrained_tokenizer(str(tmp_path))
