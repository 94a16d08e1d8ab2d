"""What tasks share: options and how results are named."""

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.trainer.evaluate.task import SplitOptions, by_file_name


def test_all_is_no_single_split():
    assert SplitOptions(split="all").only_split is None
    assert SplitOptions(split="valid").only_split == "valid"
    assert SplitOptions(max_rows=1).max_rows == 1
    with pytest.raises(
        ConfigError, match="split is 'dev', expected one of train, valid, test, all"
    ):
        SplitOptions(split="dev")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_rows is 0"):
        SplitOptions(max_rows=0)


def test_paths_are_named_by_their_last_part_unless_two_end_alike():
    paths = ["a/gold.jsonl", "b/gold.jsonl", "b/other.jsonl"]
    assert by_file_name(paths) == dict(zip([*paths[:2], "other.jsonl"], paths))
