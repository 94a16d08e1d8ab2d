"""Jobs: datasets that are written whole, reused when they are the same, or refused."""

import pyarrow as pa
import pytest

from bitextile.pipelines.runner.job import Output, run_pipeline, software
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.errors import InputError, OutputExistsError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO


def write(
    out: str, *, seed: int = 0, model: tuple[str, str] = ("model", "sha256:1"), **options
) -> list:
    """Runs a job that writes one sentence."""
    config = {"command": "model", "seed": seed, "engine": {"models": [model[0]]}}
    inputs = ({"path": model[0], "digest": model[1]},)
    row = {"lang": "de", "text": "Haus", "corpus": "c", "file": "f", "line": 1, "split": "train"}
    row["text_id"] = text_ids("de", pa.array(["Haus"]))[0].as_py()

    def build(root, places: dict[str, str]) -> None:
        import apache_beam as beam

        from bitextile.transforms.write import WriteDataset

        batch = pa.RecordBatch.from_pylist([row], MONO.schema)
        rows = root | beam.Create([batch])
        rows | WriteDataset(places[out], MONO, config=config, inputs=inputs, software=software())

    return run_pipeline(
        build, [Output(path=out, config=config, inputs=inputs)], RunOptions(**options)
    )


def test_a_job_is_reused_only_if_inputs_and_configuration_are_the_same(tmp_path) -> None:
    out = str(tmp_path / "out")
    [first] = write(out)
    assert first.dataset.manifest.rows == 1
    assert not first.reused
    with pytest.raises(OutputExistsError, match="exists; give another --out"):
        write(out)
    [again] = write(out, reuse=True)
    assert again.reused
    assert again.dataset.manifest.created == first.dataset.manifest.created
    with pytest.raises(OutputExistsError, match="other inputs or with other options"):
        write(out, seed=1, reuse=True)
    [replaced] = write(out, seed=1, reuse=True, overwrite=True)
    assert not replaced.reused
    assert replaced.dataset.manifest.config["seed"] == 1


def test_an_input_that_was_moved_is_the_same_and_one_that_was_changed_is_not(tmp_path) -> None:
    # `command` has the name of the model's folder: a word that is no path must not become one.
    out = str(tmp_path / "out")
    [made] = write(out)
    for path in ("/elsewhere/model", "../model", "model"):
        [again] = write(out, model=(path, "sha256:1"), reuse=True)
        assert again.reused
        with pytest.raises(OutputExistsError, match="other inputs"):
            write(out, model=(path, "sha256:2"), reuse=True)
    assert again.dataset.manifest.created == made.dataset.manifest.created


def test_a_job_that_fails_leaves_nothing(tmp_path) -> None:
    def build(root, places: dict[str, str]) -> None:
        raise InputError("bad")

    output = Output(path=str(tmp_path / "out"), config={}, inputs=())
    with pytest.raises(InputError):
        run_pipeline(build, [output], RunOptions())
    assert list(tmp_path.iterdir()) == []


def test_software_names_what_shapes_bytes() -> None:
    assert {"python", "bitextile", "pyarrow", "numpy"} <= set(software())
