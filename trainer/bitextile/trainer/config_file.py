"""Configurations read from YAML, checked before anything else is: every wrong key is named."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from bitextile.schema.errors import ConfigError
from bitextile.trainer.objectives.config import OBJECTIVE_SETTINGS
from bitextile.trainer.settings import Settings

M = TypeVar("M", bound=Settings)


def load_config(model: type[M], path: str) -> M:
    """Reads a configuration from a YAML file; relative paths start at the file's folder.

    Args:
        model: what is configured, such as `PretrainConfig`.
        path: of the file.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key or a wrong value; all are named.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML ({reason})") from error
    return parse_config(model, content, base=Path(path).absolute().parent, where=str(path))


def parse_config(model: type[M], content: object, *, base: Path, where: str = "configuration") -> M:
    """Checks a configuration given as plain data.

    Args:
        model: what is configured, such as `PretrainConfig`.
        content: what the YAML file holds.
        base: folder that relative paths start at.
        where: named in messages.

    Raises:
        ConfigError: an unknown key or a wrong value; all are named.
    """
    if not isinstance(content, dict):
        # An empty file is None, a list a list: what a mapping must have says more than its type.
        required = ", ".join(n for n, f in model.model_fields.items() if f.is_required())
        raise ConfigError(
            f"{where}: holds a {type(content).__name__}, expected keys such as {required}"
        )
    try:
        return model.model_validate(content, context={"base": base})
    except ValidationError as error:
        raise ConfigError(f"{where}: {_problems(error)}") from error


def _problems(error: ValidationError) -> str:
    # Beside a refused entry pydantic reports that its tuple is too short, which helps nobody.
    errors = [e for e in error.errors() if not (e["type"] == "too_short" and e["input"])]
    return "; ".join(_problem(e) for e in errors)


def _problem(error: Any) -> str:
    key = _dotted(error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown(error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "union_tag_invalid":
        got, known = error["ctx"]["tag"], error["ctx"]["expected_tags"].replace("'", "")
        return f"{key}.objective is {got!r}, expected one of {known}"
    if error["type"] == "union_tag_not_found":
        known_keys = {k for s in OBJECTIVE_SETTINGS.values() for k in s.model_fields}
        unknown = [_unknown((*error["loc"], "", k)) for k in error["input"] if k not in known_keys]
        return "; ".join([f"{key}.objective is missing", *unknown])
    message = error["msg"].removeprefix("Value error, ")
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return f"{key}: {message}{got}" if key else message


def _dotted(loc: tuple[Any, ...]) -> str:
    """Returns the path of a value, without the objective that pydantic puts behind an entry."""
    # ("data", 0, "weam", "queue") -> data.0.queue: nobody wrote the "weam" in it.
    parts = (*loc[:2], *loc[3:]) if loc[:1] == ("data",) else loc
    return ".".join(str(part) for part in parts)


def _unknown(loc: tuple[Any, ...]) -> str:
    """Returns that a key is unknown, or whose option it is where another objective has it."""
    key, objective = loc[-1], loc[2] if len(loc) == 4 else None
    others = [name for name, s in OBJECTIVE_SETTINGS.items() if key in s.model_fields]
    if loc[0] == "data" and others:
        owners = " and ".join(others)
        return f"{_dotted(loc[:-1])}: {key} is an option of {owners}, not of {objective}"
    return f"unknown key {_dotted(loc)}; see trainer/README.md for the keys"
