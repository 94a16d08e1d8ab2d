"""`demo` and `run`: steps as they begin, metrics at the end, and last the page's path."""

import pytest

from bitextile.pipelines import demo
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.run import Summary


def test_steps_go_to_stderr_and_the_path_of_the_page_to_stdout(capsys, monkeypatch) -> None:
    metrics = (
        {"name": "aer", "before": None, "after": 0.25, "unit": ""},
        {"name": "perplexity", "before": 9.0, "between": [5.0], "after": 4.0, "unit": ""},
    )

    def run(out: str, *, options, progress) -> Summary:
        assert options.overwrite
        assert options.beam == ("--runner=dask",)
        progress("align")
        return Summary((), metrics, f"{out}/report.html")

    monkeypatch.setattr(demo, "demo", run)
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--out", "x", "--overwrite", "--", "--runner=dask"])
    assert not ended.value.code
    printed = capsys.readouterr()
    assert printed.out == "x/report.html\n"
    assert [line.split() for line in printed.err.splitlines()] == [
        ["[align]"],
        ["aer", "0.250"],
        ["perplexity", "9.000", "->", "5.000", "->", "4.000"],
    ]
