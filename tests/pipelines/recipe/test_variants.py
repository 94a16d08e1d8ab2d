"""The parts of a recipe for variants: what is refused, and the folder each one writes."""

import pytest

from bitextile.pipelines.recipe.recipe import Recipe, parse
from bitextile.pipelines.recipe.variants import folder_of
from bitextile.schema.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"codeswitch": {"tokenrate": 0.1}},
            "unknown key 'codeswitch.0.tokenrate' (did you mean 'token_rate'?)",
        ),
        (
            {"codeswitch": [{"method": "magic"}]},
            "codeswitch.0.method is 'magic', expected one of alignment, pivot, dictionary",
        ),
        ({"codeswitch": {"method": "dictionary"}}, "name `dictionaries`, `lexicon` or both"),
        (
            {
                "codeswitch": {
                    "method": "dictionary",
                    "lexicon": [["en", "de"]],
                    "weights": {"fr": 1},
                }
            },
            "for fr, but translations are in de",
        ),
        (
            {"codeswitch": {"method": "task-field"}},
            "codeswitch.0.translations is missing",
        ),
        ({"derive": {"transforms": ["syntax"]}}, "name the CoNLL-U `file`"),
        ({"derive": {"transforms": ["invert"], "from": "mono"}}, "unknown key 'derive.0.from'"),
        ({"derive": {"name": "../x"}}, "derive.0.name"),
    ],
)
def test_a_wrong_part_is_said_by_its_place(content, sentence) -> None:
    with pytest.raises(ConfigError) as error:
        parse(Recipe, content, "r.yaml")
    assert sentence in str(error.value)


def test_folders_say_what_they_hold() -> None:
    translated = {"file": "en.tsv", "translations": {"de": "de.tsv"}}
    content = {
        "codeswitch": [
            {},
            {"method": "pivot"},
            {"method": "dictionary", "lexicon": [["en", "de"]]},
            {"method": "dictionary", "lexicon": [["en", "de"]], "name": "mono"},
            {"method": "task-field", **translated},
            {"method": "candidates", "candidates": "c"},
        ],
        "derive": [
            {"transforms": ["invert"]},
            {"transforms": ["permute", "transliterate"]},
            {"transforms": ["syntax"], "file": "a.conllu", "name": "parsed"},
        ],
    }
    recipe = parse(Recipe, content, "r.yaml")
    assert [folder_of(part) for part in (*recipe.codeswitch, *recipe.derive)] == [
        *("codeswitch", "codeswitch-pivot", "codeswitch-dictionary", "codeswitch-mono"),
        *("codeswitch-task-field", "codeswitch-candidates"),
        *("derive-invert", "derive-permute-transliterate", "derive-parsed"),
    ]
