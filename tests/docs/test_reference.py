"""The reference pages name every command, option, key and column that there is."""

import sys

import pytest

from bitextile.kernels.filters.rules import FilterConfig
from bitextile.pipelines.cli.field_docs import field_docs
from bitextile.pipelines.cli.main import COMMANDS
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.schema.kinds import KINDS
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.finetune.config import FinetuneConfig
from project import REPOSITORY


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    sys.path.insert(0, str(REPOSITORY / "docs/generate"))
    from reference import PAGES

    return {path: make() for path, make in PAGES.items()}


def test_every_command_has_a_section_with_its_options(pages: dict[str, str]) -> None:
    page = pages["reference/commands.md"]
    assert all(f"\n## {name}\n" in page for name in COMMANDS)
    assert page.count("```text\nbitextile ") >= 2 * len(COMMANDS), "usage and example of each"
    exchange = page.split("\n## exchange\n")[1].split("\n## ")[0]
    for option in ("--rate", "--variants", "--min-score", "--out", "Share of a pair's"):
        assert option in exchange


def test_every_key_of_a_recipe_is_there_with_its_meaning(pages: dict[str, str]) -> None:
    page = pages["reference/recipe.md"]
    assert all(f"| `{name}` |" in page for name in Recipe.model_fields)
    filters = page.split("\n## filters\n")[1].split("\n## ")[0]
    for name, doc in field_docs(FilterConfig).items():
        (row,) = [line for line in filters.splitlines() if line.startswith(f"| `{name}` |")]
        assert doc.split()[0] in row
    # What is chosen of several has a section for each.
    for title in ("align: aligner hmm", "align: aligner simalign", "codeswitch: method pivot"):
        assert f"## {title}\n" in page


def test_keys_of_training_are_there(pages: dict[str, str]) -> None:
    pretrain, finetune = pages["reference/training.md"].split("\n## finetune\n")
    assert all(f"| `{name}` |" in pretrain for name in PretrainConfig.model_fields)
    assert all(f"| `{name}` |" in finetune for name in FinetuneConfig.model_fields)
    assert "## pretrain.data: objective weam\n" in pretrain


def test_every_column_is_there(pages: dict[str, str]) -> None:
    for kind in KINDS.values():
        section = pages["reference/columns.md"].split(f"\n## {kind.name}\n")[1].split("\n## ")[0]
        assert all(f"| `{column.name}` |" in section for column in kind.columns)


def test_no_cell_breaks_its_table(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        width = 0
        for line in page.splitlines():
            cells = line.replace("\\|", "").count("|") if line.startswith("|") else 0
            assert not width or cells in (0, width), f"{path}: {line}"
            width = cells
