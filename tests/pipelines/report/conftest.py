"""One dataset of each kind, for all tests of the report."""

import pyarrow as pa
import pytest

from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import ALIGNED, CANDIDATES, CODESWITCH, EXCHANGE, LEXICON, MONO, PAIRS
from report_rows import (
    EVIL,
    aligned_rows,
    exchange_row,
    lexicon_row,
    reject_row,
    switch_row,
    write_dataset,
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
