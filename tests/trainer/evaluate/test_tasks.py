"""The list of tasks: names, options, and that listing them needs no torch."""

import subprocess
import sys
from dataclasses import fields

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.tasks import TASKS, get_task


def test_every_task_is_found_by_its_name_and_has_defaults():
    assert len({task.name for task in TASKS}) == len(TASKS)
    for task in TASKS:
        assert get_task(task.name) is task
        assert task.options() == task.options()
        assert task.data
    with pytest.raises(ConfigError, match="task is 'mlm', expected one of retrieval"):
        get_task("mlm")


def test_an_option_means_the_same_in_every_task():
    seen: dict[str, tuple] = {}
    for task in TASKS:
        for field in fields(task.options):
            assert seen.setdefault(field.name, (field.type, field.default)) == (
                field.type,
                field.default,
            )


def test_listing_tasks_imports_no_torch():
    code = (
        "import sys; import bitextile.trainer.evaluate.tasks; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
