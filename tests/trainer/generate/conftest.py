"""Random models to generate with, saved as the trainer saves them, and rows to ask them."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM

from bitextile.kernels.backtranslate import REQUESTS
from bitextile.schema.ids import text_ids
from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.observe.card import write_provenance
from bitextile.trainer.train.checkpoint import gather_run_tensors, save_model


@pytest.fixture(scope="session")
def save_random(tmp_path_factory, tokenizer) -> Callable[..., str]:
    """Saves a random model whose attention is far from uniform, so that a wrong mask shows."""

    def save(
        languages: tuple[str, ...] = ("ar", "en"),
        objectives: tuple[str, ...] = ("camlm", "mlm"),
        positions: int = 200,
        of: Tokenizer = tokenizer,
    ) -> str:
        folder = tmp_path_factory.mktemp("model")
        with torch.random.fork_rng():
            torch.manual_seed(5)
            config = AutoConfig.for_model(
                "xlm-roberta",
                vocab_size=of.size + 3,  # more rows than ids, as vocabularies that were rounded up
                hidden_size=32,
                num_attention_heads=2,
                num_hidden_layers=3,
                intermediate_size=48,
                max_position_embeddings=positions + of.pad + 1,
                pad_token_id=of.pad,
            )
            encoder = Encoder(AutoModelForMaskedLM.from_config(config), languages)
            with torch.no_grad():
                for name, parameter in encoder.named_parameters():
                    if parameter.dim() == 2:
                        # Embeddings too, or all sentences would get nearly the same tokens.
                        parameter.mul_(8 if "embeddings" not in name else 4)
        save_model(folder, encoder, of, gather_run_tensors(encoder, torch.nn.ModuleDict()))
        datasets = [{"objective": o, "kind": "pairs", "digest": "sha256:0"} for o in objectives]
        write_provenance(folder, {"step": 1, "tokenizer": of.digest, "datasets": datasets})
        return str(folder)

    return save


@pytest.fixture(scope="session")
def random_model(save_random) -> str:
    """One for most tests."""
    return save_random()


@pytest.fixture(scope="session")
def requests() -> Callable[..., pa.RecordBatch]:
    """Makes rows to ask a generator for."""

    def make(texts: list[str], lang: str = "en", tgt_lang: str = "ar") -> pa.RecordBatch:
        n = len(texts)
        return pa.RecordBatch.from_pydict(
            {
                "text_id": text_ids(lang, pa.array(texts, pa.string())),
                "lang": [lang] * n,
                "text": texts,
                "corpus": ["c"] * n,
                "file": ["f"] * n,
                "line": list(range(1, n + 1)),
                "split": ["train"] * n,
                "tgt_lang": [tgt_lang] * n,
            },
            schema=REQUESTS,
        )

    return make


@pytest.fixture
def rewritten() -> Callable[..., None]:
    """Changes entries of a model's bitextile.json."""

    def rewrite(folder: str, **entries: object) -> None:
        path = Path(folder) / "bitextile.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | entries))

    return rewrite
