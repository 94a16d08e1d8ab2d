"""The paths of a run, looked at before torch is loaded: inputs are there, its folder is free."""

from pathlib import Path

from bitextile.kernels.readers.archives import archive_member
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import ConfigError, OutputExistsError
from bitextile.schema.locks import LOCK
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists
from bitextile.trainer.config import RunConfig
from bitextile.trainer.settings import named_paths

RUN_CONFIG = "run.yaml"
"""The configuration; a folder with it is a run's, which another run may replace."""


def check_run_paths(config: RunConfig, out: str, *, overwrite: bool, resume: bool) -> None:
    """Checks that what a run reads is there and that it may write to its folder.

    Args:
        config: of the run.
        out: its folder.
        overwrite: replace an earlier run in it.
        resume: go on with the run in it.

    Raises:
        ConfigError: a file or folder is not there; the key that names it is named.
        OutputExistsError: `out` exists and may not be used.
        DatasetError: a dataset is not whole.
    """
    check_run_folder(Path(out), overwrite=overwrite, resume=resume)
    for key, path in named_paths(config):
        if not exists(archive_member(path)[0]):
            raise ConfigError(f"{key}: {path}: no such file or folder; check the path")
        if exists(f"{path}/{FILE_NAME}"):
            open_dataset(path)


def check_run_folder(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Raises ConfigError or OutputExistsError unless a run may write to a folder."""
    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder}: is a file; give another --out")
    # An empty folder is nobody's, such as that of a run which was killed as it began.
    if not folder.exists() or not content_of(folder):
        return
    # Only what a run has written may be deleted for another.
    if (overwrite or resume) and not (folder / RUN_CONFIG).is_file():
        raise OutputExistsError(f"{folder}: exists and is not a bitextile run; give another --out")
    if not overwrite and not resume:
        raise OutputExistsError(
            f"{folder}: exists already; give --resume to go on, --overwrite to replace it, "
            "or another --out"
        )


def content_of(folder: Path) -> list[Path]:
    """Returns what is in a run's folder beside its lock."""
    return [path for path in folder.iterdir() if not path.name.startswith(LOCK)]
