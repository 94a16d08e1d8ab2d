"""A recipe as a whole: keys, values, and the YAML it is read from."""

import pytest

from bitextile.pipelines.recipe.recipe import Recipe, load_recipe, load_yaml, parse
from bitextile.schema.errors import ConfigError

PAIR = {"corpus": "c", "languages": ["en", "de"], "files": ["x"]}
MONO = {"corpus": "c", "language": "en", "files": ["x"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"bitexts": []}, r"^r\.yaml: unknown key 'bitexts' \(did you mean 'bitext'\?\)"),
        ({"bitext": [PAIR | {"colour": 1}]}, r"unknown key 'bitext\.0\.colour'"),
        ({"filters": {"max_word": 9}}, r"unknown key 'filters\.max_word'"),
        (
            {"filters": {"max_words": "many"}},
            r"filters\.max_words: expected a whole number, got 'many'",
        ),
        ({"filters": {"max_words": 0}}, "max_words 0"),
        ({"splits": {"valid": 0.9, "test": 0.2}}, r"r\.yaml: .*splits: valid 0\.9 and test 0\.2"),
        ({"bitext": [PAIR | {"languages": ["en"]}]}, r"bitext\.0\.languages"),
        ({"bitext": [PAIR | {"languages": ["en", "german"]}]}, "'german' is not a BCP-47 tag"),
        ({"bitext": [PAIR | {"split": "dev"}]}, r"bitext\.0\.split.*got 'dev'"),
        ({"bitext": [PAIR | {"corpus": ""}]}, r"bitext\.0\.corpus"),
        ({"mono": [MONO | {"files": []}]}, r"mono\.0\.files"),
        ({"bitext": PAIR}, "bitext: "),
        ({"a": 1, "b": 2}, r"unknown key 'a' .*; unknown key 'b' "),
    ],
)
def test_a_key_or_value_that_no_recipe_has_is_named(content, message) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(Recipe, content, "r.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bitext: [", "not readable as YAML"),
        ("- a", "holds a list, expected keys such as bitext and mono"),
        ("", "is empty, expected keys such as bitext and mono"),
        ("!!python/object/apply:os.system [true]", "not readable as YAML"),
    ],
)
def test_what_is_not_a_mapping_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_yaml(str(tmp_path / "r.yaml"))


def test_every_part_but_a_corpus_has_a_default(tmp_path) -> None:
    (tmp_path / "r.yaml").write_text("mono: [{corpus: c, language: EN, files: [x]}]")
    recipe = load_recipe(str(tmp_path / "r.yaml"))
    assert recipe.mono[0].language == "en"
    assert recipe == Recipe(mono=recipe.mono)
    assert recipe.model_dump(mode="json")["align"]["aligner"] == "hmm"
