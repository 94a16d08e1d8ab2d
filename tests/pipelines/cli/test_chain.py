"""`demo` and `run`: steps as they begin, metrics at the end, and last the page's path."""

import pytest

from bitextile.pipelines import run
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.demo import demo
from bitextile.pipelines.run import Summary

METRICS = (
    {"name": "aer", "before": None, "after": 0.25, "unit": ""},
    {
        "name": "perplexity",
        "before": 9.0,
        "between": [5.0],
        "after": 4.0,
        "unit": "",
        "items": 50,
        "interval": [3.0, 6.0],
        "verdict": "better",
    },
    {"name": "of few", "before": 9.0, "after": 4.0, "unit": "", "items": 49},
)


def test_a_run_prints_what_can_tell_something_and_the_page_alone_on_stdout(
    tmp_path, capsys, monkeypatch
) -> None:
    def chain(recipe, folder, out: str, *, options, progress) -> Summary:
        assert options.overwrite
        assert options.beam == ("--runner=dask",)
        progress("align")
        return Summary((), METRICS, f"{out}/report.html")

    monkeypatch.setattr(run, "run", chain)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("bitext: [{corpus: a, languages: [en, de], files: [a, b]}]")
    with pytest.raises(SystemExit) as ended:
        main(["run", str(recipe), "--out", "x", "--overwrite", "--", "--runner=dask"])
    assert not ended.value.code
    printed = capsys.readouterr()
    assert printed.out == "x/report.html\n"
    *lines, hidden = printed.err.splitlines()
    assert [line.split() for line in lines] == [
        ["[align]"],
        ["aer", "0.250"],
        ["perplexity", "9.000", "->", "5.000", "->", "4.000", "[3.000,", "6.000]", "better"],
    ]
    assert "fewer than 50 items tell nothing: 1 of the figures" in hidden.replace("\n", " ")


def test_the_demo_ends_with_what_it_shows_and_what_to_do_next(capsys, monkeypatch) -> None:
    shown = demo.Demonstration((), None, (), "x/report.html")  # type: ignore[arg-type]

    def run_demo(out: str, *, options, progress) -> demo.Demonstration:
        assert options.overwrite
        progress("align")
        return shown

    monkeypatch.setattr(demo, "demo", run_demo)
    monkeypatch.setattr(demo, "conclusions", lambda _: ["it shows"])
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--out", "x", "--overwrite"])
    assert not ended.value.code
    printed = capsys.readouterr()
    assert printed.out == "x/report.html\n"
    first, *_, last = printed.err.splitlines()
    assert (first, last) == ("[align]", "Open this page in a browser:")
    assert "it shows" in printed.err
    assert "bitextile run recipe.yaml" in printed.err
