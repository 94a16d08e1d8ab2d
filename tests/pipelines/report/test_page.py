"""The report page: whole in itself, safe, a function of its datasets."""

import json
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from bitextile.kernels.drawing.examples import examples_of
from bitextile.kernels.drawing.typeset import sanitized
from bitextile.pipelines.report.config import ReportConfig
from bitextile.pipelines.report.page import write_report
from bitextile.pipelines.report.statistics import reject_statistics
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, DatasetError, OutputExistsError
from bitextile.schema.kinds import ALIGNED
from report_rows import (
    EVIL,
    aligned_row,
    pair_row,
    write_dataset,
)


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
    rules = reject_statistics(open_dataset(all_kinds[0]))
    assert [(r.rule, r.rows, len(r.samples)) for r in rules] == [
        ("empty/1", 5, 3),
        ("ratio/1", 1, 1),
    ]
    for place in ("bad.tsv:0", "bad.tsv:1", "bad.tsv:2", "bad.tsv:9"):
        assert place in page.text
    assert "bad.tsv:3" not in page.text


def test_right_to_left_text_runs_right_to_left(all_kinds, tmp_path):
    _, page = page_of(all_kinds, tmp_path)
    for _, attributes in page.with_class("sentence"):
        assert attributes["dir"] == ("rtl" if attributes["lang"] == "ar" else "ltr")
    words = [a for _, a in page.with_class("word") if a["lang"] == "ar"]
    assert words
    assert all(a["direction"] == "rtl" for a in words)
    foreign = [a for tag, a in page.tags if tag == "bdi" and a.get("lang") == "de"]
    assert all(a["dir"] == "ltr" for a in foreign)


def test_hover_says_original_origin_and_score(all_kinds, tmp_path):
    _, page = page_of(all_kinds[5:6], tmp_path)
    titles = [a["title"] for _, a in page.with_class("sw")]
    assert "de, for “نائم” · link · 0.75" in titles


def test_wrong_extras_and_outputs_are_refused_and_nothing_is_left(all_kinds, tmp_path):
    out = tmp_path / "out" / "report.html"
    with pytest.raises(ConfigError, match="extras has speed, expected metrics and evaluations"):
        write_report(all_kinds, str(out), extras={"speed": []})
    with pytest.raises(ConfigError, match="expected name, unit, and numbers before and after"):
        write_report([], str(out), extras={"evaluations": [{"name": "x", "before": "1"}]})
    with pytest.raises(DatasetError, match="none: no such folder; give that of a dataset"):
        write_report([*all_kinds, str(tmp_path / "none")], str(out))
    assert not out.exists()
    with pytest.raises(ConfigError, match="is a folder"):
        write_report(all_kinds, str(tmp_path))
    write_report(all_kinds[:1], str(out))
    before = out.read_bytes()
    with pytest.raises(OutputExistsError, match="exists already"):
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
    assert sanitized("\U000f202e") == "<U+202E>"


def test_training_and_evaluation_have_a_section(tmp_path):
    metrics = [{"step": n, "loss": 9 - n, "stage": 1 + (n > 3)} for n in range(1, 6)]
    rows = [{"name": "aer", "before": None, "after": 0.25, "unit": ""}]
    verdict = {"items": 50, "interval": [70.0, 72.0], "verdict": "better"}
    p = {"name": "p", "before": 90.0, "between": [50.0], "after": 71.25, "unit": ""}
    rows.append(p | verdict)
    html, page = page_of([], tmp_path, extras={"metrics": metrics, "evaluations": rows})
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["training"]
    assert "71.25" in page.text
    assert "<small>better</small>" in html
    assert '>Before</th><th scope="col" class="r">Stage 1</th><th' in html
