"""`align` on lists: what a person in a notebook types first."""

import math

import pytest

from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.notebook import Alignments, align
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import BitextileError, ConfigError, InputError
from bitextile.schema.kinds import ALIGNED

EN = ["the house", "the book", "a book", "a house", "the red house"]
DE = ["das Haus", "das Buch", "ein Buch", "ein Haus", "das rote Haus"]
AR = ["البيت", "الكتاب", "كتاب", "بيت", "البيت الأحمر"]
ZH = ["那房子", "那书", "书", "房子", "那红房子"]


@pytest.fixture(scope="module")
def pairs() -> Alignments:
    return align(EN, DE, src_lang="en", tgt_lang="de")


def test_links_and_words_come_in_the_order_of_the_lists(pairs):
    assert pairs.links[:4] == [[(0, 0), (1, 1)]] * 4
    assert pairs.words[4] == (["the", "red", "house"], ["das", "rote", "Haus"])
    assert pairs[1].linked_words == [("the", "das"), ("book", "Buch")]
    assert pairs.pharaoh()[0] == "0-0 1-1"
    assert [pair.src for pair in pairs] == EN
    assert all(0 < score <= 1 for pair in pairs for score in pair.scores)
    assert math.isfinite(pairs[0].score)


def test_sides_may_be_given_in_either_order(pairs):
    turned = align(DE, EN, src_lang="de", tgt_lang="en")
    assert turned.links == [sorted((j, i) for i, j in links) for links in pairs.links]


@pytest.mark.parametrize(("lang", "texts"), [("ar", AR), ("zh", ZH), ("und", DE)])
def test_any_script_and_no_language(lang, texts):
    found = align(EN, texts, src_lang="en", tgt_lang=lang)
    check_rows(found.batch, ALIGNED, "align")
    assert any(found.links)
    assert [pair.tgt for pair in found] == texts
    assert all(
        "".join(words) == text.replace(" ", "") for (_, words), text in zip(found.words, texts)
    )


def test_slices_negative_numbers_and_short_reprs(pairs):
    assert pairs[-1] == pairs[4]
    assert [pair.src for pair in pairs[1:3]] == EN[1:3]
    assert len(pairs[::-1]) == 5
    assert repr(pairs[:1]) == "Alignments(1 pairs, en-de, 2 links)"
    with pytest.raises(IndexError, match="pair 5, but there are 5"):
        pairs[5]


def test_a_notebook_shows_words_and_links_safely():
    html = align(["<b>x</b> & y"], ["<i>"], src_lang="en", tgt_lang="he")._repr_html_()
    assert "<svg" in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "&lt;" in html


def test_one_pair_is_drawn_whatever_it_holds(pairs):
    assert pairs[4]._repr_html_().count('class="stroke"') == len(pairs[4].links)
    assert align([""], ["<x>"])[0]._repr_html_().startswith("<svg")
    long = align(["a b " * 100], ["x y " * 100])[0]._repr_html_()
    assert long.count("<text") == 400


def test_the_result_goes_into_kernels_and_pandas(pairs):
    pytest.importorskip("pandas")
    config = ExchangeConfig(rate=1.0)
    plain = exchange(pairs.batch, config=config)
    assert exchange(pairs.to_pandas(), config=config).kept == plain.kept
    assert plain.kept["src_exchanged"][0].as_py() == "das Haus"
    switched = switch_by_alignment(pairs.batch, config=AlignmentSwitchConfig(token_rate=1.0))
    assert switched.kept.num_rows


def test_nothing_empty_sentences_and_repeated_pairs():
    assert list(align([], [])) == []
    assert repr(align([], [])) == "Alignments(0 pairs, 0 links)"
    found = align(["a b", "", "a b"], ["x y", "z", "x y"])
    assert found.links[1] == []
    assert found.links[0] == found.links[2]


def test_options_of_the_aligner_are_taken():
    few = align(EN, DE, config=HmmConfig(symmetrize="intersect"))
    all_links = align(EN, DE, config=HmmConfig(symmetrize="union"))
    assert sum(map(len, few.links)) <= sum(map(len, all_links.links))


@pytest.mark.parametrize(
    ("src", "tgt", "options", "error", "message"),
    [
        (["a"], [], {}, InputError, "src has 1 sentences and tgt 0"),
        ("a", ["b"], {}, InputError, "src is one string, expected a list"),
        (["a", None], ["b", "c"], {}, InputError, r"src\[1\] is NoneType"),
        (["a"], [["b"]], {}, InputError, r"tgt\[0\] is list"),
        (["a"], ["b"], {"src_lang": "not a tag"}, BitextileError, "not a tag"),
        (["a"], ["b"], {"config": SimalignConfig(encoder="x")}, ConfigError, "needs an encoder"),
    ],
)
def test_wrong_calls_say_what_to_do(src, tgt, options, error, message):
    with pytest.raises(error, match=message):
        align(src, tgt, **options)
