"""What commands share: the summary of a dataset."""

from types import SimpleNamespace

from bitextile.pipelines.cli.shared import print_results
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.schema.manifest import Counts


def test_a_result_is_one_line_with_rows_time_and_rejects(capsys) -> None:
    counts = Counts(1500, 1200, {"empty/1": 300})
    manifest = SimpleNamespace(kind="pairs", rows=1200, counts=counts)
    dataset = SimpleNamespace(path="out/[pairs]", manifest=manifest)
    print_results(DatasetResult(dataset, 2.04), DatasetResult(dataset, 0.0, reused=True))
    line = "out/[pairs]: pairs, 1,200 rows of 1,500, {}; rejected 300 empty/1\n"
    assert capsys.readouterr().err == line.format("2.0 s") + line.format("reused")
