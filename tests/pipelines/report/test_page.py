import json
import math
import re
import unicodedata
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from statistics import median_low

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.pipelines.report.config import ReportConfig
from bitextile.pipelines.report.drawing import (
    PAGE_PX,
    Sentence,
    ladder,
    matrix,
    two_lines,
    wide_drawing,
)
from bitextile.pipelines.report.examples import (
    _show_switched,
    examples_of,
    exchanged_line,
    lexicon_entries,
    switched_line,
)
from bitextile.pipelines.report.figures import key_figures, rule_figures
from bitextile.pipelines.report.page import write_report
from bitextile.pipelines.report.training import evaluation_figures, loss_chart
from bitextile.pipelines.report.typeset import direction, shown, visual_order
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, OutputExistsError
from bitextile.schema.ids import language_key, pair_ids, stable_id, text_ids
from bitextile.schema.kinds import (
    ALIGNED,
    CANDIDATES,
    CODESWITCH,
    EXCHANGE,
    LEXICON,
    MONO,
    PAIRS,
    REJECTS,
    Kind,
)
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import reject_path, shard_path, write_shard

EVIL = "<script>alert(1)</script>"

# src and tgt as words; | joins without a space.
SENTENCES = [
    (
        "de",
        "fr",
        "Der Hund schläft im Garten|.",
        "Le chien dort au jardin|.",
        "0-0 1-1 2-2 3-3 4-4",
    ),
    ("fr", "de", "Une maison rouge", "Ein rotes Haus", "0-0 1-2 2-1"),
    ("ar", "zh", "القط نائم في البيت", "猫|在|家|里|睡觉", "0-0 1-4 2-1 2-3 3-2"),
    ("th", "ja", "แมว|กิน|ปลา", "猫|が|魚|を|食べる", "0-0 1-4 2-2"),
    ("de", "zh", f"Ein {EVIL} Haus", "一|座|房子", "0-0 0-1 2-2"),
]


def words_of(marked: str) -> tuple[str, list[dict]]:
    text, spans, at = marked.replace("|", ""), [], 0
    for word in re.split(r"[ |]", marked):
        start = text.index(word, at)
        at = start + len(word)
        spans.append({"start": start, "end": at})
    return text, spans


def pair_row(src_lang, tgt_lang, src, tgt, line=1) -> dict:
    ids = pair_ids(src_lang, pa.array([src]), tgt_lang, pa.array([tgt]))
    return {
        "pair_id": ids[0].as_py(),
        "src_lang": src_lang,
        "tgt_lang": tgt_lang,
        "src": src,
        "tgt": tgt,
        "corpus": "hand",
        "file": "hand & made.tsv",
        "line": line,
        "split": "train",
    }


def aligned_row(src_lang, tgt_lang, src, tgt, pharaoh, line=1) -> dict:
    src, src_spans = words_of(src)
    tgt, tgt_spans = words_of(tgt)
    pairs = sorted(tuple(map(int, link.split("-"))) for link in pharaoh.split())
    links = [{"src": i, "tgt": j, "score": 0.5 + 0.1 * (n % 5)} for n, (i, j) in enumerate(pairs)]
    row = pair_row(src_lang, tgt_lang, src, tgt, line)
    spans = {"src_spans": src_spans, "tgt_spans": tgt_spans, "links": links}
    return row | spans | {"align_score": -0.25}


def aligned_rows() -> list[dict]:
    return [aligned_row(*sentence, line=n) for n, sentence in enumerate(SENTENCES, 1)]


def reject_row(number: int, rule: str) -> dict:
    return {
        "id": f"{number:032x}",
        "rule": rule,
        "value": 1.5,
        "detail": "",
        "corpus": "hand",
        "file": "bad.tsv",
        "line": number,
        "src_lang": "ar",
        "tgt_lang": None if number % 2 else "de",
        "src": "نعم",
        "tgt": None if number % 2 else EVIL,
    }


