"""Known translations as a prior."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.align.corpus import split_words
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.align.hmm.model import HmmModel
from bitextile.schema.errors import InputError
from project import SHARED

SENTENCES = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "水", "дом"]), max_size=5), max_size=6
)
WORDS = pa.list_(pa.string())


def lexicon(*entries):
    columns = list(zip(*entries)) or [[], []]
    table = {"src": pa.array(columns[0], pa.string()), "tgt": pa.array(columns[1], pa.string())}
    return pa.table(table | ({"weight": columns[2]} if len(columns) > 2 else {}))


@given(SENTENCES)
@settings(max_examples=15, deadline=None)
def test_an_empty_lexicon_changes_nothing(lines):
    src, tgt = pa.array(lines, WORDS), pa.array([line[::-1] for line in lines], WORDS)
    none = fit(src, tgt, n_threads=1)
    assert fit(src, tgt, lexicon=lexicon(), n_threads=1).digest == none.digest


@given(SENTENCES, st.permutations(range(3)))
@settings(max_examples=10, deadline=None)
def test_order_case_and_repetition_of_entries_do_not_matter(lines, order):
    src, tgt = pa.array(lines, WORDS), pa.array([line[::-1] for line in lines], WORDS)
    entries = [("a", "b", 0.5), ("ДОМ", "水", 1.0), ("b", "c", 2.0)]
    first = fit(src, tgt, lexicon=lexicon(*entries), n_threads=1)
    moved = [entries[k] for k in order]
    parts = [("дом", "水", 0.25), *(e for e in moved if e[0] != "ДОМ"), ("Дом", "水", 0.75)]
    assert fit(src, tgt, lexicon=lexicon(*parts), n_threads=1).digest == first.digest


def test_words_in_neither_side_change_nothing_but_the_digest(corpus, model, tmp_path):
    unknown = lexicon(("never", "nie"), ("s1", "nie"), ("never", "ж1"))
    fitted = fit(*corpus, lexicon=unknown, n_threads=1)
    for got, expected in zip(fitted.table, model.table):
        assert np.array_equal(got, expected)
    assert fitted.statistics["lexicon"]["used"] == 0
    assert fitted.statistics["lexicon"]["entries"] == 3
    assert fitted.digest != model.digest
    fitted.save(tmp_path)
    assert HmmModel.load(tmp_path).digest == fitted.digest


def test_a_lexicon_decides_where_the_text_does_not():
    """Two words that always stand together on both sides: only the lexicon tells them apart."""
    src, tgt = pa.array([["a", "b"]] * 20, WORDS), pa.array([["x", "y"]] * 20, WORDS)
    for pairs, expected in (("ax by", [(0, 0), (1, 1)]), ("ay bx", [(0, 1), (1, 0)])):
        known = lexicon(*((e, f, 20.0) for e, f in pairs.split()))
        links = align_pairs(fit(src, tgt, lexicon=known, n_threads=1), src, tgt).links.to_pylist()
        assert [(x["src"], x["tgt"]) for x in links[0]] == expected


def test_a_lexicon_that_is_none_is_refused():
    src = pa.array([["a"]], WORDS)
    with pytest.raises(InputError, match="expected src, tgt"):
        fit(src, src, lexicon=pa.table({"src": ["a"]}))
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="weight"):
            fit(src, src, lexicon=lexicon(("a", "a", weight)))


@pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is not there")
def test_a_dictionary_lowers_the_error_rate_of_little_text():
    """Hansards' 447 gold pairs alone; tests/benchmarks/align_lexicon.py has all sets."""
    import gzip

    folder = SHARED / "data" / "alignment_gold" / "hansards_en-fr"
    lines = (folder / "awesome-align.enfr.src-tgt").read_text(encoding="utf-8").splitlines()
    sides = [split_words([line.split("|||")[k] for line in lines]) for k in (0, 1)]
    gold = (folder / "awesome-align.enfr.gold").read_text().splitlines()
    muse = SHARED / "data" / "dictionaries" / "muse" / "en-fr.cosda-fr2.txt.gz"
    entries = [x.split() for x in gzip.decompress(muse.read_bytes()).decode().splitlines()]
    known = lexicon(*(e for e in entries if len(e) == 2))
    alone, helped = (
        error_rate(gold, fit(*sides, lexicon=x, n_threads=1), sides) for x in (None, known)
    )
    assert helped < 0.95 * alone < 0.13


def error_rate(gold, model, sides):
    total = hits = 0
    for row, links in zip(gold, align_pairs(model, *sides).links.to_pylist()):
        points = [
            (p, tuple(int(x) - 1 for x in p.replace("p", "-").split("-"))) for p in row.split()
        ]
        sure = {q for p, q in points if "p" not in p}
        found = {(x["src"], x["tgt"]) for x in links}
        hits += len(found & sure) + len(found & {q for _, q in points})
        total += len(found) + len(sure)
    return 1 - hits / total
