"""YAML files of settings: recipes, and the configurations of `pretrain` and `finetune`."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bitextile.schema.config_problems import listed
from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import ConfigError


class FileSort(NamedTuple):
    """A sort of file: what it is called, and the keys that no other sort has."""

    name: str
    marks: tuple[str, ...]


FILE_SORTS = {
    "run": FileSort("a recipe", ("bitext", "mono")),
    "pretrain": FileSort("a configuration of `pretrain`", ("data",)),
    "finetune": FileSort("a configuration of `finetune`", ("train",)),
}
"""The command that reads a sort of file, and by what the sort is known."""


class _Loader(yaml.SafeLoader):
    """Builds plain values only, and no mapping that has a key twice."""

    # SafeLoader: `yaml.Loader` would run what a tag such as !!python/object asks for.
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            # The last one would win without a word. `<<` may be there several times.
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_config_file(path: str, *, command: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Reads a YAML file that holds a mapping.

    Args:
        path: of the file.
        command: that reads it, a key of `FILE_SORTS`.
        keys: some that it must or may have, for messages.

    Raises:
        ConfigError: it is missing, not YAML, no mapping, or a file of another command.
    """
    expected = f"expected keys such as {listed(keys, 'and')}"
    refuse_outside(path)
    try:
        # Bytes: YAML finds UTF-16 by its byte order mark.
        content = _Loader(Path(path).read_bytes()).get_single_data()
    except FileNotFoundError as error:
        name = FILE_SORTS[command].name
        raise ConfigError(f"{path}: no such file; give the path of {name}") from error
    except IsADirectoryError as error:
        raise ConfigError(f"{path}: is a folder, expected a YAML file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not readable as YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {_reason(error)}") from error
    return check_mapping(content, where=path, command=command, expected=expected)


def check_mapping(content: object, *, where: str, command: str, expected: str) -> dict[str, Any]:
    """Returns what a file holds; raises ConfigError if it is none that the command reads."""
    if content is None:
        raise ConfigError(f"{where}: is empty, {expected}")
    if not isinstance(content, dict):
        got = "a list" if isinstance(content, list) else f"the single value {str(content)[:60]!r}"
        raise ConfigError(f"{where}: holds {got}, {expected}")
    if any(mark in content for mark in FILE_SORTS[command].marks):
        return content
    for other, sort in FILE_SORTS.items():
        if found := next((mark for mark in sort.marks if mark in content), None):
            raise ConfigError(
                f"{where}: is {sort.name} (it has {found!r}), {expected}; use `bitextile {other}`"
            )
    return content


def _reason(error: Exception) -> str:
    """Returns what is wrong with a file, and in which line, without YAML's own excerpt."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    if "'\\t'" in problem:
        problem = "a tab at the beginning; indent by spaces"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