def write_dataset(path: Path, kind: Kind, rows: list[dict], rejects: list[dict] = ()) -> str:
    by_key: dict[str, list[dict]] = {}
    for row in rows:
        by_key.setdefault(language_key(row[c] for c in kind.languages), []).append(row)
    shards = []
    for key, members in sorted(by_key.items()):
        table = pa.Table.from_pylist(members, kind.schema)
        shards.append(write_shard(str(path), shard_path(key, 0, 1), table, kind))
    dropped, by_rule = [], {}
    if rejects:
        table = pa.Table.from_pylist(rejects, REJECTS.schema)
        dropped = [write_shard(str(path), reject_path(0, 1), table, REJECTS)]
        for row in rejects:
            by_rule[row["rule"]] = by_rule.get(row["rule"], 0) + 1
    manifest = Manifest(
        kind=kind.name,
        schema_version=kind.version,
        columns={},
        shards=tuple(shards),
        rejects=tuple(dropped),
        counts=Counts(len(rows) + len(rejects), len(rows), by_rule),
        keys={key: {"rows": len(members)} for key, members in by_key.items()},
        config={"command": "test", "note": EVIL},
        created="2026-01-01T00:00:00Z",
    )
    write_manifest(str(path), manifest)
    return str(path)


def exchange_row(row: dict, exchanged: list[tuple[int, int]], src: str, tgt: str) -> dict:
    swapped = [{"src": i, "tgt": j} for i, j in exchanged]
    texts = {"src_exchanged": src, "tgt_exchanged": tgt}
    return row | {"variant": 0, "exchanged": swapped} | texts


def switch_row(lang: str, text: str, replacements: list[tuple]) -> dict:
    names = ("start", "end", "lang", "original", "origin", "score")
    return {
        "switch_id": stable_id(text),
        "parent_id": stable_id("parent", text),
        "variant": 0,
        "method": "alignment",
        "matrix_lang": lang,
        "text": text,
        "replacements": [dict(zip(names, r, strict=True)) for r in replacements],
    }


def lexicon_row(src: str, tgt: str, count: int, p: float) -> dict:
    langs = {"src_lang": "ar", "tgt_lang": "de"}
    return (
        langs
        | {"src": src, "tgt": tgt, "count": count}
        | {
            "p_tgt_given_src": p,
            "p_src_given_tgt": 0.5,
        }
    )


@pytest.fixture
def all_kinds(tmp_path) -> list[str]:
    rows = aligned_rows()
    pairs = [{name: row[name] for name in PAIRS.schema.names} for row in rows]
    texts = [("th", "แมวกินปลา"), ("ar", "القط نائم"), ("ja", "猫が魚を食べる")]
    mono = [
        {"text_id": text_ids(lang, pa.array([text]))[0].as_py(), "lang": lang, "text": text}
        | {"corpus": "hand", "file": "mono.txt", "line": 1, "split": "train"}
        for lang, text in texts
    ]
    swapped = exchange_row(rows[1], [(1, 2)], "Une Haus rouge", "Ein rotes maison")
    switched = [
        switch_row("ar", "القط schläft في البيت", [(5, 12, "de", "نائم", "link", 0.75)]),
        switch_row("de", f"Der 狗 {EVIL}", [(4, 5, "zh", "Hund", EVIL, 0.5)]),
    ]
    lexicon = [lexicon_row("بيت", "haus", 3, 0.75), lexicon_row("بيت", "heim", 1, 0.25)]
    lexicon.append(lexicon_row(".", ".", 99, 1.0))
    candidate = {"text_id": "0" * 32, "lang": "de", "text": "Haus", "spans": [], "candidates": []}
    rejects = [reject_row(n, "empty/1") for n in range(5)] + [reject_row(9, "ratio/1")]
    return [
        write_dataset(tmp_path / "pairs", PAIRS, pairs, rejects),
        write_dataset(tmp_path / "mono", MONO, mono),
        write_dataset(tmp_path / "aligned", ALIGNED, rows),
        write_dataset(tmp_path / "lexicon", LEXICON, lexicon),
        write_dataset(tmp_path / "exchange", EXCHANGE, [swapped]),
        write_dataset(tmp_path / "codeswitch", CODESWITCH, switched),
        write_dataset(tmp_path / "candidates", CANDIDATES, [candidate]),
    ]


