"""What `COMMAND --help` imports, held in help_modules.json; help that imports more takes longer.

`.venv/bin/python tests/pipelines/cli/test_help_modules.py` writes the list anew.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bitextile.pipelines.cli.commands import COMMANDS

LIST = Path(__file__).with_name("help_modules.json")

CODE = """
import json, sys
before = set(sys.modules)
from bitextile.pipelines.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n" + json.dumps(sorted({*sys.modules} - before)))
"""


def loaded(name: str) -> list[str]:
    """Returns the packages of others, and of bitextile the packages within its layers."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *filter(None, [name]), "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return sorted(_packages(json.loads(done.stdout.splitlines()[-1])))


def _packages(modules: Iterable[str]) -> set[str]:
    found = set()
    for module in modules:
        parts = module.split(".")
        own = parts[0] == "bitextile"
        if own and len(parts) > 2:
            found.add(".".join(parts[:3]))
        elif not own and parts[0] not in sys.stdlib_module_names and parts[0][0] != "_":
            found.add(parts[0])
    return found


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_imports_what_is_listed(name: str) -> None:
    listed = set(json.loads(LIST.read_text(encoding="utf-8"))[name])
    assert not set(loaded(name)) - listed


def test_the_list_has_every_command_and_no_heavy_library() -> None:
    listed = json.loads(LIST.read_text(encoding="utf-8"))
    assert list(listed) == ["", *COMMANDS]
    for packages in listed.values():
        assert not {"apache_beam", "torch", "transformers", "numba", "pandas"} & set(packages)


if __name__ == "__main__":
    found = {name: loaded(name) for name in ["", *COMMANDS]}
    LIST.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
