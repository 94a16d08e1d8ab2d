"""The demo: the recipe of the sample, and a note on what so small a model translates."""

from types import SimpleNamespace

from bitextile.pipelines import demo
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions


def result(kind: str) -> DatasetResult:
    dataset = SimpleNamespace(kind=SimpleNamespace(name=kind))
    return DatasetResult(dataset, 1.0)


def test_pseudo_translations_come_with_a_note_on_their_quality(monkeypatch) -> None:
    news: list[object] = []
    datasets = [result("pairs"), result("pseudo")]

    def run(recipe, folder, out, *, options, progress) -> str:
        assert {entry.corpus for entry in recipe.bitext} == {"gold", "sample"}
        assert (folder / "sentences.tsv").is_file()
        for dataset in datasets:
            progress(dataset)
        return out

    monkeypatch.setattr(demo, "run", run)
    assert demo.demo("out", options=RunOptions(), progress=news.append) == "out"
    assert news == [*datasets, demo.QUALITY_NOTE]
