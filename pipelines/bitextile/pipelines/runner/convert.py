"""One dataset made from another, or from files: read, make, write."""

from collections.abc import Callable
from typing import Any

from bitextile.pipelines.runner.inputs import dataset_bytes, dataset_input
from bitextile.pipelines.runner.job import DatasetResult, Output, run_pipeline, software
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import Dataset
from bitextile.schema.kinds import Kind

Make = Callable[[Any, str], Any]


def convert_dataset(
    source: Dataset,
    out: str,
    make: Make,
    *,
    kind: Kind,
    config: dict[str, Any],
    options: RunOptions,
    work: float = 1.0,
    split: str = "all",
    more_inputs: tuple[dict[str, str], ...] = (),
) -> DatasetResult:
    """Runs one dataset through a chain of transforms into another.

    Args:
        source: to read.
        out: folder for the new dataset.
        make: from the rows read (TrackedRows) and the folder written to, to the rows to write.
        kind: of the new rows.
        config: the command and its options, for the manifest.
        options: how to run.
        work: how long a row takes, relative to copying it a few times; a command that computes much
            is worth several processes sooner.
        split: the only one to read; "all" for all rows.
        more_inputs: path and digest of what else shapes the rows, such as a model.
    """
    # The manifest names the inputs' digests, by which --reuse knows whether they are the same.
    output = Output(path=out, config=config, inputs=(dataset_input(source), *more_inputs))

    def build(root: Any, places: dict[str, str]) -> None:
        from bitextile.transforms.read import ReadDataset
        from bitextile.transforms.write import WriteDataset

        rows = root | "Read" >> ReadDataset(source, split=None if split == "all" else split)
        # To the staging place: `out` appears when the pipeline is done.
        make(rows, places[out]) | "Write" >> WriteDataset(
            places[out], kind, config=config, inputs=output.inputs, software=software()
        )

    input_bytes = int(work * dataset_bytes(source.manifest))
    return run_pipeline(build, [output], options, input_bytes=input_bytes)[0]


def convert_files(
    inputs: tuple[dict[str, str], ...],
    out: str,
    make: Callable[[Any], Any],
    *,
    kind: Kind,
    config: dict[str, Any],
    options: RunOptions,
) -> DatasetResult:
    """Runs a chain of transforms that begins with files.

    Args:
        inputs: path, digest and size of each file, as `file_inputs` gives them; of what else
            shapes the rows, such as a model, path and digest.
        out: folder for the new dataset.
        make: from the pipeline's root to the rows to write, a TrackedRows.
        kind: of the new rows.
        config: the command and its options, for the manifest.
        options: how to run.
    """
    output = Output(path=out, config=config, inputs=inputs)

    def build(root: Any, places: dict[str, str]) -> None:
        from bitextile.transforms.write import WriteDataset

        make(root) | "Write" >> WriteDataset(
            places[out], kind, config=config, inputs=inputs, software=software()
        )

    # Inputs that are datasets or models name no bytes and decide nothing.
    input_bytes = sum(int(entry.get("bytes", 0)) for entry in inputs)
    return run_pipeline(build, [output], options, input_bytes=input_bytes)[0]
