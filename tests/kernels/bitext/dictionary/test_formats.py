"""Formats of dictionaries: found by the first lines, parsed into both columns."""

import gzip
from typing import get_args

import pytest

from bitextile.kernels.bitext.dictionary.formats import LINE_FORMATS, FormatName, detect_format
from bitextile.kernels.bitext.dictionary.source import ENTRIES, read_dictionary
from bitextile.kernels.readers import whole
from bitextile.schema.errors import ConfigError, InputError
from dictionary_files import KNOWN, TEI, WIKTIONARY, entries, source, written


@pytest.mark.parametrize(
    ("text", "format", "columns", "found"),
    [
        ("the der\ndog Hund\n", "space", "src,tgt", [("dog", "Hund"), ("the", "der")]),
        ("der the\nHund dog\n", "space", "tgt,src", [("dog", "Hund"), ("the", "der")]),
        ("hot dog\tWürstchen\nthe\tder\n", "tab", "src,tgt", None),
        ("der @ the\nHund @ dog\n", "at", "tgt,src", [("dog", "Hund"), ("the", "der")]),
    ],
)
def test_formats_and_columns_are_found(tmp_path, text, format, columns, found) -> None:
    read = read_dictionary(source(written(tmp_path, text)), known=KNOWN)
    assert (read.source.format, read.source.columns) == (format, columns)
    assert read.entries.schema == ENTRIES
    if found is not None:
        assert [entry[:2] for entry in entries(read)] == found


def test_wiktionary_gives_translations_without_notes(tmp_path) -> None:
    read = read_dictionary(source(written(tmp_path, WIKTIONARY), "cs"), known=KNOWN)
    assert entries(read) == [
        ("Aaron's rod", "divizna", "n"),
        ("Aaron's rod", "zlatobýl", "n"),
        ("dog", "fena", "n"),
        ("dog", "pes", "n"),
    ]
    assert read.counts == {"entries": 4, "empty": 1}
    assert read.entries.column("p").to_pylist() == [0.5] * 4


def test_tei_gives_definitions_and_quotes_without_notes(tmp_path) -> None:
    read = read_dictionary(source(written(tmp_path, TEI, "d.tei"), "sw"), known=KNOWN)
    assert entries(read) == [("dog", "jibwa", "n"), ("dog", "mbwa", "n"), ("of", "ya", None)]


@pytest.mark.parametrize(
    ("text", "format", "found"),
    [
        (
            "# Version :: 1.9\nhouse {n} | houses {pl} :: Haus; Gebäude | Häuser\n"
            "red {adj} :: rot\n"
            "to drink {v} :: trinken\nday {n} | days :: Tag\n",
            "ding",
            [
                ("drink", "trinken"),
                ("house", "Gebäude"),
                ("house", "Haus"),
                ("houses", "Häuser"),
                ("red", "rot"),
            ],
        ),
        (
            "# EN-DE vocabulary database\ndog [animal]\tHund {m}\tnoun\nto drink\ttrinken\tverb\n",
            "dictcc",
            [("dog", "Hund"), ("drink", "trinken")],
        ),
        (
            "dog, Hund.\n&quot;red&quot; rot)\netc. usw.\n&amp; u.\nSmith&#39;s (Schmidts\n",
            "space",
            [
                ("&", "u"),
                ("Smith's", "Schmidts"),
                ("dog", "Hund"),
                ("etc.", "usw."),
                ("red", "rot"),
            ],
        ),
    ],
)
def test_marks_and_notes_are_no_part_of_words(tmp_path, text, format, found) -> None:
    read = read_dictionary(source(written(tmp_path, text), columns="src,tgt"), known={})
    assert read.source.format == format
    assert [entry[:2] for entry in entries(read)] == found
    assert read.counts.get("malformed", 0) == (format == "ding")


def test_cedict_gives_both_scripts_and_its_meanings(tmp_path) -> None:
    text = "# CC-CEDICT\n#! version=1\n狗 狗 [gou3] /dog/CL:隻|只[zhi1]/\n"
    text += "貓 猫 [mao1] /(zool.) cat; tom/\n"
    read = read_dictionary(source(written(tmp_path, text), "zh"), known={})
    assert (read.source.format, read.source.columns) == ("cedict", "tgt,src")
    assert [entry[:2] for entry in entries(read)] == [
        ("cat", "猫"),
        ("cat", "貓"),
        ("dog", "狗"),
        ("tom", "猫"),
        ("tom", "貓"),
    ]


def test_lines_that_are_no_text_are_counted(tmp_path) -> None:
    path = tmp_path / "d.txt"
    path.write_bytes("dog 犬\n".encode() * 3 + b"caf\xe9 \xe9\n" + b"one two three\n")
    read = read_dictionary(source(path, "ja", format="space"))
    assert read.counts == {"entries": 1, "duplicate": 2, "malformed": 1, "unreadable": 1}


def test_entities_are_refused(tmp_path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><TEI>&a;</TEI>'
    with pytest.raises(InputError, match="TEI"):
        read_dictionary(source(written(tmp_path, bomb)), known=KNOWN)


def test_compressed_files_are_read(tmp_path) -> None:
    path = tmp_path / "d.txt.gz"
    path.write_bytes(gzip.compress("dog 犬\n".encode()))
    assert entries(read_dictionary(source(path, "ja"))) == [("dog", "犬", None)]


@pytest.mark.parametrize("n_others", [1, 2])
def test_nine_lines_in_ten_tell_the_format(n_others: int) -> None:
    lines = ["dog\tHund"] * (10 - n_others) + ["one of another form"] * n_others
    if n_others == 1:
        assert detect_format(lines, "d.txt") == "tab"
    else:
        with pytest.raises(ConfigError, match=r"d\.txt: of no known dictionary format"):
            detect_format(lines, "d.txt")


def test_options_offer_each_line_format() -> None:
    assert {*LINE_FORMATS, "auto", "tei", "lexicon"} == set(get_args(FormatName))


@pytest.mark.parametrize("text", ["the der\n", "talk\tトーク\n", "a @ b\n", "\n"])
def test_a_dictionary_that_would_fill_memory_is_refused(tmp_path, monkeypatch, text) -> None:
    path = tmp_path / "d.gz"
    path.write_bytes(gzip.compress((text * 5_000).encode()))
    monkeypatch.setattr(whole, "FREE_BYTES", 20_000)
    with pytest.raises(InputError, match="unpacked, of a file that is read whole"):
        read_dictionary(source(str(path)))
