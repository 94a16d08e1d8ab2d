"""What configurations are made of: frozen models, bounded numbers, paths that start at the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from bitextile.schema.confinement import refuse_outside

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """A part of a configuration: frozen, and an unknown key is an error."""

    # Not strict: YAML says 1 where a float is meant, and has lists where fields are tuples.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def _resolve(path: str, info: ValidationInfo) -> str:
    base: Path | None = (info.context or {}).get("base")
    if base is None or "://" in path:
        return path
    resolved = str((base / Path(path).expanduser()).resolve())
    refuse_outside(resolved)
    return resolved


FilePath = Annotated[str, AfterValidator(_resolve)]
"""A path, relative to the folder of the configuration where it is read from one; a URI as it is."""


def paths_of(settings: Settings) -> Iterator[str]:
    """Yields all files and folders that a configuration, or a part of one, names."""
    return (path for _, path in named_paths(settings))


def named_paths(settings: Settings, place: str = "") -> Iterator[tuple[str, str]]:
    """Yields the key of each path that a configuration names, as data.0.dataset, and the path."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        several = isinstance(value, tuple)
        names_paths = _names_paths(field.rebuild_annotation())
        for i, one in enumerate(value if several else (value,)):
            key = f"{place}{name}.{i}" if several else f"{place}{name}"
            if isinstance(one, Settings):
                yield from named_paths(one, f"{key}.")
            elif names_paths and isinstance(one, str):
                yield key, one


def _names_paths(hint: Any) -> bool:
    resolved = get_origin(hint) is Annotated and AfterValidator(_resolve) in hint.__metadata__
    return resolved or any(_names_paths(part) for part in get_args(hint))
