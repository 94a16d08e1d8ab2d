"""Options of objectives: read without torch, each under the name of its objective."""

import subprocess
import sys
from typing import get_args

from bitextile.trainer.objectives.config import (
    DATASET_FIELDS,
    OBJECTIVE_SETTINGS,
    AnyObjectiveSettings,
    EntrySettings,
    objective_name,
)


def test_names_are_unique_and_each_is_an_entry():
    assert len(OBJECTIVE_SETTINGS) == len(get_args(AnyObjectiveSettings)) == 8
    for name, settings in OBJECTIVE_SETTINGS.items():
        assert issubclass(settings, EntrySettings)
        assert objective_name(settings) == name
        assert settings.kinds


def test_fields_that_name_datasets_are_known():
    fields = {name for settings in OBJECTIVE_SETTINGS.values() for name in settings.model_fields}
    assert fields >= DATASET_FIELDS


def test_options_are_read_without_torch():
    code = (
        "import sys, bitextile.trainer.config_file, bitextile.trainer.config; "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    paths = ":".join(p for p in sys.path if p)
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": paths})
