"""Loss curves and rows of evaluation, before, between and after stages."""

import pytest

from bitextile.pipelines.report.training import evaluation_rows, loss_chart
from bitextile.schema.errors import ConfigError


def test_loss_curves_and_evaluations():
    metrics = [
        {"step": n, "loss": 9 / n, "loss/mlm": 8 / n, "lr": 0.1, "losses": {"tlm": 7 / n}}
        for n in range(1, 1001)
    ]
    metrics.append({"step": 1001, "loss": float("nan")})
    chart = loss_chart(metrics)
    assert [c.name for c in chart.curves] == ["mlm", "tlm"]
    assert (chart.curves[0].first, chart.curves[0].last) == (8.0, 8 / 1000)
    for curve in chart.curves:
        points = [tuple(map(float, p.split())) for p in curve.path[1:].split("L")]
        assert 100 < len(points) <= 300
        assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in points)
    assert loss_chart([]) is None
    assert loss_chart([{"step": 1, "loss": None}]) is None
    assert len(loss_chart([{"step": 1, "loss": 2.0}]).curves) == 1
    evaluations = [
        {"name": "retrieval", "before": 12.5, "after": 71.25, "unit": "%"},
        {"name": "AER", "before": None, "after": 0.243, "unit": ""},
    ]
    first, second = evaluation_rows(evaluations)
    assert (first.before, first.after, first.change) == ("12.5", "71.25", "+58.75")
    assert (second.before, second.change) == ("–", "")


def test_stages_of_training_stand_side_by_side():
    rows = [{"name": "aer", "before": None, "after": 0.25, "unit": ""}]
    rows.append({"name": "q", "before": None, "between": [None], "after": 2.0, "unit": ""})
    assert evaluation_rows(rows)[1].between == ("–",)
    rows.pop()
    rows.append({"name": "p", "before": 90.0, "between": [50.0], "after": 40.0, "unit": ""})
    links, perplexity = evaluation_rows(rows)
    assert (links.before, links.between, links.after, links.change) == ("–", ("–",), "0.25", "")
    assert (perplexity.between, perplexity.change) == (("50",), "−50")
    metrics = [{"step": n, "loss": 9 - n, "stage": 1 + (n > 3)} for n in range(1, 6)]
    (mark,) = loss_chart(metrics).stages
    assert (mark.label, mark.percent) == ("2", 75.0)
    assert loss_chart([{"step": n, "loss": 9 - n} for n in range(1, 6)]).stages == ()
    with pytest.raises(ConfigError, match="expected name, unit, and numbers"):
        evaluation_rows([rows[1] | {"between": ["50"]}])
