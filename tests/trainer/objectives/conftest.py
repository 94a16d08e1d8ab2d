"""What the tests of objectives share: encoders to try them with, and a way to look into batches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM

from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.losses import masked_lm
from bitextile.trainer.model.encoder import Encoder
from bitextile.trainer.objectives.align_mlm import AlignMlm
from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.camlm import Camlm
from bitextile.trainer.objectives.dict_mlm import DictMlm
from bitextile.trainer.objectives.dictionary import subword_entries, token_entries
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam


class Table(nn.Module):
    """An encoder without context: a vector per id, a linear head; enough to test an objective."""

    def __init__(self, vocabulary: int = 200, width: int = 6, scale: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        # float64, so that gradients can be checked by finite differences.
        drawn = torch.randn(2, vocabulary, width, generator=generator, dtype=torch.float64)
        self.vector = nn.Parameter(drawn[0])
        self.head = nn.Parameter(drawn[1] * scale)

    @property
    def table(self):
        return self.vector

    def vectors(self, packed):
        return self.vector[packed.inputs].flatten(0, 1)

    def logits(self, vectors):
        return vectors @ self.head.T

    def prediction_loss(self, vectors, targets):
        return masked_lm(self.logits(vectors), targets)


@pytest.fixture(scope="session")
def table() -> type[Table]:
    return Table


@pytest.fixture(scope="session")
def random_encoder() -> Callable[..., Encoder]:
    """Makes a random model of several layers, its attention far from uniform."""

    def make(vocabulary: int, model_type: str = "xlm-roberta", layers: int = 3, **more) -> Encoder:
        geometry = {
            "vocab_size": vocabulary,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_hidden_layers": layers,
            "intermediate_size": 48,
            "max_position_embeddings": 80,
            "pad_token_id": 1,
        }
        with torch.random.fork_rng():
            torch.manual_seed(3)
            config = AutoConfig.for_model(model_type, **(geometry | more))
            encoder = Encoder(AutoModelForMaskedLM.from_config(config))
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                if parameter.dim() == 2 and "embeddings" not in name:
                    # Fresh weights attend almost uniformly, and a wrong mask would hide within the
                    # tolerances.
                    parameter.mul_(8)
        return encoder.eval()

    return make


@dataclass(frozen=True)
class Seen:
    """What a batch holds of one input, places counted within it."""

    shown: list[int]
    roles: list[int]
    predicted: list[int]
    targets: list[int]


@pytest.fixture(scope="session")
def look() -> Callable[..., list[Seen]]:
    """Takes a batch of packed rows apart, by input."""

    def apart(batch) -> list[Seen]:
        groups = batch.packed.groups.flatten()
        seen = []
        for i, start in enumerate(batch.packed.starts.tolist()):
            # Group i + 1 is input i; 0 is padding.
            mine = groups[batch.predicted] == i + 1
            seen.append(
                Seen(
                    batch.packed.inputs.flatten()[groups == i + 1].tolist(),
                    batch.packed.attention_roles.flatten()[groups == i + 1].tolist(),
                    (batch.predicted[mine] - start).tolist(),
                    batch.targets[mine].tolist(),
                )
            )
        return seen

    return apart


@pytest.fixture(scope="session")
def objectives(datasets, word_tokenizer: Tokenizer) -> dict[str, tuple]:
    """Every objective, and the kind of dataset that it is tried on, by name."""
    lexicon = datasets["lexicon"]
    entries = subword_entries(lexicon, word_tokenizer, fraction=1.0, seed=0)
    tokens = token_entries(lexicon, word_tokenizer, fraction=1.0, seed=0)
    return {
        "mlm": (Mlm(24), "mono"),
        "tlm": (Tlm(24), "pairs"),
        "camlm": (Camlm(24), "pairs"),
        "btmlm": (Btmlm(24), "pseudo"),
        "weam": (Weam(24), "aligned"),
        "moco": (Moco(24, queue=7, projection=4), "pairs"),
        "align_mlm": (AlignMlm(24, entries), "mono"),
        "dict_mlm": (DictMlm(24, tokens), "mono"),
        "dict_mlm/from": (DictMlm(24, tokens, variant="from_synonym"), "mono"),
    }


@pytest.fixture(scope="session")
def batch_of(rows, word_tokenizer, collation) -> Callable[..., object]:
    """Makes an objective's batch of the first rows of a dataset."""

    def make(objective, kind: str, n: int = 10, tokenizer: Tokenizer = word_tokenizer, **settings):
        examples = objective.examples(rows(kind, n), np.zeros(n, np.int64), tokenizer)
        return objective.collate(examples, collation(tokenizer, **settings))

    return make
