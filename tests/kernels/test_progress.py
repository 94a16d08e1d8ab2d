import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.progress import count, listening, note


def test_without_a_listener_nothing_is_said(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    count("Filter", 3)
    note("Fit", "1/2")
    assert not list(tmp_path.iterdir())


def test_processes_that_are_started_are_heard() -> None:
    code = "from bitextile.kernels.progress import count; count('Filter', 5, total=9)"
    with listening() as news:
        count("Read", 9)
        for _ in range(2):
            subprocess.run([sys.executable, "-c", code], check=True)
        steps = news()
    assert list(steps) == ["Read", "Filter"]
    assert (steps["Filter"].rows, steps["Filter"].total) == (10, 9)


def test_a_listener_within_another_hears_alone() -> None:
    with listening() as outer:
        with listening() as inner:
            count("Filter", 1)
            assert inner()["Filter"].rows == 1
        count("Filter", 2)
        assert outer()["Filter"].rows == 2
    count("Filter", 4)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1 << 40)), max_size=20))
def test_rows_add_up_however_often_one_looks(said: list[tuple[str, int]]) -> None:
    with listening() as news:
        for step, rows in said:
            count(step, rows)
            news()
        steps = news()
    assert {name: step.rows for name, step in steps.items()} == {
        name: sum(rows for step, rows in said if step == name) for name, _ in said
    }
