"""Running a pipeline so that its outputs appear whole or not at all."""

import json
import logging
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from bitextile.pipelines.runner.atomic import staged
from bitextile.schema import errors
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import BitextileError, ConfigError, OutputExistsError
from bitextile.schema.manifest import Manifest, read_manifest
from bitextile.schema.storage import exists

# Below this much input a second process costs more than it gains: 200,787 rows of ingest took 5.2 s
# in one process and 7.4 s in two. Where the gain begins has not been measured; this is a guess.
_SMALL_BYTES = 256 << 20
_SOFTWARE = ("bitextile", "apache-beam", "pyarrow", "numpy", "numba", "regex")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a command runs, as opposed to what it does: no field changes a byte of the output."""

    overwrite: bool = False
    """Replace an output that exists."""
    reuse: bool = False
    """Keep an output that was made from the same inputs with the same configuration."""
    workers: int = 0
    """Processes of the local runner. 0 takes one for small inputs, else all cores."""
    beam: tuple[str, ...] = ()
    """An argument for Beam. All that follow -- on the command line come here."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        if self.workers < 0:
            raise ConfigError(f"workers is {self.workers}, expected 1 or more, or 0 to choose")


@dataclass(frozen=True)
class DatasetResult:
    """A dataset that a verb has written or found.

    Attributes:
        dataset: opened.
        seconds: wall time; 0 for a reused one.
        reused: whether it was there already.
    """

    dataset: Dataset
    seconds: float
    reused: bool = False


@dataclass(frozen=True, kw_only=True)
class Output:
    """One dataset that a pipeline is to write.

    Attributes:
        path: where it will stand.
        config: the verb and its options, as they will stand in its manifest.
        inputs: path and digest of each input, likewise.
    """

    path: str
    config: dict[str, Any]
    inputs: tuple[dict[str, str], ...]


def run_pipeline(
    build: Callable[[Any, dict[str, str]], None],
    outputs: Sequence[Output],
    options: RunOptions,
    *,
    input_bytes: int = 0,
) -> list[DatasetResult]:
    """Runs a pipeline that writes `outputs`, staged beside their places and moved there at the end.

    Args:
        build: adds the pipeline's steps to a root, given for each output's path where to write it.
        outputs: what the pipeline writes.
        options: how to run.
        input_bytes: about how much is read; decides on the number of local workers.

    Returns:
        The finished datasets, in the order of `outputs`.

    Raises:
        OutputExistsError: an output is there, and options neither overwrite nor reuse it.
        BitextileError: the pipeline failed; nothing is left behind.
    """
    started = time.monotonic()
    if reused := _reusable(outputs, options):
        return reused
    with staged([output.path for output in outputs], overwrite=options.overwrite) as places:
        _execute(lambda root: build(root, places), options, input_bytes)
    seconds = time.monotonic() - started
    return [DatasetResult(open_dataset(output.path), seconds) for output in outputs]


def _reusable(outputs: Sequence[Output], options: RunOptions) -> list[DatasetResult]:
    if not options.reuse or not all(exists(output.path) for output in outputs):
        return []
    try:
        return [DatasetResult(_same(output), 0.0, reused=True) for output in outputs]
    except BitextileError:
        if options.overwrite:
            return []
        raise


def _same(output: Output) -> Dataset:
    manifest = read_manifest(output.path)
    inputs = [entry["digest"] for entry in output.inputs]
    found = [entry["digest"] for entry in manifest.inputs]
    if manifest.config != json.loads(json.dumps(output.config)) or found != inputs:
        raise OutputExistsError(
            f"{output.path} was made from other inputs or with other options, so --reuse cannot "
            "keep it; give --overwrite to replace it, or another --out"
        )
    return open_dataset(output.path)


