"""AlignWords with an aligner of one's own: fitted per language pair, loaded, applied to all."""

import json
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that, equal_to

from bitextile.kernels.align.alignment import MAX_WORDS, WordLinks, to_alignment
from bitextile.kernels.align.config import AlignerConfig, FitSample
from bitextile.schema.kinds import ALIGNED
from bitextile.transforms import align
from bitextile.transforms.align import AlignWords, load_aligner, save_aligner
from pair_rows import pairs_batch


class CountingAligner:
    """Links the first words; the score is 1 over the pairs it was fitted on."""

    pairs_per_call = None

    def __init__(self, n_pairs: int) -> None:
        self.n_pairs = n_pairs

    @classmethod
    def fit(cls, src, tgt, *, config, runtime, lexicon=None):
        return cls(len(src) + (0 if lexicon is None else lexicon.num_rows))

    @classmethod
    def load(cls, folder, *, config, runtime):
        return cls(json.loads(Path(folder, "n.json").read_text()))

    def save(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "n.json").write_text(json.dumps(self.n_pairs))
        return f"digest {self.n_pairs}"

    def align(self, src, tgt):
        rows = np.arange(len(src))
        score = np.full(len(src), 1 / self.n_pairs)
        return to_alignment(WordLinks(rows, 0 * rows, 0 * rows, score), len(src))


@dataclass(frozen=True, kw_only=True)
class CountingConfig(AlignerConfig):
    aligner: str = "counting"
    segmenter: str = "auto"
    pairs: int = 100

    @property
    def fit_sample(self) -> FitSample:
        return FitSample(self.pairs, 0)

    def aligner_class(self):
        return CountingAligner


def batch_of(*langs: tuple[str, str]) -> pa.RecordBatch:
    """A row for each pair of languages, each with its own words."""
    rows = [pairs_batch(*pair, [(f"a {k}", f"b {k}")]) for k, pair in enumerate(langs)]
    return pa.Table.from_batches(rows).combine_chunks().to_batches()[0]


def test_each_language_pair_has_a_model_of_its_own_rows_in_either_direction(
    pipeline, tmp_path
) -> None:
    batches = [
        batch_of(("de", "en"), ("en", "fr"), ("en", "de")),
        batch_of(("fr", "en"), ("de", "en"), ("de", "en")),
    ]

    def check(made: list[pa.RecordBatch]) -> None:
        assert all(batch.schema == ALIGNED.schema for batch in made)
        rows = [row for batch in made for row in batch.to_pylist()]
        assert len(rows) == 6
        for row in rows:
            n = 2 if "fr" in (row["src_lang"], row["tgt_lang"]) else 4 + 1
            assert row["links"][0]["score"] == pytest.approx(1 / n)

    lexicons = {"de-en": pa.table({"src": ["a"], "tgt": ["b"]})}
    with pipeline() as root:
        made = (
            root
            | beam.Create(batches).with_output_types(pa.RecordBatch)
            | AlignWords(str(tmp_path / "m"), {"de-en": 4, "en-fr": 2}, CountingConfig(), lexicons)
        )
        assert_that(made.kept, check)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["de-en", "en-fr"]


def test_an_aligner_is_loaded_once_for_a_digest(tmp_path) -> None:
    config, place = CountingConfig(), str(tmp_path / "m")
    digest = save_aligner(CountingAligner(3), place)
    loaded = load_aligner(place, digest, config)
    assert loaded.n_pairs == 3
    assert load_aligner(place, digest, config) is loaded
    other = save_aligner(CountingAligner(4), place)
    assert load_aligner(place, other, config).n_pairs == 4


@pytest.mark.parametrize("local", [True, False])
def test_an_aligner_goes_to_a_uri_and_back(tmp_path, monkeypatch, local) -> None:
    # Of an object store the folder is copied; here only what tells the two apart is replaced.
    monkeypatch.setattr(align, "is_local", lambda place: local)
    (tmp_path / "m").mkdir()
    place = f"file://{tmp_path}/m"
    digest = save_aligner(CountingAligner(5), place)
    assert load_aligner(place, digest, CountingConfig()).n_pairs == 5
    assert (tmp_path / "m" / "n.json").is_file()


def test_a_pair_of_more_words_than_links_number_is_a_reject(pipeline, tmp_path) -> None:
    sides = [
        ("a", "b"),
        ("- = " * 16_384, "b"),
        ("a", "水 " * (MAX_WORDS + 1)),
        ("x " * MAX_WORDS, "y"),
    ]
    batch = pairs_batch("en", "zh", [(src.strip(), tgt.strip()) for src, tgt in sides])

    def check_kept(made: list[pa.RecordBatch]) -> None:
        assert [n for aligned in made for n in aligned["line"].to_pylist()] == [1, 4]

    def check_rejects(made: list[pa.RecordBatch]) -> None:
        rows = [row for batch in made for row in batch.to_pylist()]
        assert [(r["rule"], r["line"], r["value"]) for r in rows] == [
            ("too_many_words/1", 2, 32_768),
            ("too_many_words/1", 3, 32_768),
        ]
        assert all("32,767 words of a side" in row["detail"] for row in rows)

    with pipeline() as root:
        pairs = root | beam.Create([batch]).with_output_types(pa.RecordBatch)
        made = pairs | AlignWords(str(tmp_path / "m"), {"en-zh": 4}, CountingConfig())
        assert_that(made.kept, check_kept, "kept")
        assert_that(made.rejects[-1], check_rejects, "rejects")
        assert_that(made.read, equal_to([4]), "read")
