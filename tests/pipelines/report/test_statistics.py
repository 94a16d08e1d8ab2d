"""Statistics against a slow version, and quantiles against sorting."""

import math
from statistics import median_low

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.pipelines.report.statistics import key_statistics
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED
from report_rows import aligned_rows, write_dataset


def test_key_statistics_are_those_of_the_slow_version(tmp_path):
    rows = aligned_rows()
    dataset = open_dataset(write_dataset(tmp_path / "aligned", ALIGNED, rows))
    statistics = {f.key: f for f in key_statistics(dataset)}
    assert {key: f.rows for key, f in statistics.items()} == {
        "ar-zh": 1,
        "de-fr": 2,
        "de-zh": 1,
        "ja-th": 1,
    }
    german = [len(rows[0]["src_spans"]), len(rows[1]["tgt_spans"])]
    lengths = {length.lang: length for length in statistics["de-fr"].lengths}
    assert (lengths["de"].median, lengths["de"].longest) == (median_low(german), max(german))
    assert lengths["de"].unit == "words"
    links = statistics["de-fr"].links
    assert links.links == 8
    assert links.linked["de"] == pytest.approx(8 / 9)
    assert links.per_word == pytest.approx(8 / 9)
    scores = [link["score"] for row in rows[:2] for link in row["links"]]
    assert links.mean_score == pytest.approx(sum(scores) / len(scores))
    many_to_one = statistics["ar-zh"].links.linked
    assert many_to_one == {"ar": 1.0, "zh": 1.0}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_length_quantiles_equal_sorting(lengths):
    from bitextile.pipelines.report.statistics import _Histogram

    tally = _Histogram()
    for n in range(0, len(lengths), 7):
        tally.add(pa.array(lengths[n : n + 7]).to_numpy())
    bars = tally.bars()
    assert len(bars) <= 24
    assert max(bars) == 1.0
    for share in (0.5, 0.9, 1.0):
        assert tally.quantile(share) == sorted(lengths)[math.ceil(share * len(lengths)) - 1]
