import io
import sys
import time

import pytest

from bitextile.kernels.progress import Step, count, note
from bitextile.pipelines.runner import progress
from bitextile.pipelines.runner.progress import Meter, Stages, read_progress, shown, visible


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("BAR_AFTER_S", 0), ("LINE_EVERY_S", 0), ("POLL_S", 0.01)):
        monkeypatch.setattr(progress, name, seconds)


def wait_for(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rate_and_time_left_are_of_the_step_that_began_last() -> None:
    steps = {"Read": Step("Read", 0, 1_000)}
    meter = Meter("align", Stages(), lambda: steps)
    meter.read(0.0)
    steps["Read"].rows = 200
    state = meter.read(10.0)
    assert (state.rows_per_s, state.left_s) == (20.0, 40.0)
    steps["Link"] = Step("Link", 0)
    meter.read(11.0)
    steps["Link"].rows = 100
    state = meter.read(12.0)
    assert (state.step, state.total, state.rows_per_s, state.left_s) == ("Link", 1_000, 100.0, 9.0)


def test_the_rate_is_of_the_last_half_minute() -> None:
    steps = {"Read": Step("Read", 0, 10_000)}
    meter = Meter("align", Stages(), lambda: steps)
    for second in range(100):
        steps["Read"].rows += 100 if second < 50 else 10
        state = meter.read(float(second))
    assert state.rows_per_s == 10.0


def test_iterations_tell_the_time_left_of_a_fit() -> None:
    steps = {"Fit": Step("Fit", note="IBM model 1: 5 pairs")}
    meter = Meter("align", Stages(), lambda: steps)
    assert meter.read(0.0).left_s is None
    steps["Fit"].note = "hmm 1/4: log likelihood -3"
    assert meter.read(10.0).left_s == 30.0


def test_a_log_gets_lines(quick, monkeypatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    with visible(), shown("align") as stages:
        stages.total = 3
        stages.begin("one")
        count("Filter", 5, total=20)
        wait_for(lambda: "5 of 20 rows" in said.getvalue())
    assert said.getvalue().splitlines()[-1].startswith("align  stage 1 of 3  Filter  5 of 20 rows")
    assert "\x1b" not in said.getvalue()


def test_a_terminal_gets_a_bar_that_goes(quick, monkeypatch) -> None:
    said = Terminal()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setenv("TERM", "xterm-256color")
    with visible(), shown("align"):
        note("Fit", "hmm 1/2 \x1b[31m")
        wait_for(lambda: "hmm 1/2" in said.getvalue())
    assert "\\x1b[31m" in said.getvalue()


def test_called_from_python_nothing_is_printed(quick, capfd) -> None:
    with shown("align"):
        count("Filter", 5)
        time.sleep(0.1)
    assert capfd.readouterr() == ("", "")


def test_a_file_beside_the_output_tells_the_same_until_the_end(quick, tmp_path) -> None:
    file = tmp_path / ".aligned.progress"
    with shown("align", [str(tmp_path / "aligned"), "gs://bucket/aligned"]):
        count("Filter", 5, total=20)
        wait_for(lambda: (state := read_progress(file)) and state.rows == 5)
        assert read_progress(file).command == "align"
    assert not list(tmp_path.iterdir())


def test_what_is_no_progress_file_is_none(tmp_path) -> None:
    (tmp_path / "x").write_text('{"command": 1, "other": 2}')
    assert read_progress(tmp_path / "x") is None
    assert read_progress(tmp_path / "nowhere") is None
