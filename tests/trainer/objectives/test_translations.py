"""No query of a multi-parallel corpus has a translation among its negatives, and no others lack."""

from collections import defaultdict
from itertools import combinations, permutations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.dataset import open_dataset
from bitextile.schema.ids import pair_ids
from bitextile.schema.kinds import PAIRS
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from bitextile.trainer.data.loader import steps
from bitextile.trainer.objectives import moco
from bitextile.trainer.objectives.translations import (
    NO_TRANSLATIONS,
    read_translations,
    sentence_ids,
    translations_of,
)
from bitextile.trainer.train.pretrain import open_pretraining
from bitextile.trainer.train.step import train_step

LETTERS = {"ar": "ابتثجحخد", "de": "äöüßabcd", "en": "abcdefgh", "zh": "一二三四五六七八"}


def text(lang: str, number: int) -> str:
    """A sentence; some are the same in all languages, as names are, some occur again and again."""
    if number % 11 == 0:
        return f"OK {number}"
    if lang == "en" and number % 7 == 0:
        number = 7  # one English sentence with many translations
    return " ".join(LETTERS[lang][int(d)] for d in np.base_repr(number + 64, 8))


def multi_parallel(path, n: int, pairs) -> str:
    shards, keys = [], {}
    for a, b in pairs:
        src, tgt = (pa.array([text(lang, i) for i in range(n)]) for lang in (a, b))
        columns = {"pair_id": pair_ids(a, src, b, tgt), "src_lang": [a] * n, "tgt_lang": [b] * n}
        columns |= {"src": src, "tgt": tgt, "corpus": ["c"] * n, "file": ["f"] * n}
        columns |= {"line": list(range(1, n + 1)), "split": ["train"] * n}
        table = pa.table({c: columns[c] for c in PAIRS.schema.names}, PAIRS.schema)
        first = {i: at for at, i in reversed(list(enumerate(table["pair_id"].to_pylist())))}
        table = table.take(pa.array(sorted(first.values()))).sort_by("pair_id")
        key = f"{a}-{b}"
        shards.append(write_shard(str(path), shard_path(key, 0, 1), table, PAIRS))
        keys[key] = {"rows": len(table), "languages": [a, b]}
    rows = sum(k["rows"] for k in keys.values())
    manifest = Manifest(
        kind="pairs",
        schema_version=1,
        columns={c.name: str(c.type) for c in PAIRS.columns},
        shards=tuple(shards),
        counts=Counts(read=rows, kept=rows),
        keys=keys,
    )
    write_manifest(str(path), manifest)
    return str(path)


CENTRED = [("ar", "en"), ("de", "en"), ("en", "zh")]
EVERY = list(combinations(sorted(LETTERS), 2))


@pytest.mark.parametrize("pairs", [CENTRED, EVERY, EVERY[:1]], ids=["centred", "every", "one"])
def test_translations_of_a_query_are_no_negatives_in_any_language_pair(
    config, tmp_path, monkeypatch, pairs
):
    path = multi_parallel(tmp_path / "pairs", 60, pairs)
    table = open_dataset(path).table().to_pylist()
    by_id = {row["pair_id"]: row for row in table}
    partners = defaultdict(set)
    for row in table:
        for one, other in permutations((row["src"], row["tgt"])):
            partners[one].add(other)
    texts = {int(sentence_ids([t])[0]): t for t in partners}
    entry = {"objective": "moco", "dataset": path, "queue": 100, "projection": 4, "tlm": False}
    state = open_pretraining(config(data=[entry], language_embeddings=True, steps=40))
    seen, contrast = [], moco.contrast
    monkeypatch.setattr(
        moco,
        "contrast",
        lambda q, k, queue, same, **more: seen.append(same) or contrast(q, k, queue, same, **more),
    )
    tags = {i: tag for tag, i in state.collation.languages.items()}
    batches, module, masked = steps(state.streams, state.collation), state.module_of(0), 0
    for _ in range(12):
        (made,) = batch = next(batches)
        queued = [texts[i] for i in module.filled()[1].tolist()]
        train_step(state, iter([batch]))
        languages = made.batch.query.languages.flatten()[made.batch.query.starts].tolist()
        for b, (record, language) in enumerate(zip(made.records, languages)):
            row = by_id[record]
            src_is_query = tags[language] == row["src_lang"]
            query, key = (row["src"], row["tgt"])[:: 1 if src_is_query else -1]
            hidden = {t for t, same in zip(queued, seen[-1][b].tolist()) if same}
            kept = {t for t, same in zip(queued, seen[-1][b].tolist()) if not same}
            assert not kept & ({query} | partners[query])
            # Translations of the translation say the same; all others are negatives.
            assert hidden <= {query, key} | partners[query] | partners[key]
            masked += len(hidden - {query, key})
    batches.close()
    # Of one pair of languages, no sentence here has two translations.
    assert (masked > 20) if len(pairs) > 1 else (masked == 0)


edges = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), max_size=30)


@given(edges)
def test_translations_equal_those_of_sets(pairs):
    src, tgt = (np.asarray([p[i] for p in pairs], np.int64) for i in (0, 1))
    partners = defaultdict(set)
    for a, b in pairs:
        partners[a].add(b)
        partners[b].add(a)
    found = translations_of(src, tgt)
    for a, b in pairs:
        around = found.around(np.asarray([a, b])).tolist()
        assert around[:2] == [a, b]
        assert set(around) == {a, b} | partners[a] | partners[b]


def test_a_pair_of_nothing_has_no_translations(tmp_path, make_dataset):
    pair = np.asarray([3, 4])
    assert NO_TRANSLATIONS.around(pair).tolist() == [3, 4]
    empty = make_dataset(tmp_path / "pairs", "pairs", rows=0)
    assert read_translations(open_dataset(empty)).around(pair).tolist() == [3, 4]


def test_ids_go_by_the_text_alone():
    ids = sentence_ids(["Hi.", "مرحبا", "你好。", "Hi.", "hi.", ""])
    assert ids[0] == ids[3]
    assert len(set(ids.tolist())) == 5
    assert sentence_ids([]).dtype == np.int64
