"""Aligned rows by hand, for the tests of what is exported."""

import re

import pyarrow as pa

from bitextile.schema.ids import pair_ids


def spans_of(marked: str) -> tuple[str, list[dict[str, int]]]:
    """Words separated by spaces, or by | which does not stay in the text."""
    text, spans = marked.replace("|", ""), []
    at = 0
    for word in re.split(r"[ |]", marked):
        start = text.index(word, at)
        spans.append({"start": start, "end": start + len(word)})
        at = start + len(word)
    return text, spans


def aligned_row(src_lang, tgt_lang, src, tgt, links, line=1) -> dict:
    src, src_spans = spans_of(src)
    tgt, tgt_spans = spans_of(tgt)
    ids = pair_ids(src_lang, pa.array([src]), tgt_lang, pa.array([tgt]))
    scores = [0.9, 0.25, 1.0, 0.3333333]
    return {
        "pair_id": ids[0].as_py(),
        "src_lang": src_lang,
        "tgt_lang": tgt_lang,
        "src": src,
        "tgt": tgt,
        "corpus": "hand",
        "file": "hand.tsv",
        "line": line,
        "split": "train",
        "src_spans": src_spans,
        "tgt_spans": tgt_spans,
        "links": [
            {"src": i, "tgt": j, "score": scores[n % 4]} for n, (i, j) in enumerate(sorted(links))
        ],
        "align_score": -0.1 * line,
    }


def in_key_order(row: dict) -> dict:
    """The slow, obvious version of turning a row so that its first side sorts first."""
    if row["src_lang"] <= row["tgt_lang"]:
        return row
    swapped = {"src": "tgt", "tgt": "src"}
    flipped = {re.sub("^(src|tgt)", lambda m: swapped[m[1]], name): v for name, v in row.items()}
    links = [{"src": ln["tgt"], "tgt": ln["src"], "score": ln["score"]} for ln in row["links"]]
    return flipped | {"links": sorted(links, key=lambda ln: (ln["src"], ln["tgt"]))}
