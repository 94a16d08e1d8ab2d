"""Aligned pairs by hand and at random, for the kernels that make variants of them."""

from collections.abc import Callable

import pyarrow as pa
import pytest
import regex
from hypothesis import strategies as st

from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED

WORD = regex.compile(r"\p{Han}|[\p{Hiragana}\p{Katakana}ー]+|[\p{L}\p{M}\p{N}]+|[^\w\s]")
SCRIPTS = {
    "de": (["Hund", "läuft", "groß", "3", "der"], " "),
    "ru": (["собака", "бежит", "й", "Das"], " "),
    "ar": (["كلب", "يركض", "٣", "بيت"], " "),
    "zh": (["狗", "跑", "一只", "Python"], ""),
    "ja": (["犬", "走る", "が", "大きな"], ""),
    "th": (["หมา", "วิ่ง", "บ้าน", "😀"], ""),
}
PUNCTUATION = [".", "。", ",", "(", "…"]


def aligned_row(sides, links, line: int = 1, **columns) -> dict:
    """A row of kind aligned; a side is (language, text) or (language, text, spans)."""
    row = {"corpus": "c", "file": "f.txt", "line": line, "split": "train", "align_score": -0.5}
    for name, (lang, text, *spans) in zip(("src", "tgt"), sides, strict=True):
        found = spans[0] if spans else [m.span() for m in WORD.finditer(text)]
        row |= {f"{name}_lang": lang, name: text}
        row[f"{name}_spans"] = [{"start": start, "end": end} for start, end in found]
    row["links"] = [{"src": a, "tgt": b, "score": s} for a, b, s in sorted(links)]
    return row | {"pair_id": stable_id(str(line), row["src"], row["tgt"])} | columns


@pytest.fixture(scope="session")
def aligned() -> Callable[..., pa.RecordBatch]:
    """Makes a batch of ((lang, text), (lang, text), [(src word, tgt word)]); scores are 0.9."""

    def make(*rows) -> pa.RecordBatch:
        made = [
            aligned_row((src, tgt), [(*link, 0.9)[:3] for link in links], line)
            for line, (src, tgt, links) in enumerate(rows, 1)
        ]
        return pa.RecordBatch.from_pylist(made, schema=ALIGNED.schema)

    return make


@st.composite
def _side(draw) -> tuple[str, str, list[tuple[int, int]]]:
    lang = draw(st.sampled_from(sorted(SCRIPTS)))
    words, usual = SCRIPTS[lang]
    text, spans = draw(st.sampled_from(["", "", "«", " "])), []
    for word in draw(st.lists(st.sampled_from([*words, *PUNCTUATION]), max_size=7)):
        gap = draw(st.sampled_from([usual, usual, usual, "", " ", "  ", "\u0301", "-"]))
        text += gap if spans else ""
        spans.append((len(text), len(text) + len(word)))
        text += word
    return lang, text, spans


@st.composite
def _batch(draw, max_rows: int = 6) -> pa.RecordBatch:
    rows = []
    for line in range(1, draw(st.integers(0, max_rows)) + 1):
        src, tgt = draw(_side()), draw(_side())
        n, m = len(src[2]), len(tgt[2])
        cells = st.tuples(st.integers(0, max(n - 1, 0)), st.integers(0, max(m - 1, 0)))
        links = draw(st.sets(cells, max_size=8)) if n and m else set()
        scored = [(a, b, draw(st.sampled_from([0.25, 0.5, 1.0]))) for a, b in links]
        rows.append(aligned_row((src, tgt), scored, line))
    return pa.RecordBatch.from_pylist(rows, schema=ALIGNED.schema)


@pytest.fixture(scope="session")
def aligned_batches() -> st.SearchStrategy[pa.RecordBatch]:
    """Batches of pairs in six scripts, with any gaps and any links."""
    return _batch()


@pytest.fixture(scope="session")
def many_aligned() -> pa.RecordBatch:
    """2,000 pairs of ten words, each linked to the word at its place; every second one differs."""
    rows = []
    for line in range(1, 2001):
        src = " ".join(f"w{line}x{i}" for i in range(10))
        tgt = " ".join(f"w{line}x{i}" if i % 2 else f"v{line}x{i}" for i in range(10))
        links = [(i, i, 0.9) for i in range(10)]
        rows.append(aligned_row((("en", src), ("de", tgt)), links, line))
    return pa.RecordBatch.from_pylist(rows, schema=ALIGNED.schema)
