"""`align` names the corpora whose sides do not belong together, and no other."""

import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from bitextile.pipelines.cli.main import main


def sides(*langs: str) -> list[list[str]]:
    file = resources.files("bitextile.pipelines.sample") / "sentences.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [[row[lang] for row in rows] for lang in langs]


def told(folder: Path, corpora: dict[str, tuple[tuple[str, str], list[str], list[str]]], capsys):
    """Returns the warnings of `align` on corpora: languages and both sides by name."""
    recipe = []
    for name, (langs, src, tgt) in corpora.items():
        for side, texts in (("a", src), ("b", tgt)):
            (folder / f"{name}.{side}").write_text("\n".join(texts) + "\n", encoding="utf-8")
        entry = {"corpus": name, "languages": list(langs), "format": "lines"}
        recipe.append(entry | {"files": [f"{name}.a", f"{name}.b"]})
    (folder / "r.yaml").write_text(yaml.safe_dump({"bitext": recipe}))
    for call in (
        ["ingest", str(folder / "r.yaml"), "--out", str(folder / "out")],
        ["align", str(folder / "out/pairs"), "--out", str(folder / "out/aligned")],
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(call)
        assert not ended.value.code, capsys.readouterr().err
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("bitextile: warning: ")]


def shuffled(side: list[str]) -> list[str]:
    return [side[i] for i in np.random.default_rng(1).permutation(len(side))]


def test_the_wrong_corpora_among_right_ones_are_named(tmp_path, capsys) -> None:
    en, de, zh, ar = sides("en", "de", "zh", "ar")
    pair = ("en", "de")
    warnings = told(
        tmp_path,
        {
            "right": (pair, en[:80], de[:80]),
            "also": (("de", "en"), de[80:160], en[80:160]),
            "mixed": (pair, en[160:240], shuffled(de[160:240])),
            "shifted": (pair, en[240:320], de[241:321]),
            "turned": (pair, de[320:], en[320:]),
            "scripts": (("zh", "ar"), ar[:100], zh[:100]),
            "fine": (("ar", "en"), ar[:100], en[:100]),
        },
        capsys,
    )
    named = {line.split("corpus ")[1].split()[0]: line for line in warnings}
    assert set(named) == {"mixed", "shifted", "turned", "scripts"}
    for name in ("mixed", "shifted"):
        assert "sides seem not to translate each other" in named[name]
        assert "check that its files belong together, line by line" in named[name]
    for name in ("turned", "scripts"):
        assert "sides seem to be exchanged" in named[name]
        assert "check the order of `languages`" in named[name]


def test_of_two_corpora_that_differ_nothing_says_which_is_right(tmp_path, capsys) -> None:
    en, es = sides("en", "es")
    pair = ("en", "es")
    corpora = {"one": (pair, en[:200], es[:200]), "two": (pair, es[200:], en[200:])}
    one, two = told(tmp_path, corpora, capsys)
    assert "corpus one (en-es): its sides seem to be exchanged, or those of two" in one
    assert "corpus two (en-es): its sides seem to be exchanged, or those of one" in two


def test_right_corpora_are_not_named_and_reused_ones_not_again(tmp_path, capsys) -> None:
    en, fr, zh = sides("en", "fr", "zh")
    corpora = {
        "a": (("en", "fr"), en[:200], fr[:200]),
        "b": (("fr", "en"), fr[200:], en[200:]),
        "c": (("zh", "fr"), zh, fr),
        "few": (("en", "zh"), en[:20], shuffled(zh[:20])),
    }
    assert told(tmp_path, corpora, capsys) == []


def test_a_line_too_many_in_the_middle_is_placed(tmp_path, capsys) -> None:
    en, fr = sides("en", "fr")
    (warning,) = told(
        tmp_path, {"slipped": (("en", "fr"), en, fr[:200] + fr[201:] + fr[:1])}, capsys
    )
    assert "from line 20" in warning
    assert "look for a line too many before" in warning