class Page(HTMLParser):
    """Tags with attributes, and the text; fails on a tag closed that is not open."""

    VOID = ("meta", "link", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def with_class(self, name: str) -> list[tuple[str, dict[str, str]]]:
        return [t for t in self.tags if name in t[1].get("class", "").split()]


def page_of(
    datasets: list[str], tmp_path: Path, *, extras: dict | None = None, **config
) -> tuple[str, Page]:
    out = tmp_path / "report.html"
    write_report(datasets, str(out), config=ReportConfig(**config), extras=extras, overwrite=True)
    html = out.read_text(encoding="utf-8")
    return html, Page(html)


def test_one_page_shows_every_kind_and_asks_nothing_from_outside(all_kinds, tmp_path):
    html, page = page_of(all_kinds, tmp_path, title="Six scripts")
    assert [a["id"] for tag, a in page.tags if tag == "section"] == [f"d{n}" for n in range(1, 8)]
    for kind in ("pairs", "mono", "aligned", "lexicon", "exchange", "codeswitch", "candidates"):
        assert kind in page.text
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    links = [a.get("href", "") for _, a in page.tags if "href" in a]
    assert all(link.startswith("#d") or link == "data:," for link in links)
    assert not [a for _, a in page.tags if "src" in a or any(name.startswith("on") for name in a)]
    assert "url(" not in html
    assert "@import" not in html
    assert "prefers-color-scheme: dark" in html
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        page.tags
    )


def test_untrusted_text_stays_text(all_kinds, tmp_path):
    evaluations = [{"name": EVIL, "before": 1, "after": 2, "unit": EVIL}]
    extras = {"metrics": [{"step": 1, f"loss/{EVIL}": 2.0}], "evaluations": evaluations}
    html, page = page_of(all_kinds, tmp_path, title=EVIL, extras=extras)
    assert "<script" not in html
    assert page.text.count(EVIL) >= 10
    titles = [a["title"] for _, a in page.with_class("sw")]
    assert any(EVIL in title for title in titles)
    nasty = '"><img src=x onerror=alert(1)>'
    row = aligned_row("de", "fr", f"a{nasty.replace(' ', '_')} b", "c d", "0-0 1-1")
    dataset = write_dataset(tmp_path / nasty.replace("/", ""), ALIGNED, [row | {"file": nasty}])
    _, page = page_of([dataset], tmp_path)
    assert "img" not in {tag for tag, _ in page.tags}


def test_the_page_is_a_function_of_the_datasets(all_kinds, tmp_path):
    first, _ = page_of(all_kinds, tmp_path)
    second, _ = page_of(all_kinds, tmp_path)
    assert first == second


def test_counts_and_rejects_stand_with_their_place(all_kinds, tmp_path):
    _, page = page_of(all_kinds[:1], tmp_path)
    assert "5 of 11 rows kept (45.5 %), 6 rejected by 2 rules" in page.text
    rules = rule_figures(open_dataset(all_kinds[0]))
    assert [(r.rule, r.rows, len(r.samples)) for r in rules] == [
        ("empty/1", 5, 3),
        ("ratio/1", 1, 1),
    ]
    for place in ("bad.tsv:0", "bad.tsv:1", "bad.tsv:2", "bad.tsv:9"):
        assert place in page.text
    assert "bad.tsv:3" not in page.text


