"""The error classes, one tree: each carries the exit code its command ends with."""


class BitextileError(Exception):
    """Anything bitextile refuses or cannot do; the message says got, expected and what to do."""

    exit_code = 1


class ConfigError(BitextileError):
    """The call, a recipe or a configuration is wrong; nothing was read or written."""

    exit_code = 2


class InterruptedRunError(BitextileError):
    """A signal ended a run before it was done; what it has finished stays.

    The exit code is 128 and the signal's number, as in shells: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, message: str, signal: int = 2) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal


class OutputExistsError(ConfigError):
    """The output is already there and neither `--overwrite` nor `--reuse` was given."""


class OutputInUseError(OutputExistsError):
    """Another run is writing the output at this moment."""


class OutsideRootError(ConfigError, PermissionError):
    """A file lies outside the folder of `--root`; libraries take it for one they may not open."""


class InputError(BitextileError):
    """An input file is missing, damaged, or not what the recipe says it is."""


class DatasetError(BitextileError):
    """A dataset is incomplete or changed: no manifest, a missing shard, another checksum."""


class SchemaError(DatasetError):
    """A dataset is whole but not the one asked for: wrong kind, newer schema, wrong column."""


class RowError(DatasetError):
    """A row breaks its contract: a null, a span or a link out of bounds."""


class ConservationError(BitextileError):
    """Rows kept and rejected do not add up to the rows read: a defect in a pipeline."""
