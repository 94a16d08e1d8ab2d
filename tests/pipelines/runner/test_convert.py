"""Conversions: what is read, where it is written meanwhile, and what the manifest says of it."""

from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.kernels.arrays import replace_columns
from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.pipelines.runner.convert import convert_dataset, convert_files
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.kinds import MONO
from corpus_rows import mono_rows

TEXTS = {"Haus": "train", "Maus": "train", "Laus": "test"}
FILE = {"path": "a.txt", "digest": "sha256:1", "bytes": "12"}


def written(out: str) -> DatasetResult:
    """A dataset of TEXTS, made as from a file."""
    rows = replace_columns(mono_rows(TEXTS), {"split": pa.array(list(TEXTS.values()))})

    def make(root):
        import apache_beam as beam

        return root | beam.Create([rows])

    return convert_files(
        (FILE,), out, make, kind=MONO, config={"command": "test"}, options=RunOptions()
    )


def without_haus(batch: pa.RecordBatch) -> Filtered:
    keep = pa.compute.not_equal(batch["text"], "Haus").to_numpy(zero_copy_only=False)
    return split_rejects(batch, keep, rule="haus/1", value=0.0)


@pytest.mark.parametrize(
    ("split", "kept", "rejected"),
    [("all", ["Laus", "Maus"], 1), ("train", ["Maus"], 1), ("test", ["Laus"], 0)],
)
def test_a_dataset_is_made_of_a_split_of_another(tmp_path, split, kept, rejected) -> None:
    source = written(str(tmp_path / "mono")).dataset
    out, places = str(tmp_path / "new"), []

    def make(rows, place: str):
        from bitextile.transforms.batches import FilterBatches

        places.append(place)
        return rows | FilterBatches(without_haus, "DropHaus")

    model = {"path": "m", "digest": "sha256:2"}
    made = convert_dataset(
        source,
        out,
        make,
        kind=MONO,
        config={"command": "new"},
        options=RunOptions(),
        split=split,
        more_inputs=(model,),
    ).dataset
    assert sorted(made.table()["text"].to_pylist()) == kept
    assert made.manifest.counts.read == len(kept) + rejected
    assert made.manifest.counts.rejected == ({"haus/1": 1} if rejected else {})
    assert [entry["digest"] for entry in made.manifest.inputs] == [
        source.manifest.digest,
        "sha256:2",
    ]
    assert places != [out]
    assert not Path(places[0]).exists()


def test_a_dataset_of_files_names_them(tmp_path) -> None:
    manifest = written(str(tmp_path / "mono")).dataset.manifest
    assert manifest.inputs == (FILE,)
    assert manifest.config == {"command": "test"}
    assert manifest.counts.read == len(TEXTS)
