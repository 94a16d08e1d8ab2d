"""What a run of the trainer has left behind, to compare two of them."""

import json
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM


def metrics(run: Path) -> list[dict]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    volatile = ("tokens_per_s", "data_wait")
    return [{k: v for k, v in json.loads(x).items() if k not in volatile} for x in lines]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForMaskedLM.from_pretrained(run).named_parameters())


def same_weights(one: Path, two: Path) -> bool:
    a, b = weights(one), weights(two)
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
