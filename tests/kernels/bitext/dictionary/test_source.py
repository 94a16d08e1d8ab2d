"""Dictionaries of every format: what is read, what is counted, and which column is which."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.dictionary.source import (
    ENTRIES,
    DictionarySource,
    column_order,
    has_letter,
    read_dictionary,
    words_of_text,
)
from bitextile.kernels.text.segment import segment
from bitextile.schema.errors import ConfigError, InputError
from project import SHARED

DATA = SHARED / "data"
MUSE = DATA / "dictionaries"
KNOWN = {"en": Counter({"the": 9, "dog": 3, "of": 5, "runs": 1})}

TEI = """<?xml version="1.0"?><TEI xmlns="http://www.tei-c.org/ns/1.0"><text><body>
<entry><form><orth>dog</orth></form><gramGrp><pos>n</pos></gramGrp>
<sense><def>mbwa<note>(animal)</note>, jibwa</def></sense></entry>
<entry><form><orth>of</orth></form><sense><cit type="trans"><quote>ya</quote></cit></sense></entry>
</body></text></TEI>"""
WIKTIONARY = """# English :: Czech dictionary extracted from somewhere
a {article} (an) SEE: an ::
dog {n} (animal (tame)) :: pes {m}, fena {f} [archaic] /pɛs/
Aaron's rod {n} :: divizna {f}; zlatobýl {m}
"""


def source(path: Path, tgt: str = "de", **options) -> DictionarySource:
    return DictionarySource(path=str(path), src_lang="en", tgt_lang=tgt, **options)


def written(tmp_path: Path, text: str, name: str = "d.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def entries(dictionary) -> list[tuple]:
    table = dictionary.entries
    return list(zip(*(table.column(c).to_pylist() for c in ("src", "tgt", "pos"))))


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


def test_entities_are_refused(tmp_path) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><TEI>&a;</TEI>'
    with pytest.raises(InputError, match="TEI"):
        read_dictionary(source(written(tmp_path, bomb)), known=KNOWN)


def test_empty_and_duplicate_entries_are_counted_not_fatal(tmp_path) -> None:
    text = "dog\tHund\ndog\tHund\n\tleer\nthe\t\n\nnur\ndog\tKo\u0308ter\n" + "the\tder\n" * 20
    read = read_dictionary(source(written(tmp_path, text), columns="src,tgt"))
    assert read.counts == {
        "entries": 3,
        "duplicate": 20,
        "empty": 2,
        "malformed": 1,
    }
    assert ("dog", "K\u00f6ter", None) in entries(read)


def test_the_wrong_order_is_said_and_an_unknown_one_asked_for(tmp_path) -> None:
    path = written(tmp_path, "der the\nHund dog\nvon of\n")
    with pytest.raises(ConfigError, match=r"cannot tell .* give --columns"):
        read_dictionary(source(path))
    with pytest.raises(ConfigError, match=r"are named src,tgt, but .* they are tgt,src"):
        read_dictionary(source(path, columns="src,tgt"), known=KNOWN)
    assert read_dictionary(source(path, columns="tgt,src")).said == "as named"


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


def test_filters_refuse_what_the_file_does_not_say(tmp_path) -> None:
    path = written(tmp_path, "the der\ndog Hund\n")
    for limit in ({"min_count": 2}, {"pos": ("n",)}):
        with pytest.raises(ConfigError, match=next(iter(limit))):
            read_dictionary(source(path, columns="src,tgt", **limit))
    wiktionary = written(tmp_path, WIKTIONARY.replace("pes {m}", "pes"), "w.txt")
    read = read_dictionary(source(wiktionary, "cs", columns="src,tgt", pos=("n",)))
    assert {entry[2] for entry in entries(read)} == {"n"}
    with pytest.raises(InputError, match="none of"):
        read_dictionary(source(wiktionary, "cs", columns="src,tgt", pos=("adv",)))


def test_what_is_no_dictionary_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no known dictionary format"):
        read_dictionary(source(written(tmp_path, "a long line of words\n" * 3)))
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        read_dictionary(source(tmp_path / "nowhere.txt"))
    with pytest.raises(ConfigError, match="format"):
        source(tmp_path, format="xls")
    with pytest.raises(ConfigError, match="both languages"):
        source(tmp_path, "en")
    with pytest.raises(ConfigError, match="weight"):
        source(tmp_path, weight=0)


def test_compressed_files_are_read(tmp_path) -> None:
    path = tmp_path / "d.txt.gz"
    path.write_bytes(gzip.compress("dog 犬\n".encode()))
    assert entries(read_dictionary(source(path, "ja"))) == [("dog", "犬", None)]


@pytest.mark.parametrize(
    ("word", "letters"),
    [("犬", True), ("3a", True), ("3.5", False), ("—", False), ("\U000f0061", True)],
)
def test_letters_of_any_script(word, letters) -> None:
    assert has_letter(word) is letters


@pytest.mark.skipif(not MUSE.exists(), reason="no ../shared/data here")
@pytest.mark.parametrize(
    ("file", "tgt", "format", "columns"),
    [
        ("muse/en-cs.dict.gz", "cs", "at", "tgt,src"),
        ("muse/en-ja.cosda-jp2.txt.gz", "ja", "tab", "src,tgt"),
        ("freedict/swh-eng.tei.gz", "sw", "tei", "tgt,src"),
        ("freedict/eng-swh.tei.gz", "sw", "tei", "src,tgt"),
        ("wiktionary/en-cs-enwiktionary.txt.gz", "cs", "wiktionary", "src,tgt"),
    ],
)
def test_real_dictionaries(file, tgt, format, columns) -> None:
    with gzip.open(DATA / "eval/xnli/dev-en.tsv.gz", "rt", encoding="utf-8") as lines:
        texts = pa.array([line.split("\t")[1] for line in lines][:500])
    known = {"en": words_of_text(texts, segment(texts, "en"))}
    read = read_dictionary(source(MUSE / file, tgt), known=known)
    assert (read.source.format, read.source.columns) == (format, columns)
    assert read.counts["entries"] > 1_000
    assert json.dumps(read.counts)
