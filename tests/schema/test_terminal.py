"""Nothing shown steers a terminal, whatever a recipe, manifest, file name or corpus holds."""

import json
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.terminal import (
    answer,
    guard_logs_and_tracebacks,
    json_printable,
    printable,
    say,
)

ATTACKS = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear": "\x1b[2J\x1b[H",
    "C1": "\x9b31mred",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "backspaces": "good\b\b\b\bevil",
    "return": "all is well\rall is lost",
    "lines": "a\nbitextile: done",
    "override": "\u202egnp.exe",
    "isolate": "\u2066\u2069",
    "separator": "a\u2028b",
    "tags": "\U000e0041",
    "surrogate": "caf\udce9.txt",
    "delete": "\x7f",
}


def harmless(text: str, keep: str = "") -> bool:
    # Unicode's own classes, not the list in the module.
    return all(
        c in keep
        or (
            unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp")
            and unicodedata.bidirectional(c)
            not in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        )
        for c in text
    )


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_steers_a_terminal_is_shown_as_an_escape(attack: str) -> None:
    assert not harmless(attack) or attack == ATTACKS["tags"]
    shown = printable(attack)
    assert harmless(shown)
    assert "\\" in shown
    shown.encode()


@pytest.mark.parametrize("text", ["dog", "größe", "كلب", "חתול", "人々が", "ไทย", "می‌خواهم", "🏳️‍🌈"])
def test_ordinary_text_of_any_script_stays(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters()))
def test_any_text_becomes_harmless_and_stays_so(text: str) -> None:
    shown = printable(text)
    assert harmless(shown)
    assert printable(shown) == shown


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_means_the_same(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1)
    assert json.loads(json_printable(text)) == value
    assert harmless(json_printable(text), keep="\n")


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_every_way_out_is_guarded(attack: str, capsys, caplog) -> None:
    say(f"{attack}: 3 rows", style="red")
    answer(attack.replace("\n", " "))
    told = capsys.readouterr()
    assert harmless(told.err, keep="\n")
    assert harmless(told.out, keep="\n")
    assert told.err.count("\n") == 1


def test_markup_is_text(capsys) -> None:
    say("[red]x[/red] [link=file:///]y[/link] :smile:")
    assert capsys.readouterr().err == "[red]x[/red] [link=file:///]y[/link] :smile:\n"


def test_logs_and_tracebacks_pass_through_it_too(capsys, monkeypatch) -> None:
    import sys

    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(logging.lastResort, "formatter", None)
    guard_logs_and_tracebacks()
    assert logging.lastResort is not None
    record = logging.makeLogRecord({"msg": "skipped %s", "args": ("\x1b[2J",)})
    assert logging.lastResort.format(record) == r"skipped \x1b[2J"
    try:
        raise ValueError("\x1b]0;owned\x07")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert harmless(told, keep="\n")


def test_no_module_prints_by_another_way() -> None:
    import ast

    from project import REPOSITORY

    for root in ("pipelines", "transforms", "trainer"):
        for path in (REPOSITORY / root).rglob("*.py"):
            if path.name == "terminal.py":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    assert called not in ("print", "typer.echo", "click.echo", "sys.stderr.write")
                    # The bar is rich's own; what it prints above itself is checked in metrics.
                    assert called != "console.print", path
