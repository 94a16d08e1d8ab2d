"""One worker and two, compiled functions and cached ones: the digests are the same."""

import json
import os
import subprocess
import sys
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
from project import SHARED
from sample_copy import recipe_with_mono

Chain = dict[str, DatasetResult]


def run_chain(out: Path, workers: int) -> Chain:
    options = RunOptions(workers=workers)
    recipe = recipe_with_mono(out)
    pairs, mono = ingest(recipe, str(out), options=options)
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
    # They are held out, so no other row may have one of their sentences.
    sample = resources.files("bitextile.pipelines.sample")
    golds = [sample / f"gold.en-{lang}.jsonl" for lang in ("de", "zh")]
    lines = [json.loads(line) for gold in golds for line in gold.read_text("utf-8").splitlines()]
    held_out = {line[side] for line in lines for side in ("src", "tgt")}
    table = [
        line.split("\t")[1:] for line in (sample / "sentences.tsv").read_text("utf-8").splitlines()
    ]
    leaking = sum(bool({row[0], other} & held_out) for row in table for other in row[1:])
    assert pairs.manifest.counts.rejected == {"held_out/1": leaking}
    split = pairs.table(columns=["corpus", "split"]).to_pylist()
    assert {row["split"] for row in split if row["corpus"] == "gold"} == {"test"}


MULTI30K = SHARED / "data/parallel/multi30k"
ALIGN = """
import sys
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.runner.options import RunOptions
pairs, out, workers = sys.argv[1:]
made = align(pairs, out, config=HmmConfig(), options=RunOptions(workers=int(workers)))
print(made.dataset.manifest.digest)
"""


def digest_of(pairs: str, cache: Path, workers: int) -> str:
    """Aligns in a process of its own, whose compiled functions are kept in the folder `cache`."""
    out = cache.with_name(f"{cache.name}-{workers}-{cache.exists()}")
    # Beam's workers inherit the folder too.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", ALIGN, pairs, str(out), str(workers)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(cache.rglob("*.nbi")), "nothing was compiled into this cache"
    return done.stdout.strip()


def test_a_warm_cache_aligns_the_sample_as_a_cold_one_does(
    one_worker: Chain, tmp_path: Path
) -> None:
    pairs, cache = one_worker["pairs"].dataset.path, tmp_path / "cache"
    cold = digest_of(pairs, cache, 1)
    # In this process the functions were compiled, or loaded from the machine's own cache.
    assert cold == one_worker["aligned"].dataset.manifest.digest
    assert cold == digest_of(pairs, cache, 2)


@pytest.mark.slow
@pytest.mark.skipif(not MULTI30K.exists(), reason=f"{MULTI30K} is not on this machine")
def test_29000_pairs_align_to_the_same_bytes_with_any_cache_and_workers(tmp_path: Path) -> None:
    corpus = {"corpus": "multi30k", "languages": ["en", "de"]}
    corpus |= {"files": [str(MULTI30K / f"train.{lang}.gz") for lang in ("en", "de")]}
    (tmp_path / "recipe.yaml").write_text(json.dumps({"bitext": [corpus]}))
    options = RunOptions(workers=1)
    [made] = ingest(str(tmp_path / "recipe.yaml"), str(tmp_path), options=options)
    # Sums of so many pairs are where another order of additions shows.
    assert made.dataset.manifest.rows > 28_900
    digests = {
        (cache, state, workers): digest_of(made.dataset.path, tmp_path / cache, workers)
        for cache, state, workers in (("a", "cold", 1), ("a", "warm", 1), ("b", "cold", 2))
    }
    assert len(set(digests.values())) == 1, digests