def test_key_figures_are_those_of_the_slow_version(tmp_path):
    rows = aligned_rows()
    dataset = open_dataset(write_dataset(tmp_path / "aligned", ALIGNED, rows))
    figures = {f.key: f for f in key_figures(dataset)}
    assert {key: f.rows for key, f in figures.items()} == {
        "ar-zh": 1,
        "de-fr": 2,
        "de-zh": 1,
        "ja-th": 1,
    }
    german = [len(rows[0]["src_spans"]), len(rows[1]["tgt_spans"])]
    lengths = {length.lang: length for length in figures["de-fr"].lengths}
    assert (lengths["de"].median, lengths["de"].longest) == (median_low(german), max(german))
    assert lengths["de"].unit == "words"
    links = figures["de-fr"].links
    assert links.links == 8
    assert links.linked["de"] == pytest.approx(8 / 9)
    assert links.per_word == pytest.approx(8 / 9)
    scores = [link["score"] for row in rows[:2] for link in row["links"]]
    assert links.mean_score == pytest.approx(sum(scores) / len(scores))
    many_to_one = figures["ar-zh"].links.linked
    assert many_to_one == {"ar": 1.0, "zh": 1.0}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_length_quantiles_equal_sorting(lengths):
    from bitextile.pipelines.report.figures import _Tally

    tally = _Tally()
    for n in range(0, len(lengths), 7):
        tally.add(pa.array(lengths[n : n + 7]).to_numpy())
    bars = tally.bars()
    assert len(bars) <= 24
    assert max(bars) == 1.0
    for share in (0.5, 0.9, 1.0):
        assert tally.quantile(share) == sorted(lengths)[math.ceil(share * len(lengths)) - 1]


def test_examples_spread_over_keys_and_prefer_what_is_changed(all_kinds, tmp_path):
    aligned, exchange = open_dataset(all_kinds[2]), open_dataset(all_kinds[4])
    assert [e.key for e in examples_of(aligned, 4)] == ["ar-zh", "de-fr", "de-zh", "ja-th"]
    assert len(examples_of(aligned, 2)) == 2
    assert len(examples_of(aligned, 50)) == 5
    assert examples_of(aligned, 0) == []
    assert examples_of(open_dataset(all_kinds[6]), 8) == []
    plain = exchange_row(aligned_rows()[0], [], "x", "y")
    row = exchange_row(aligned_rows()[1], [(1, 2)], "Une Haus rouge", "Ein rotes maison")
    mixed = open_dataset(write_dataset(tmp_path / "mixed", EXCHANGE, [plain, row]))
    (shown_row,) = examples_of(mixed, 1)
    assert [p.text for p in shown_row.lines[0].pieces] == ["Une ", "Haus", " rouge"]
    assert [e.key for e in examples_of(exchange, 3)] == ["de-fr"]


def test_lexicon_shows_words_with_their_translations_best_first(all_kinds):
    (entry,) = lexicon_entries(open_dataset(all_kinds[3]), 8)
    assert (entry.word, entry.count) == ("بيت", 4)
    assert [t[0] for t in entry.translations] == ["haus", "heim"]


def test_right_to_left_text_runs_right_to_left(all_kinds, tmp_path):
    _, page = page_of(all_kinds, tmp_path)
    for _, attributes in page.with_class("sentence"):
        assert attributes["dir"] == ("rtl" if attributes["lang"] == "ar" else "ltr")
    words = [a for _, a in page.with_class("word") if a["lang"] == "ar"]
    assert words
    assert all(a["direction"] == "rtl" for a in words)
    foreign = [a for tag, a in page.tags if tag == "bdi" and a.get("lang") == "de"]
    assert all(a["dir"] == "ltr" for a in foreign)


def xs(drawing, side) -> list[float]:
    return [word.x for word in sorted(drawing.words, key=lambda w: w.index) if word.side == side]


