"""How a command runs, as opposed to what it does."""

from dataclasses import dataclass

from bitextile.schema.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a command runs; no field changes a byte of the output."""

    overwrite: bool = False
    """Replace an output that exists, but no input and no folder that holds one."""
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
