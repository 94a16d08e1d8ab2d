"""Runs a page: its files are written, its commands and Python blocks are run, in their order.

```yaml title="recipe.yaml"     a file of that name
```sh                           commands; those of bitextile in this process, others by bash
```python                       a script of its own
```text                         is shown only, as is any other block
"""

import csv
import os
import re
import shlex
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from bitextile.pipelines.cli.main import main

BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def sample_files(folder: Path, *languages: str, rows: int = 400) -> None:
    """Writes `train.LANG` for each language: the embedded sample's sentences, line by line."""
    file = resources.files("bitextile.pipelines") / "sample/sentences.tsv"
    found = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    for lang in languages:
        lines = [row[lang] + "\n" for row in found[:rows]]
        (folder / f"train.{lang}").write_text("".join(lines), encoding="utf-8")


def run_page(page: Path, folder: Path) -> list[str]:
    """Runs the blocks of a page in `folder`, the current directory, and returns the commands.

    Args:
        page: Markdown.
        folder: holds the files that the page takes for granted.
    """
    commands = []
    for language, title, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            (folder / title).write_text(body, encoding="utf-8")
        elif language == "python":
            _run([sys.executable, "-c", body], folder)
        elif language == "sh":
            for line in body.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["bitextile"] and not {"<", ">", "|"} & set(words):
                    _call(words[1:])
                elif words:
                    _run(["bash", "-euo", "pipefail", "-c", line], folder)
                commands += [line] if words else []
    return commands


def _call(arguments: list[str]) -> None:
    # In this process: loading Beam or torch takes longer than what these commands do.
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code, f"bitextile {shlex.join(arguments)}: exit code {end.value.code}"


def _run(command: list[str], folder: Path) -> None:
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"
