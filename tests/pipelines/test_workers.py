"""One worker and two give the same digests, for every command that runs on Beam."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.kernels.exchange import ExchangeConfig
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.codeswitch import codeswitch
from bitextile.pipelines.exchange import exchange
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.lexicon import lexicon
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import verify_dataset

Chain = dict[str, DatasetResult]


def run_chain(out: Path, workers: int) -> Chain:
    options = RunOptions(workers=workers)
    with resources.as_file(resources.files("bitextile.pipelines.sample")) as folder:
        pairs, mono = ingest(str(folder / "recipe.yaml"), str(out), options=options)
    source = pairs.dataset.path
    aligned = align(source, str(out / "aligned"), config=HmmConfig(), options=options)
    commands: dict[str, tuple[Callable[..., DatasetResult], object]] = {
        "lexicon": (lexicon, LexiconConfig()),
        "exchange": (exchange, ExchangeConfig(variants=2)),
        "codeswitch": (codeswitch, AlignmentSwitchConfig(sentence_rate=0.8, variants=2)),
    }
    made = {
        name: command(aligned.dataset.path, str(out / name), config=config, options=options)
        for name, (command, config) in commands.items()
    }
    return {"pairs": pairs, "mono": mono, "aligned": aligned, **made}


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return run_chain(tmp_path_factory.mktemp("one"), 1)


def test_every_dataset_verifies(one_worker: Chain) -> None:
    for name, finished in one_worker.items():
        dataset = verify_dataset(finished.dataset.path)
        assert dataset.manifest.rows > 0, name
        counts = dataset.manifest.counts
        assert counts.read == counts.kept + sum(counts.rejected.values())


@pytest.mark.slow
def test_two_workers_give_the_same_digests(one_worker: Chain, tmp_path: Path) -> None:
    two = run_chain(tmp_path, 2)
    digests = {name: finished.dataset.manifest.digest for name, finished in one_worker.items()}
    assert {name: finished.dataset.manifest.digest for name, finished in two.items()} == digests


def test_rows_come_from_the_sample(one_worker: Chain) -> None:
    pairs = one_worker["pairs"].dataset
    assert pairs.keys == ["ar-en", "de-en", "en-es", "en-fr", "en-zh"]
    # 400 sentences in each of five pairs; the gold rows stand in the sample too, once each.
    assert pairs.manifest.counts.read == 5 * 400 + 70 + 37
    assert pairs.manifest.counts.rejected == {"duplicate/1": 107}
    split = pairs.table(columns=["corpus", "split"]).to_pylist()
    assert {row["split"] for row in split if row["corpus"] == "gold"} == {"test"}
