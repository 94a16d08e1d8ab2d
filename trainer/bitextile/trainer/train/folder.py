"""The folder of a run: who may write into it, where the run goes on, and how it is emptied."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import yaml

from bitextile.schema.errors import ConfigError
from bitextile.schema.inputs import refuse_inputs_in
from bitextile.schema.locks import LOCK, Lock, hold
from bitextile.schema.storage import write_atomically
from bitextile.trainer.config import RunConfig
from bitextile.trainer.run_paths import RUN_CONFIG, check_run_folder, content_of
from bitextile.trainer.settings import paths_of
from bitextile.trainer.train.checkpoint import latest_valid, remove_stale


class RunFolder:
    """A run's folder, as rank 0 has it.

    Attributes:
        path: of the folder; a symbolic link is followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None

    def open(
        self, stack: ExitStack, config: RunConfig, *, overwrite: bool, resume: bool
    ) -> Path | None:
        """Locks the folder; returns the checkpoint to go on from, or None to start.

        Args:
            stack: holds the lock until it is closed.
            config: of the run.
            overwrite: replace an earlier run.
            resume: go on with it.

        Raises:
            ConfigError: both flags, or an input lies in the folder that is to be replaced.
            OutputExistsError: the folder is there and may not be used; or another run uses it.
            TrainingError: all checkpoints are damaged.
        """
        if overwrite and resume:
            raise ConfigError("--overwrite and --resume exclude each other; give one")
        self._lock = stack.enter_context(hold(self.path / LOCK, str(self.path)))
        check_run_folder(self.path, overwrite=overwrite, resume=resume)
        if resume and content_of(self.path):
            return latest_valid(self.path)
        if overwrite:
            refuse_inputs_in(self.path, paths_of(config))
        return None

    def check(self) -> None:
        """Raises BitextileError if another run has taken the folder over."""
        if self._lock is not None:
            self._lock.check()

    def clear(self, config: RunConfig, last: Path | None) -> None:
        """Empties the folder, or removes what a resumed run will write again.

        Args:
            config: of the run, written to RUN_CONFIG.
            last: the checkpoint that the run goes on from.
        """
        if last is not None:
            remove_stale(self.path, last)
        else:
            # What makes a run of it last: cut off here, the folder can be replaced still.
            for path in sorted(content_of(self.path), key=lambda p: p.name == RUN_CONFIG):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        content = yaml.safe_dump(
            config.model_dump(mode="json"), sort_keys=False, allow_unicode=True
        )
        write_atomically(self.path / RUN_CONFIG, content.encode())
