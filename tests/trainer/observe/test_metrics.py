"""Metrics: one line per step, cut back to where a run resumes; progress as a bar or as lines."""

import json
import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bitextile.trainer.observe import metrics as module
from bitextile.trainer.observe.metrics import (
    METRICS,
    Bar,
    Lines,
    Metrics,
    SmoothedLosses,
    reporting,
)

STEP = {"step": 1, "loss": 2.5, "losses": {"mlm": 2.5}, "tokens_per_s": 1200.4, "data_wait": 0.0}


def test_a_line_and_scalars_per_step(tmp_path):
    metrics = Metrics(tmp_path, step=0)
    metrics.write(STEP | {"records": "abc"})
    metrics.close()
    (line,) = (tmp_path / METRICS).read_text().splitlines()
    assert json.loads(line) == STEP | {"records": "abc"}
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    names = {"loss", "losses/mlm", "tokens_per_s", "data_wait"}
    assert set(board.Tags()["scalars"]) == names  # texts and the step itself are no scalars
    (event,) = board.Scalars("losses/mlm")
    assert (event.step, event.value) == (1, 2.5)


def test_a_step_in_which_nothing_is_masked_has_no_scalar_and_says_so(tmp_path, capsys):
    nothing = STEP | {"loss": None, "losses": {}}
    metrics = Metrics(tmp_path, step=0)
    metrics.write(nothing)
    metrics.close()
    assert json.loads((tmp_path / METRICS).read_text())["loss"] is None
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(board.Tags()["scalars"]) == {"tokens_per_s", "data_wait"}
    Lines(total=1, done=0).step(nothing)
    assert "nothing masked  1,200 tokens/s" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [1, 2]), (9, [1, 2, 3])])
def test_a_resumed_run_writes_anew_what_lies_behind_its_step(tmp_path, step, kept):
    lines = [json.dumps({"step": i}) + "\n" for i in (1, 2, 3)]
    (tmp_path / METRICS).write_text("".join(lines) + '{"step": 4, "lo')
    Metrics(tmp_path, step=step).close()
    found = (tmp_path / METRICS).read_text().splitlines()
    assert [json.loads(line)["step"] for line in found] == kept


def test_lines_come_now_and_then_and_at_the_end(monkeypatch, capsys):
    # One reading at the start and one per step: 61 s is the first beyond LINE_EVERY_S.
    clock = iter([0.0, 10.0, 61.0, 70.0, 71.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    lines = Lines(total=4, done=0)
    for step in (1, 2, 3, 4):
        lines.step(STEP | {"step": step, "mfu": 0.25, "data_wait": 0.5})
    lines.validation({"mlm": 1.25})
    lines.close()
    out = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in out] == ["step 2 of 4", "step 4 of 4", "valid"]
    assert "loss mlm 2.500  1,200 tokens/s  MFU 25%  waits for data 50%  0:01:01 left" in out[0]
    assert out[2] == "valid  mlm 1.250"


def test_each_objective_has_its_own_smoothed_loss(capsys):
    # Steps that draw one objective each: the loss of a step would jump from 10 to 4.
    lines = Lines(total=40, done=0)
    for step in range(1, 41):
        losses = {"mlm": 10.0 + step % 4} if step % 2 else {"weam": 4.0}
        lines.step(STEP | {"step": step, "losses": losses})
    (line,) = capsys.readouterr().err.splitlines()
    assert "loss mlm 12.000  weam 4.000  1,200" in line


def test_a_smoothed_loss_follows_one_that_falls():
    losses = SmoothedLosses(horizon=3)
    for step in range(100):
        losses.add({"mlm": 9.0 if step < 50 else 2.0})
    assert str(losses) == "mlm 2.000"


def test_only_the_main_process_reports(tmp_path):
    with reporting(tmp_path / "none", total=3, done=0, silent=True) as report:
        report.step(STEP)
        report.validation({"step": 1, "valid": {}})
    assert not (tmp_path / "none").exists()
    with reporting(tmp_path, total=3, done=0, silent=False) as report:
        report.step(STEP)
        report.validation({"step": 1, "valid": {"mlm": 1.0}})
    lines = [json.loads(x) for x in (tmp_path / METRICS).read_text().splitlines()]
    assert [sorted(line) for line in lines] == [sorted(STEP), ["step", "valid"]]


def test_a_bar_moves_on(capsys):
    bar = Bar(total=3, done=1)
    bar.step(STEP)
    task = bar._progress.tasks[0]
    assert (task.completed, task.total) == (2, 3)
    assert "loss mlm 2.500" in task.fields["note"]
    bar.validation({"mlm": math.pi})
    bar.close()
