"""Dictionaries as entries: what is counted, what the filters drop, and real files."""

import gzip
import json

import pyarrow as pa
import pytest

from bitextile.kernels.bitext.dictionary.column_order import count_words
from bitextile.kernels.bitext.dictionary.source import read_dictionary
from bitextile.kernels.text.segment import segment
from bitextile.schema.errors import ConfigError, InputError
from dictionary_files import WIKTIONARY, entries, source, written
from project import SHARED

DATA = SHARED / "data"
MUSE = DATA / "dictionaries"


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
    known = {"en": count_words(texts, segment(texts, "en"))}
    read = read_dictionary(source(MUSE / file, tgt), known=known)
    assert (read.source.format, read.source.columns) == (format, columns)
    assert read.counts["entries"] > 1_000
    assert json.dumps(read.counts)