def test_arabic_words_stand_from_the_right_latin_ones_from_the_left():
    src = Sentence(lang="ar", words=["القط", "نائم", "الآن"])
    tgt = Sentence(lang="de", words=["Die", "Katze", "schläft", "jetzt"])
    for drawing in (two_lines(src, tgt, []), matrix(tgt, src, [])):
        arabic = xs(drawing, "src" if drawing.form == "lines" else "tgt")
        assert arabic == sorted(arabic, reverse=True)
    assert xs(two_lines(src, tgt, []), "tgt") == sorted(xs(two_lines(src, tgt, []), "tgt"))


@pytest.mark.parametrize(
    ("words", "base", "order"),
    [
        (["a", "b", "c"], "ltr", [0, 1, 2]),
        (["א", "ב", "ג"], "rtl", [0, 1, 2]),
        (["زرت", "New", "York", "."], "rtl", [0, 2, 1, 3]),
        (["see", "كتاب", "جديد", "now"], "ltr", [0, 2, 1, 3]),
        (["اشتريت", "iPhone", "15", "أمس"], "rtl", [0, 2, 1, 3]),
        (["عام", "2024", "كان"], "rtl", [0, 1, 2]),
        (["a", "«", "ب", ",", "ج", "»", "b"], "ltr", [0, 1, 4, 3, 2, 5, 6]),
    ],
)
def test_words_of_the_other_direction_keep_their_own_order(words, base, order):
    assert visual_order(words, base) == order


def test_directions_follow_script_then_language():
    rtl = ["ar", "he", "fa-IR", "ur", "az-Arab", "yi", "pa-Arab-PK", "ckb", "dv"]
    ltr = ["en", "de", "zh-Hant", "th", "ja", "ur-Latn", "tr", "ku", "sr-Cyrl"]
    assert {direction(lang) for lang in rtl} == {"rtl"}
    assert {direction(lang) for lang in ltr} == {"ltr"}


WORD = st.one_of(
    st.text("abcßéWMil.,", min_size=1, max_size=9),
    st.text("كتابهيم", min_size=1, max_size=7),
    st.text("猫が魚食べる房子", min_size=1, max_size=4),
    st.text("กขคนปลาี่", min_size=1, max_size=6),
)


@st.composite
def drawn_pairs(draw):
    sides = [
        Sentence(
            lang=draw(st.sampled_from(["de", "ar", "zh", "th", "ja", "he"])),
            words=draw(st.lists(WORD, min_size=1, max_size=30)),
        )
        for _ in range(2)
    ]
    pairs = st.tuples(*(st.integers(0, len(s.words) - 1) for s in sides))
    links = draw(st.sets(pairs, max_size=40))
    return *sides, [(i, j, 0.5) for i, j in sorted(links)]


@settings(max_examples=80, deadline=None)
@given(drawn_pairs())
def test_drawings_hold_every_word_and_link_inside_and_apart(pair):
    src, tgt, links = pair
    for drawing in (two_lines(*pair), ladder(*pair), matrix(*pair)):
        assert len(drawing.words) == len(src.words) + len(tgt.words)
        assert len(drawing.strokes) + len(drawing.cells) == len(links)
        assert all(0 <= w.x <= drawing.width for w in drawing.words)
        assert all(0 <= w.y <= drawing.height for w in drawing.words)
        assert {w.index for w in drawing.words if w.side == "src" and w.linked} == {
            i for i, _, _ in links
        }
        for cell in drawing.cells:
            assert drawing.origin[0] - 0.1 <= cell.x <= drawing.width - drawing.pitch
            assert drawing.origin[1] - 0.1 <= cell.y <= drawing.height - drawing.pitch
    lines = two_lines(*pair)
    for side, sentence in (("src", src), ("tgt", tgt)):
        slots = sorted(
            (x - w / 2, x + w / 2) for x, w in zip(xs(lines, side), sentence.widths(), strict=True)
        )
        assert slots[0][0] >= 0
        assert slots[-1][1] <= lines.width + 0.1
        assert all(b[0] - a[1] > 4 for a, b in pairwise(slots))


