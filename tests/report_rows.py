"""Hand-written rows and datasets in six scripts, for tests of the report."""

import re
from pathlib import Path

import pyarrow as pa

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


def write_all_kinds(tmp_path: Path) -> list[str]:
    """Writes one dataset of each kind: pairs, mono, aligned, lexicon and so on."""
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
