"""What is measured: files are looked for first, models stand side by side."""

import pytest

from bitextile.pipelines.recipe.evaluation import check_evaluation, compare_stages
from bitextile.pipelines.recipe.recipe import Evaluate
from bitextile.schema.errors import ConfigError


def test_a_gold_or_retrieval_file_that_is_not_there_is_said_first(tmp_path) -> None:
    (tmp_path / "a").touch()
    part = Evaluate.model_validate({"retrieval": [{"name": "n", "files": ["a", "b"]}]})
    with pytest.raises(ConfigError, match="b: no such file; check the recipe's `evaluate`"):
        check_evaluation(part, tmp_path)
    part = Evaluate.model_validate({"alignment": [{"name": "n", "gold": "gold.jsonl"}]})
    with pytest.raises(ConfigError, match=r"gold\.jsonl: no such file"):
        check_evaluation(part, tmp_path)
    (tmp_path / "gold.jsonl").touch()
    check_evaluation(part, tmp_path)


def test_stages_are_compared_metric_by_metric() -> None:
    first, second = {"aer": (0.5, ""), "p": (9.0, "")}, {"aer": (0.25, ""), "p": (4.0, "")}
    assert compare_stages([first, second]) == [
        {"name": "aer", "before": 0.5, "after": 0.25, "unit": ""},
        {"name": "p", "before": 9.0, "after": 4.0, "unit": ""},
    ]
    more = second | {"p, with language embeddings": (3.0, "")}
    assert compare_stages([first, second, more])[2] == {
        "name": "p, with language embeddings",
        "before": None,
        "after": 3.0,
        "unit": "",
        "between": [None],
    }
    assert [row["between"] for row in compare_stages([first, second, first])] == [[0.25], [4.0]]