def test_short_pairs_are_lines_long_ones_a_matrix_and_the_longest_only_a_ladder():
    def drawn(n):
        sentence = Sentence(lang="de", words=["Wort"] * n)
        return wide_drawing(sentence, sentence, [(0, n - 1, 1.0)])

    assert drawn(5).form == "lines"
    assert drawn(40).form == "matrix"
    assert drawn(40).width <= PAGE_PX
    assert drawn(110) is None


def text_of(line) -> str:
    return "".join(piece.text for piece in line.pieces)


def marks_of(line) -> list[tuple[str, str]]:
    return [(p.text, p.original) for p in line.pieces if p.original is not None]


def test_exchanged_words_are_found_in_text_rebuilt_with_spaces_and_case():
    row = aligned_row("zh", "de", "我|爱|北京|。", "Ich liebe Peking|.", "0-0 1-1 2-2 3-3")
    row = exchange_row(row, [(1, 1), (2, 2)], "我 liebe Peking。", "Ich 爱 北京.")
    groups = [[(1, 1)], [(2, 2)]]
    src = exchanged_line(row, "src", "tgt", groups, {(1, 1): 0.5, (2, 2): 0.7})
    tgt = exchanged_line(row, "tgt", "src", groups, {(1, 1): 0.5, (2, 2): 0.7})
    assert (text_of(src), marks_of(src)) == (
        row["src_exchanged"],
        [("liebe", "爱"), ("Peking", "北京")],
    )
    assert (text_of(tgt), marks_of(tgt)) == (
        row["tgt_exchanged"],
        [("爱", "liebe"), ("北京", "Peking")],
    )
    assert src.pieces[1].lang == "de"
    assert "0.50" in src.pieces[1].title


def test_an_exchange_that_does_not_add_up_is_shown_unmarked():
    row = aligned_row("de", "fr", "Ein Haus", "Une maison", "0-0 1-1")
    row = exchange_row(row, [(1, 1)], "Etwas ganz anderes", "Une Haus")
    line = exchanged_line(row, "src", "tgt", [[(1, 1)]], {})
    assert (text_of(line), marks_of(line)) == ("Etwas ganz anderes", [])


LETTERS = st.text("abcdefgäöé猫魚", min_size=1, max_size=5)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(LETTERS, LETTERS, st.booleans(), st.booleans()), min_size=1, max_size=9))
def test_exchange_marks_cover_what_was_exchanged(words):
    src_words, tgt_words = [w[0] for w in words], [w[1] for w in words]
    links = " ".join(f"{i}-{i}" for i in range(len(words)))
    row = aligned_row("de", "fr", " ".join(src_words), " ".join(tgt_words), links)
    exchanged = [i for i, w in enumerate(words) if w[2]]
    new = [b.upper() if upper and swap else b if swap else a for a, b, swap, upper in words]
    row = exchange_row(row, [(i, i) for i in exchanged], "  ".join(new), "")
    line = exchanged_line(row, "src", "tgt", [[(i, i)] for i in exchanged], {})
    assert text_of(line) == row["src_exchanged"]
    assert marks_of(line) == [(new[i], src_words[i]) for i in exchanged]


def test_a_switched_line_is_its_text():
    replacements = [
        {"start": 0, "end": 2, "lang": "de", "original": "猫", "origin": "dict", "score": 1.0},
        {"start": 3, "end": 4, "lang": "fr", "original": "魚", "origin": "link", "score": 0.5},
    ]
    line = switched_line("ja", "ab がc", [*replacements[:1]])
    assert text_of(line) == "ab がc"
    line = switched_line("ja", "ab cd", replacements)
    assert [(p.text, p.lang) for p in line.pieces] == [
        ("ab", "de"),
        (" ", "ja"),
        ("c", "fr"),
        ("d", "ja"),
    ]


def test_hover_says_original_origin_and_score(all_kinds, tmp_path):
    _, page = page_of(all_kinds[5:6], tmp_path)
    titles = [a["title"] for _, a in page.with_class("sw")]
    assert "de, for “نائم” · link · 0.75" in titles


