"""A small world for the commands that need a model: the sample, a tokenizer, a CAMLM checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.cli.main import main
from bitextile.pipelines.ingest import ingest
from bitextile.pipelines.runner.options import RunOptions
from bitextile.pipelines.tokenizer import train_tokenizer
from sample_copy import recipe_with_mono

MODEL = {
    "model_type": "xlm-roberta",
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


@dataclass(frozen=True)
class World:
    """Folders of datasets and of a checkpoint."""

    pairs: str
    mono: str
    model: str


@pytest.fixture(scope="session")
def call() -> Callable[..., int]:
    """Calls the command line and returns its exit code."""

    def run(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return int(ended.value.code or 0)

    return run


@pytest.fixture(scope="session")
def train(tmp_path_factory, call) -> Callable[..., str]:
    """Trains a tiny model by one objective for some steps."""

    def run(data: str, tokenizer: str, objective: str = "camlm", **settings: object) -> str:
        folder = tmp_path_factory.mktemp("run")
        content = {
            "tokenizer": tokenizer,
            "model": {"config": MODEL},
            "data": [{"objective": objective, "dataset": data}],
            "language_embeddings": True,
            "steps": 40,
            "warmup_steps": 10,
            "batch_tokens": 1024,
            "max_length": 128,
            "lr": 3e-3,
            "device": "cpu",
        }
        (folder / "run.yaml").write_text(yaml.safe_dump(content | settings))
        assert call("pretrain", folder / "run.yaml", "--out", folder / "model") == 0
        return str(folder / "model")

    return run


@pytest.fixture(scope="session")
def world(tmp_path_factory, train) -> World:
    """The embedded sample with a model that was trained on it by CAMLM for 40 steps."""
    folder: Path = tmp_path_factory.mktemp("world")
    recipe = recipe_with_mono(folder)
    pairs, mono = ingest(recipe, str(folder), options=RunOptions())
    tokenizer = str(folder / "tokenizer")
    datasets = [pairs.dataset.path, mono.dataset.path]
    train_tokenizer(datasets, tokenizer, config=TokenizerConfig(vocab_size=1_500), overwrite=False)
    return World(*datasets, train(pairs.dataset.path, tokenizer))