def _execute(build: Callable[[Any], None], options: RunOptions, input_bytes: int) -> None:
    quiet_beam()
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    arguments = list(options.beam)
    beam_options = PipelineOptions(arguments)
    runner: Any = beam_options.view_as(StandardOptions).runner
    if runner in (None, "DirectRunner"):
        _check_arguments(beam_options, arguments)
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        # Named outright: the switching DirectRunner would try to download a Prism binary first.
        runner = FnApiRunner()
        arguments = [*_local_workers(options, input_bytes), *arguments]
        beam_options = PipelineOptions(["--default_sdk_harness_log_level=CRITICAL", *arguments])
    try:
        pipeline = Pipeline(runner=runner, options=beam_options)
    except ValueError as error:  # a runner that is not, or one that lacks an option
        raise ConfigError(
            f"Beam refuses what follows --: {' '.join(str(error).split())}"
        ) from error
    build(pipeline)
    try:
        with _quiet_workers():
            pipeline.run().wait_until_finish()
    except BitextileError as error:
        raise type(error)(_without_step(str(error))) from error
    except Exception as error:
        if "KeyboardInterrupt" in str(error):  # Ctrl-C reached a step; Beam wraps it as a failure
            raise KeyboardInterrupt from error
        raise unwrap_worker_error(error) from error


def _check_arguments(beam_options: Any, arguments: list[str]) -> None:
    known = beam_options.get_all_options()
    for argument in arguments:
        name = argument.removeprefix("--").split("=")[0]
        if (
            argument.startswith("--")
            and name not in known
            and name.removeprefix("no_") not in known
        ):
            raise ConfigError(
                f"{argument}: not an option of Beam; what follows -- goes to Beam, "
                "bitextile's own options stand before it"
            )


def _local_workers(options: RunOptions, input_bytes: int) -> list[str]:
    cores = os.cpu_count() or 1
    workers = options.workers or (1 if input_bytes < _SMALL_BYTES else cores)
    if workers == 1:
        return ["--direct_num_workers=1", "--direct_running_mode=in_memory"]
    return [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]


def quiet_beam() -> None:
    """Keeps Beam's notes about itself off the terminal; warnings of ours and errors stay."""
    for name in ("apache_beam", "root", "apitools"):
        logging.getLogger(None if name == "root" else name).setLevel(logging.CRITICAL)


@contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keeps what worker processes log off the terminal, unless --debug asked for it.

    They write to the file descriptor they inherit, before any option reaches them.
    """
    if logging.getLogger("bitextile").isEnabledFor(logging.DEBUG):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


_ERROR_CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, BitextileError)
}
_RAISED = re.compile(rf"(?:[\w.]+\.)?({'|'.join(_ERROR_CLASSES)}): (.*?)(?:\n|\\n|$)")
_STEP = re.compile(r"\s*\[while running '([^']*)'\]")


def unwrap_worker_error(error: BaseException) -> BitextileError:
    """Returns the sentence that a worker raised, found again in what the runner made of it.

    Args:
        error: what the runner raised; its text holds the worker's traceback.
    """
    text = str(error)
    raised = _RAISED.findall(text)
    if raised:
        name, sentence = raised[-1]
        return _ERROR_CLASSES[name](_without_step(sentence))
    lines = [line.strip() for line in text.replace("\\n", "\n").splitlines() if line.strip()]
    last = _without_step(lines[-1]) if lines else type(error).__name__
    step = _STEP.search(text)
    where = f" in step {step.group(1)}" if step else ""
    return BitextileError(
        f"the pipeline failed{where}: {type(error).__name__}: {last}; --debug shows the traceback"
    )


def _without_step(text: str) -> str:
    return _STEP.sub("", text).strip()


def software() -> dict[str, str]:
    """Returns the versions of what shapes a dataset's bytes."""
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def dataset_input(dataset: Dataset) -> dict[str, str]:
    """Returns a dataset as a manifest's `inputs` names it."""
    return {"path": dataset.path, "digest": dataset.manifest.digest}


def dataset_bytes(*manifests: Manifest) -> int:
    """Returns how much the shards take in memory, about: three times their compressed size."""
    return 3 * sum(shard.bytes for manifest in manifests for shard in manifest.shards)