@given(st.text(max_size=40), st.integers(1, 20))
def test_shown_text_is_short_and_harmless(text, max_chars):
    result = shown(text, max_chars)
    assert not [c for c in result if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not set(result) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    harmless = all(c.isalnum() or c == " " for c in text)
    if harmless and len(text) <= max_chars:
        assert result == text
    if harmless:
        assert len(result) <= max_chars + 1


def test_loss_curves_and_evaluations(all_kinds, tmp_path):
    metrics = [
        {"step": n, "loss": 9 / n, "loss/mlm": 8 / n, "lr": 0.1, "losses": {"tlm": 7 / n}}
        for n in range(1, 1001)
    ]
    metrics.append({"step": 1001, "loss": float("nan")})
    chart = loss_chart(metrics)
    assert [c.name for c in chart.curves] == ["mlm", "tlm"]
    assert (chart.curves[0].first, chart.curves[0].last) == (8.0, 8 / 1000)
    for curve in chart.curves:
        points = [tuple(map(float, p.split())) for p in curve.path[1:].split("L")]
        assert 100 < len(points) <= 300
        assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in points)
    assert loss_chart([]) is None
    assert loss_chart([{"step": 1, "loss": None}]) is None
    assert len(loss_chart([{"step": 1, "loss": 2.0}]).curves) == 1
    evaluations = [
        {"name": "retrieval", "before": 12.5, "after": 71.25, "unit": "%"},
        {"name": "AER", "before": None, "after": 0.243, "unit": ""},
    ]
    first, second = evaluation_figures(evaluations)
    assert (first.before, first.after, first.change) == ("12.5", "71.25", "+58.75")
    assert (second.before, second.change) == ("–", "")
    extras = {"metrics": metrics, "evaluations": evaluations}
    _, page = page_of([], tmp_path, extras=extras)
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["training"]
    assert "71.25" in page.text


def test_wrong_extras_and_outputs_are_refused_and_nothing_is_left(all_kinds, tmp_path):
    out = tmp_path / "out" / "report.html"
    with pytest.raises(ConfigError, match="extras has speed, expected metrics and evaluations"):
        write_report(all_kinds, str(out), extras={"speed": []})
    with pytest.raises(ConfigError, match="expected name, unit, and numbers before and after"):
        write_report([], str(out), extras={"evaluations": [{"name": "x", "before": "1"}]})
    with pytest.raises(DatasetError, match=r"no manifest\.json"):
        write_report([*all_kinds, str(tmp_path / "none")], str(out))
    assert not out.exists()
    with pytest.raises(ConfigError, match="is a folder"):
        write_report(all_kinds, str(tmp_path))
    write_report(all_kinds[:1], str(out))
    before = out.read_bytes()
    with pytest.raises(OutputExistsError, match="already there"):
        write_report(all_kinds, str(out))
    assert out.read_bytes() == before
    write_report(all_kinds, str(out), overwrite=True)
    assert out.read_bytes() != before
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]


def test_an_empty_dataset_has_a_page(tmp_path):
    _, page = page_of([write_dataset(tmp_path / "none", ALIGNED, [])], tmp_path)
    assert "0 of 0 rows kept (100 %)" in page.text


