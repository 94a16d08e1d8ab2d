"""Running a pipeline so that its outputs appear whole or not at all."""

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from bitextile.kernels.readers.archives import archive_member
from bitextile.pipelines.runner.atomic import check_free, staged
from bitextile.pipelines.runner.beam import execute
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.runner.progress import shown
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import BitextileError, OutputExistsError
from bitextile.schema.manifest import read_manifest
from bitextile.schema.shards import check_other_files
from bitextile.schema.storage import exists

_SOFTWARE = ("bitextile", "apache-beam", "pyarrow", "numpy", "numba", "regex")


@dataclass(frozen=True)
class DatasetResult:
    """A dataset that a command has written or found.

    Attributes:
        dataset: opened.
        seconds: wall time; 0 for a reused one.
        reused: whether it was there already.
        warnings: what to look at, a sentence each.
    """

    dataset: Dataset
    seconds: float
    reused: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Output:
    """One dataset that a pipeline is to write.

    Attributes:
        path: where it will stand.
        config: the command and its options, as they will stand in its manifest.
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
    reads: Sequence[str] | None = None,
) -> list[DatasetResult]:
    """Runs a pipeline that writes `outputs`, staged beside their places and moved there at the end.

    Args:
        build: adds the pipeline's steps to a root, given for each output's path where to write it.
        outputs: what the pipeline writes.
        options: how to run.
        input_bytes: about how much is read; decides on the number of local workers.
        reads: files and folders that are read; what holds one is not replaced. None for those that
            `outputs` name as inputs.

    Returns:
        The finished datasets, in the order of `outputs`.

    Raises:
        OutputExistsError: an output exists, and options neither overwrite nor reuse it.
        BitextileError: the pipeline failed; nothing is left behind.
    """
    started = time.monotonic()
    # Before anything else, so that a finished step costs no start of Beam.
    if reused := _reusable(outputs, options):
        return reused
    if reads is None:
        reads = [entry["path"] for output in outputs for entry in output.inputs]
    inputs = [archive_member(path)[0] for path in reads]
    paths = [output.path for output in outputs]
    command = str(outputs[0].config.get("command", "")) or os.path.basename(paths[0])
    with (
        staged(paths, overwrite=options.overwrite, inputs=inputs) as places,
        shown(command, paths) as stages,
    ):
        execute(lambda root: build(root, places), options, input_bytes=input_bytes, stages=stages)
    seconds = time.monotonic() - started
    return [DatasetResult(open_dataset(output.path), seconds) for output in outputs]


def check_outputs(paths: Sequence[str], options: RunOptions) -> None:
    """Raises OutputExistsError for an output that is in the way, before costly preparations."""
    if not options.reuse:
        for path in paths:
            check_free(path, overwrite=options.overwrite)


def _reusable(outputs: Sequence[Output], options: RunOptions) -> list[DatasetResult]:
    # All or none: one pipeline writes them together.
    if not options.reuse or not all(exists(output.path) for output in outputs):
        return []
    try:
        return [DatasetResult(_same(output), 0.0, reused=True) for output in outputs]
    except BitextileError:
        # With --reuse and --overwrite both: keep what is the same, replace what is not.
        if options.overwrite:
            return []
        raise


def _same(output: Output) -> Dataset:
    manifest = read_manifest(output.path)
    # Digests alone: the same data in another folder is the same input.
    inputs = [entry["digest"] for entry in output.inputs]
    found = [entry["digest"] for entry in manifest.inputs]
    # As JSON, as the manifest has it: there tuples are lists and keys are strings.
    config = json.loads(json.dumps(output.config))
    # Options may name an input too, as `model` does.
    digests = _digests(output.inputs), _digests(manifest.inputs)
    if found != inputs or not _same_config(config, manifest.config, *digests):
        raise OutputExistsError(
            f"{output.path} was made from other inputs or with other options, so --reuse cannot "
            "keep it; give --overwrite to replace it, or another --out"
        )
    dataset = open_dataset(output.path)
    check_other_files(output.path, manifest, content=False)
    return dataset


def _digests(inputs: Sequence[dict[str, str]]) -> dict[str, str]:
    return {entry["path"]: entry["digest"] for entry in inputs}


def _same_config(one: Any, other: Any, ones: dict[str, str], others: dict[str, str]) -> bool:
    """Returns whether two values of options are the same, but for where an input lies."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            _same_config(one[name], other[name], ones, others) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(
            _same_config(a, b, ones, others) for a, b in zip(one, other)
        )
    if one == other:
        return True
    both = isinstance(one, str) and isinstance(other, str)
    return both and one in ones and ones[one] == others.get(other)


def software() -> dict[str, str]:
    """Returns the versions of what shapes a dataset's bytes."""
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
