"""Pipelines write, the trainer reads; what is not whole, or not what was asked for, is refused."""

import importlib.resources
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("apache_beam")
pytest.importorskip("torch")

from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.align import align
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import DatasetError, SchemaError
from bitextile.schema.manifest import write_manifest
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.train.pretrain import pretrain

SAMPLE = importlib.resources.files("bitextile.pipelines") / "sample"
RECIPE = f"""
bitext:
  - {{corpus: gold, languages: [en, de], files: [{SAMPLE}/gold.en-de.jsonl], columns: [src, tgt]}}
  - {{corpus: sample, languages: [en, zh], files: [{SAMPLE}/gold.en-zh.jsonl], columns: [src, tgt]}}
mono:
  - {{corpus: sample, language: de, files: [{SAMPLE}/mono.de.txt]}}
splits: {{valid: 0.1, test: 0.1}}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A folder with pairs, mono, aligned and a tokenizer, each by the command that makes it."""
    root = tmp_path_factory.mktemp("written")
    options = RunOptions(workers=1)
    (root / "recipe.yaml").write_text(RECIPE)
    ingest(str(root / "recipe.yaml"), str(root), options=options)
    config = HmmConfig(segmenter="characters")
    align(str(root / "pairs"), str(root / "aligned"), config=config, options=options)
    datasets = [str(root / "pairs"), str(root / "mono")]
    train_tokenizer(datasets, str(root / "tokenizer"), config=TokenizerConfig(vocab_size=700))
    return root


def config_for(root: Path, objective: str, *datasets: str) -> PretrainConfig:
    content = {
        "tokenizer": "tokenizer",
        "model": {
            "config": {
                "model_type": "xlm-roberta",
                "hidden_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 32,
            }
        },
        "data": [{"objective": objective, "dataset": d} for d in datasets],
        "steps": 2,
        "batch_tokens": 512,
        "max_length": 96,
        "device": "cpu",
    }
    return parse_config(PretrainConfig, content, base=root)


@pytest.mark.parametrize(
    ("objective", "kinds"),
    [("mlm", ("mono", "pairs", "aligned")), ("tlm", ("pairs", "aligned")), ("weam", ("aligned",))],
)
def test_each_objective_learns_from_what_the_pipelines_write(written, tmp_path, objective, kinds):
    run = tmp_path / "run"
    summary = pretrain(config_for(written, objective, *kinds), str(run))
    assert summary.steps == 2
    identity = json.loads((run / "bitextile.json").read_text())
    digests = [open_dataset(str(written / kind)).manifest.digest for kind in kinds]
    assert [d["digest"] for d in identity["datasets"]] == digests


def test_links_of_a_pipeline_meet_the_gold_they_were_made_for(written):
    report = evaluate(
        str(written / "aligned"),
        task="alignment",
        data=[str(SAMPLE / "gold.en-de.jsonl"), str(SAMPLE / "gold.en-zh.jsonl")],
    )
    for result in report["results"].values():
        assert result["missing"] < result["pairs"]
        assert result["aer"]["value"] < 0.75


@pytest.mark.parametrize(
    ("objective", "kind"), [("weam", "pairs"), ("tlm", "mono"), ("mlm", "none")]
)
def test_a_wrong_kind_is_refused(written, tmp_path, objective, kind):
    with pytest.raises(DatasetError, match=f"{objective} learns from|no such folder"):
        pretrain(config_for(written, objective, kind), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def copy(written, tmp_path) -> Path:
    shutil.copytree(written / "pairs", tmp_path / "pairs")
    shutil.copytree(written / "tokenizer", tmp_path / "tokenizer")
    return tmp_path


def refused(root: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pretrain(config_for(root, "tlm", "pairs"), str(root / "run"))
    assert not (root / "run").exists()


def test_a_newer_schema_is_refused(copy):
    manifest = open_dataset(str(copy / "pairs")).manifest
    write_manifest(str(copy / "pairs"), replace(manifest, schema_version=99))
    refused(copy, SchemaError, "pairs has schema version 99, this software reads up to 1")


def test_a_missing_shard_is_refused(copy):
    next((copy / "pairs" / "data").rglob("*.parquet")).unlink()
    refused(copy, DatasetError, r"part-00000-of-.*the shard is missing")


def test_a_cut_shard_is_refused(copy):
    shard = next((copy / "pairs" / "data").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    refused(copy, DatasetError, "bytes, the manifest says")


def test_a_flipped_byte_is_found_by_verify(copy):
    shard = next((copy / "pairs" / "data").rglob("*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match="a byte was changed"):
        verify_dataset(str(copy / "pairs"))


def test_an_unreadable_footer_is_refused(copy):
    shard = next((copy / "pairs" / "data").rglob("*.parquet"))
    shard.write_bytes(b"\0" * shard.stat().st_size)
    refused(copy, DatasetError, "not readable as Parquet")


def test_a_shard_of_another_kind_is_refused(copy, written):
    path = copy / "pairs" / "manifest.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    shard = copy / "pairs" / body["shards"][0]["path"]
    other = next((written / "mono" / "data").rglob("*.parquet"))
    shard.write_bytes(other.read_bytes())
    body["shards"][0]["bytes"] = shard.stat().st_size
    path.write_text(json.dumps(body), encoding="utf-8")
    refused(copy, SchemaError, "column 0 is 'text_id', expected 'pair_id'")