def test_the_embedded_sample_in_two_scripts(tmp_path):
    sample = files("bitextile.pipelines.sample")
    rows = []
    for name in ("gold.en-de.jsonl", "gold.en-zh.jsonl"):
        for line, text in enumerate((sample / name).read_text("utf-8").splitlines(), 1):
            gold = json.loads(text)
            row = pair_row(gold["src_lang"], gold["tgt_lang"], gold["src"], gold["tgt"], line)
            spans = {
                f"{side}_spans": [{"start": s, "end": e} for s, e in gold[f"{side}_spans"]]
                for side in ("src", "tgt")
            }
            links = sorted(map(tuple, gold["sure"] + gold.get("possible", [])))
            scored = [{"src": i, "tgt": j, "score": 1.0} for i, j in links]
            rows.append(row | spans | {"links": scored, "align_score": 0.0})
    dataset = write_dataset(tmp_path / "sample", ALIGNED, rows)
    _, page = page_of([dataset], tmp_path, examples=12)
    assert len(page.with_class("example")) == 12
    assert len(page.with_class("lines")) + len(page.with_class("matrix")) == 12
    chosen = examples_of(open_dataset(dataset), 12)
    strokes = sum(len((e.wide.strokes or e.wide.cells) + e.narrow.strokes) for e in chosen)
    assert len(page.with_class("link")) == strokes


def switched(text: str, *replacements: dict, lang: str = "en") -> list:
    row = {"matrix_lang": lang, "text": text, "replacements": list(replacements)}
    row |= {"method": "task-field", "variant": 0, "parent_id": "f" * 32, "label": "neutral"}
    return list(_show_switched(lang, row).lines)


def test_fields_of_task_data_are_lines_in_their_own_direction():
    new = {"start": 0, "end": 4, "lang": "ar", "original": "He left.", "origin": "f.tsv:1"}
    first, second = switched("ذهب.\nShe stayed.", new | {"score": 1.0})
    assert (first.dir, [piece.text for piece in first.pieces]) == ("rtl", ["ذهب."])
    assert "f.tsv:1" in first.pieces[0].title
    assert (second.dir, [piece.text for piece in second.pieces]) == ("ltr", ["She stayed."])


def test_a_private_script_is_shown_by_the_letters_it_was_made_from(tmp_path):
    row = aligned_row("ar", "ar-Qaaa", "كلب كبير", "كلب كبير", "0-0 1-1")
    derived = {"tgt": "".join(c if c == " " else chr(ord(c) + 0xF0000) for c in row["tgt"])}
    path = write_dataset(tmp_path / "derived", ALIGNED, [row | derived])
    write_report([path], str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not any(ord(char) >= 0xF0000 for char in page)
    assert 'lang="ar-Qaaa" dir="rtl"' in page
    assert "private script" in page
    # An override that a private code point would turn into must not act.
    assert shown("\U000f202e") == "<U+202E>"


def test_words_that_changed_case_are_marked_in_turkish_too():
    row = aligned_row("en", "tr", "It is", "Bu iyi", "0-1")
    row |= {"src_exchanged": "İyi is", "tgt_exchanged": "Bu it"}
    line = exchanged_line(row, "src", "tgt", [[(0, 1)]], {(0, 1): 0.9})
    assert [(p.text, p.lang, p.original) for p in line.pieces] == [
        ("İyi", "tr", "It"),
        (" is", "en", None),
    ]


def test_stages_of_training_stand_side_by_side(tmp_path):
    rows = [{"name": "aer", "before": None, "after": 0.25, "unit": ""}]
    rows.append({"name": "p", "before": 90.0, "between": [50.0], "after": 40.0, "unit": ""})
    links, perplexity = evaluation_figures(rows)
    assert (links.before, links.between, links.after, links.change) == ("–", ("–",), "0.25", "")
    assert (perplexity.between, perplexity.change) == (("50",), "−50")
    metrics = [{"step": n, "loss": 9 - n, "stage": 1 + (n > 3)} for n in range(1, 6)]
    (mark,) = loss_chart(metrics).stages
    assert (mark.label, mark.percent) == ("2", 75.0)
    assert loss_chart([{"step": n, "loss": 9 - n} for n in range(1, 6)]).stages == ()
    page = tmp_path / "page.html"
    write_report([], str(page), extras={"metrics": metrics, "evaluations": rows})
    assert '>Before</th><th scope="col" class="r">Stage 1</th><th' in page.read_text()
    with pytest.raises(ConfigError, match="expected name, unit, and numbers"):
        evaluation_figures([rows[1] | {"between": ["50"]}])
