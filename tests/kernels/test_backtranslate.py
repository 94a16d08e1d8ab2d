"""Target languages drawn by weight, keyed by id, never a sentence's own; rows of generators."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.backtranslate import (
    GENERATED,
    REQUESTS,
    draw_targets,
    generated_rows,
    parse_weights,
)
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO

WEIGHTS = {"ar": 1.0, "de": 3.0, "zh": 2.0}


def mono(n: int, lang: str) -> pa.RecordBatch:
    texts = pa.array([f"Satz {i} {lang}" for i in range(n)])
    fixed = {name: [name] * n for name in ("corpus", "file", "split")}
    columns = {"text_id": text_ids(lang, texts), "lang": [lang] * n, "text": texts, **fixed}
    return pa.RecordBatch.from_pydict(columns | {"line": list(range(n))}, schema=MONO.schema)


def drawn(batch: pa.RecordBatch, seed: int = 0) -> list[str]:
    return draw_targets(batch, weights=WEIGHTS, seed=seed)["tgt_lang"].to_pylist()


def test_shares_follow_the_weights_of_the_other_languages() -> None:
    counts = Counter(drawn(mono(6000, "en")))
    # Three standard deviations of a share of a half over 6,000 draws are 0.019.
    for lang, weight in WEIGHTS.items():
        assert counts[lang] / 6000 == pytest.approx(weight / 6, abs=0.02)
    counts = Counter(drawn(mono(6000, "de")))
    assert set(counts) == {"ar", "zh"}
    assert counts["zh"] / 6000 == pytest.approx(2 / 3, abs=0.02)


def test_a_draw_depends_on_id_and_seed_alone() -> None:
    batch = pa.concat_batches([mono(50, "en"), mono(50, "de")])
    whole = drawn(batch)
    assert [tag for i in range(0, 100, 7) for tag in drawn(batch.slice(i, 7))] == whole
    order = np.random.default_rng(1).permutation(100)
    assert drawn(batch.take(pa.array(order))) == [whole[i] for i in order]
    assert drawn(batch, seed=1) != whole
    assert draw_targets(batch, weights=WEIGHTS, seed=0).schema == REQUESTS


def test_a_language_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="sentences are in de, and no other"):
        draw_targets(mono(2, "de"), weights={"de": 1.0}, seed=0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("de:0", "expected LANG or LANG:WEIGHT"),
        ("de:x", "expected LANG or LANG:WEIGHT"),
        ("de:inf", "expected LANG or LANG:WEIGHT"),
        ("de,fr,de:2", "de is named twice"),
        ("", "not a BCP-47 tag"),
    ],
)
def test_weights_that_are_none_are_refused(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_weights(spec)


def test_generated_rows_keep_what_was_asked_and_round_scores() -> None:
    requests = draw_targets(mono(2, "en"), weights={"ar": 1.0}, seed=0)
    made = generated_rows(
        requests,
        texts=[" كلب  أحمر\n", ""],
        tokens=[["كلب", "أحمر"], []],
        scores=[-1.23449, 0.0],
        generator="test sha256:0",
    )
    assert made.schema == GENERATED
    for name, source in (("text_id", "text_id"), ("src_lang", "lang"), ("src", "text")):
        assert made[name].equals(requests[source])
    assert made["tgt"].to_pylist() == ["كلب أحمر", ""]
    assert made["score"].to_pylist() == [pytest.approx(-1.234, abs=1e-6), 0.0]
    assert made["line"].to_pylist() == [0, 1]
    assert set(made["tgt_lang"].to_pylist()) == {"ar"}


def test_an_empty_batch_is_generated_from_nothing() -> None:
    requests = draw_targets(mono(0, "en"), weights={"ar": 1.0}, seed=0)
    made = generated_rows(requests, texts=[], tokens=[], scores=[], generator="g")
    assert (made.num_rows, made.schema) == (0, GENERATED)
