"""The option `sides`: which sentences of a pair an operation takes, one by one."""

from typing import Literal

from bitextile.schema.errors import ConfigError
from bitextile.schema.kinds import SIDES

Sides = Literal["src", "tgt", "both"]


def check_sides(sides: str) -> None:
    """Raises ConfigError unless `sides` names one side or both."""
    if sides not in SIDES:
        raise ConfigError(f"sides is {sides!r}, expected src, tgt or both")
