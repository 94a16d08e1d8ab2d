"""Configurations read from YAML, checked before anything else is: every wrong key is named."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bitextile.kernels.config_file import check_mapping, read_config_file
from bitextile.schema.config_problems import Place, listed, problems
from bitextile.schema.errors import ConfigError
from bitextile.trainer.settings import Settings

M = TypeVar("M", bound=Settings)


def load_config(model: type[M], path: str, *, command: str = "pretrain") -> M:
    """Reads a configuration from a YAML file; relative paths start at the file's folder.

    Args:
        model: what is configured, such as `PretrainConfig`.
        path: of the file.
        command: that it is for: pretrain or finetune.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key or a wrong value; all are named.
    """
    content = read_config_file(path, command=command, keys=_required(model))
    return parse_config(model, content, base=Path(path).absolute().parent, where=str(path))


def parse_config(
    model: type[M],
    content: object,
    *,
    base: Path,
    where: str = "configuration",
    renamed: Mapping[Place, Place] | None = None,
) -> M:
    """Checks a configuration given as plain data.

    Args:
        model: what is configured, such as `PretrainConfig`.
        content: what the YAML file holds.
        base: folder that relative paths start at.
        where: named in messages.
        renamed: beginnings of places in `content` to what the user wrote there.

    Raises:
        ConfigError: an unknown key or a wrong value; all are named.
    """
    if not isinstance(content, dict):
        expected = f"expected keys such as {listed(_required(model), 'and')}"
        check_mapping(content, where=where, command="pretrain", expected=expected)
    try:
        return model.model_validate(content, context={"base": base})
    except ValidationError as error:
        found = problems(error.errors(), model, renamed=renamed)
        keys = "; see trainer/README.md for the keys" if "unknown key" in found else ""
        raise ConfigError(f"{where}: {found}{keys}") from error


def _required(model: type[Settings]) -> tuple[str, ...]:
    return tuple(n for n, f in model.model_fields.items() if f.is_required())
