"""Running a Beam pipeline: the runner and its workers, what they log, what their errors say."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any

from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.runner.progress import Stages
from bitextile.schema import errors
from bitextile.schema.confinement import root_folder
from bitextile.schema.errors import BitextileError, ConfigError

# Below this much input a second process costs more than it gains: 200,787 rows of ingest took 5.2 s
# in one process and 7.4 s in two. Where the gain begins has not been measured; this is a guess.
_SMALL_BYTES = 256 << 20


def execute(
    build: Callable[[Any], None],
    options: RunOptions,
    *,
    input_bytes: int,
    stages: Stages | None = None,
) -> None:
    """Builds a pipeline and runs it to its end.

    Args:
        build: adds the pipeline's steps to its root.
        options: how to run.
        input_bytes: about how much is read; decides on the number of local workers.
        stages: is told which stage the local runner is in.

    Raises:
        ConfigError: Beam's options are wrong.
        BitextileError: the pipeline failed.
    """
    # Before the import, during which Beam logs already.
    quiet_beam()
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    arguments = list(options.beam)
    beam_options = PipelineOptions(arguments)
    runner: Any = beam_options.view_as(StandardOptions).runner
    local = runner in (None, "DirectRunner")
    if not local and root_folder():
        raise ConfigError(
            f"--runner={runner}: --root confines what runs on this machine alone; leave one out"
        )
    if local:
        # Beam passes over options it does not know; a misspelt one would do nothing without a word.
        # Other runners have options of their own, known only to them.
        _check_arguments(beam_options, arguments)
        from bitextile.pipelines.runner.local_runner import LocalRunner

        # Named outright: the switching DirectRunner would try to download a Prism binary first.
        runner = LocalRunner(stages or Stages())
        arguments = [*_local_workers(options, input_bytes), *arguments]
        beam_options = PipelineOptions(["--default_sdk_harness_log_level=CRITICAL", *arguments])
    try:
        pipeline = Pipeline(runner=runner, options=beam_options)
    except ValueError as error:  # a runner that is not, or one that lacks an option
        raise ConfigError(
            f"Beam does not accept what follows --: {' '.join(str(error).split())}"
        ) from error
    with suppress(OSError):
        # For files of external transforms, of which there are none here. Beam removes it when the
        # pipeline ends, but not if it is never run or the process is killed.
        os.rmdir(pipeline.local_tempdir)
    build(pipeline)
    try:
        with _quiet_workers(), _closed_ports() if local else nullcontext():
            pipeline.run().wait_until_finish()
    except BitextileError as error:
        raise type(error)(_without_step(str(error))) from error
    except Exception as error:
        if "KeyboardInterrupt" in str(error):  # Ctrl-C reached a step; Beam wraps it as a failure
            raise KeyboardInterrupt from error
        raise unwrap_worker_error(error) from error


def _closed_ports() -> AbstractContextManager[None]:
    # Not at the top: it imports Beam.
    from bitextile.pipelines.runner.local_workers import closed_ports

    return closed_ports()


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
    # What is written does not depend on the number; time and memory do.
    workers = options.workers or (1 if input_bytes < _SMALL_BYTES else cores)
    if workers == 1:
        return ["--direct_num_workers=1", "--direct_running_mode=in_memory"]
    # Processes, since kernels in pure Python hold the GIL.
    return [f"--direct_num_workers={workers}", "--direct_running_mode=multi_processing"]


def quiet_beam() -> None:
    """Keeps Beam's notes about itself off the terminal; bitextile's warnings and errors stay."""
    for name in ("apache_beam", "root", "apitools"):
        logging.getLogger(None if name == "root" else name).setLevel(logging.CRITICAL)
    ours = logging.getLogger("bitextile")
    # Else it would have the root's level from now on.
    ours.setLevel(ours.level or logging.WARNING)


@contextmanager
def _quiet_workers() -> Iterator[None]:
    """Keeps what worker processes log off the terminal, unless --debug asked for it.

    They write to the file descriptor they inherit, before any option reaches them.
    """
    if logging.getLogger("bitextile").isEnabledFor(logging.DEBUG):
        yield
        return
    # Else what Python has buffered for the terminal would go to /dev/null with what follows.
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        # Also after a failure, which is still to be reported on this descriptor.
        os.dup2(kept, 2)
        os.close(kept)


_ERROR_CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, BitextileError)
}
# Beam passes on the traceback of a worker as text, with real or with escaped line breaks.
_RAISED = re.compile(rf"(?:[\w.]+\.)?({'|'.join(_ERROR_CLASSES)}): (.*?)(?:\n|\\n|$)")
_STEP = re.compile(r"\s*\[while running '([^']*)'\]")


def unwrap_worker_error(error: BaseException) -> BitextileError:
    """Returns the sentence that a worker raised, found again in what the runner made of it.

    Args:
        error: what the runner raised; its text holds the worker's traceback.
    """
    text = str(error)
    raised = _RAISED.findall(text)
    # The last one: an error that was raised from another follows it in a traceback.
    if raised:
        name, sentence = raised[-1]
        return _ERROR_CLASSES[name](_without_step(sentence))
    # No error of bitextile: the last line of a traceback says what was raised.
    lines = [line.strip() for line in text.replace("\\n", "\n").splitlines() if line.strip()]
    last = _without_step(lines[-1]) if lines else type(error).__name__
    step = _STEP.search(text)
    where = f" in step {step.group(1)}" if step else ""
    return BitextileError(
        f"the pipeline failed{where}: {type(error).__name__}: {last}; --debug shows the traceback"
    )


def _without_step(text: str) -> str:
    return _STEP.sub("", text).strip()
