"""What is measured: files are looked for first, models stand side by side."""

import pytest

from bitextile.pipelines.recipe.evaluation import (
    BETTER,
    MIN_ITEMS,
    NOISE,
    WORSE,
    Figure,
    check_evaluation,
    compare_stages,
    telling,
    verdict,
)
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


def figure(value: float, *, items: int = 100, less_is_better: bool = True) -> Figure:
    return Figure(
        value=value,
        low=0.9 * value,
        high=1.1 * value,
        items=items,
        less_is_better=less_is_better,
    )


def test_stages_are_compared_metric_by_metric() -> None:
    first = {"aer": figure(0.5), "p": figure(9.0)}
    second = {"aer": figure(0.25), "p": figure(4.0)}
    wanted = [
        {"name": "aer", "before": 0.5, "after": 0.25, "unit": "", "items": 100},
        {"name": "p", "before": 9.0, "after": 4.0, "unit": "", "items": 100},
    ]
    rows = compare_stages([first, second])
    assert [{name: row[name] for name in wanted[0]} for row in rows] == wanted
    assert [row["verdict"] for row in rows] == [BETTER, BETTER]
    assert rows[0]["interval"] == pytest.approx([0.225, 0.275])
    more = second | {"p, with language embeddings": figure(3.0)}
    unknown = compare_stages([first, second, more])[2]
    assert (unknown["before"], unknown["between"], unknown["after"]) == (None, [None], 3.0)
    assert "verdict" not in unknown
    assert [row["between"] for row in compare_stages([first, second, first])] == [[0.25], [4.0]]


@pytest.mark.parametrize(
    ("after", "less_is_better", "expected"),
    [
        (0.25, True, BETTER),
        (0.25, False, WORSE),
        (0.9, True, WORSE),
        (0.9, False, BETTER),
        (0.45, True, NOISE),
        (0.55, False, NOISE),
    ],
)
def test_intervals_that_overlap_are_noise(after, less_is_better, expected) -> None:
    one, other = (figure(value, less_is_better=less_is_better) for value in (0.5, after))
    assert verdict(one, other) == expected


def test_what_was_measured_on_few_items_tells_nothing_unless_it_is_clear() -> None:
    few = MIN_ITEMS - 1
    rows = compare_stages([{"noise": figure(2.0)}, {"noise": figure(2.1, items=few)}])
    rows += compare_stages([{"clear": figure(2.0)}, {"clear": figure(1.0, items=few)}])
    rows += compare_stages([{"many": figure(2.0)}, {"many": figure(2.1, items=MIN_ITEMS)}])
    rows.append({"name": "of unknown size", "before": None, "after": 1.0, "unit": ""})
    assert [row["name"] for row in telling(rows)] == ["clear", "many", "of unknown size"]
