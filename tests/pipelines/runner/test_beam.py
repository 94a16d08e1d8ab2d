"""Beam's runner: what it is given, and what its errors say."""

import logging
import os

import pytest

from bitextile.pipelines.runner.beam import execute, quiet_beam, unwrap_worker_error
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.errors import BitextileError, ConfigError, InputError


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        (
            "Traceback\nbitextile.schema.errors.InputError: a.tsv: bad [while running 'Read']\n",
            InputError,
            "a.tsv: bad",
        ),
        ("x\\nConfigError: first\\nInputError: a: last\\n more", InputError, "a: last"),
        (
            "ValueError: odd [while running 'Align/Fit']",
            BitextileError,
            "the pipeline failed in step Align/Fit: RuntimeError: ValueError: odd; --debug shows "
            "the traceback",
        ),
    ],
)
def test_the_sentence_a_worker_raised_is_found_again(text, kind, sentence) -> None:
    error = unwrap_worker_error(RuntimeError(text))
    assert type(error) is kind
    assert str(error) == sentence


def test_a_pipeline_runs_and_an_error_in_a_step_keeps_its_class(tmp_path) -> None:
    import apache_beam as beam

    def fail(row: int) -> int:
        raise InputError(f"row {row}: bad")

    def write(root) -> None:
        (root | beam.Create([3])) | beam.Map(lambda n: (tmp_path / str(n)).touch())

    execute(write, RunOptions(), input_bytes=1)
    assert os.listdir(tmp_path) == ["3"]
    with pytest.raises(InputError, match=r"^row 7: bad$"):
        execute(lambda root: root | beam.Create([7]) | beam.Map(fail), RunOptions(), input_bytes=1)


def test_an_argument_or_runner_that_beam_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="--no_such=1: not an option of Beam"):
        execute(lambda _: None, RunOptions(beam=("--no_such=1",)), input_bytes=1)
    with pytest.raises(ConfigError, match="does not accept what follows --"):
        execute(lambda _: None, RunOptions(beam=("--runner=FlinkRuner",)), input_bytes=1)


def test_notes_of_beam_about_itself_are_not_shown() -> None:
    quiet_beam()
    assert not logging.getLogger("apache_beam").isEnabledFor(logging.ERROR)
