"""What the sections of the GPU check share: sizes, configurations, rows of the result."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config

ENTRIES: dict[str, dict[str, Any]] = {
    "mlm": {"dataset": "mono"},
    "tlm": {"dataset": "pairs"},
    "weam": {"dataset": "aligned"},
    "camlm": {"dataset": "pairs"},
    "btmlm": {"dataset": "pseudo"},
    "moco": {"dataset": "pairs", "queue": 512},
    "align_mlm": {"dataset": "pairs", "lexicon": "lexicon"},
    "dict_mlm": {"dataset": "pairs", "lexicon": "lexicon"},
}
"""Entry of a mixture for each objective, over the datasets that make_data.py writes."""

SMALL = {
    "model_type": "xlm-roberta",
    "num_hidden_layers": 2,
    "hidden_size": 128,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
"""A model without dropout, so that devices can be compared."""


@dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes:
        data: folder of make_data.py.
        out: folder of the results.
        device: that is measured.
        tiny: sizes for a CPU.
    """

    data: Path
    out: Path
    device: torch.device
    tiny: bool

    @property
    def large_tokenizer(self) -> str:
        """Folder of the tokenizer that speed is measured with: XLM-R's where it was given."""
        large = self.data / "tokenizer-large"
        return str(large if large.is_dir() else self.data / "tokenizer")

    def config(self, objective: str, **settings: Any) -> PretrainConfig:
        """Returns the configuration of a run over one objective."""
        content: dict[str, Any] = {
            "tokenizer": str(self.data / "tokenizer"),
            "data": [{"objective": objective} | ENTRIES[objective]],
            "steps": 10_000,
            "device": self.device.type,
            "language_alpha": 1,
            "warmup_steps": 10,
        }
        return parse_config(PretrainConfig, content | settings, base=self.data)


@dataclass(frozen=True)
class Row:
    """A figure of the result.

    Attributes:
        section: it was found in.
        what: was measured.
        value: with its unit.
        goal: it is to reach; empty where a difference is held to a tolerance or nothing is asked.
        met: whether it does; None where nothing is asked.
    """

    section: str
    what: str
    value: str
    goal: str = ""
    met: bool | None = None
