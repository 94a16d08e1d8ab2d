#!/usr/bin/env python
"""Training speed: packed rows beside the padded Trainer of Hugging Face, and the loader alone.

    python tests/benchmarks/train_throughput.py --data real-out     # aligned/ and tokenizer/ in it

The same pairs (multi30k and Tatoeba, as tests/real_input/recipe.yaml makes them), the same mini
model from the same weights, TLM, float32 on the CPU, about the same useful tokens per step. The
engines take turns in one process; each figure is the median of its steps, useful tokens per second
of wall time, and the ratio is that of the medians. The Trainer is run as it comes (random batches,
padded to the longest) and with its grouping by length. The loader's figure is tokens per second of
one process's CPU time, from Parquet to packed tensors.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")  # the tokenizer's threads: one process, one core
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformers import (
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.config import ModelConfig, PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.tokens import load_tokenizer
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.objectives.tlm import joined_pairs
from bitextile.trainer.train.pretrain import open_pretraining
from bitextile.trainer.train.step import train_step

BATCH_TOKENS = 4096
MAX_LENGTH = 128


def configuration(data: Path, objective: str = "tlm") -> PretrainConfig:
    """Returns the run that is timed."""
    entry = {"objective": objective, "dataset": "aligned"}
    settings: dict[str, Any] = {
        "batch_tokens": BATCH_TOKENS,
        "max_length": MAX_LENGTH,
        "language_alpha": 1,
    }
    return parse_config(
        PretrainConfig,
        {"tokenizer": "tokenizer", "data": [entry], "steps": 1000, "device": "cpu"} | settings,
        base=data.absolute(),
    )


def ours(config: PretrainConfig, n_steps: int) -> list[float]:
    """Returns useful tokens per second of each step, after two to warm up."""
    state = open_pretraining(config)
    batches = steps(state.streams, state.collation)
    rates = [train_step(state, batches)["tokens_per_s"] for _ in range(n_steps + 2)]
    return rates[2:]


def rows_of(config: PretrainConfig, n_rows: int) -> list[dict[str, list[int]]]:
    """Returns pairs as a `datasets` user has them: lists of ids, in the order of the shards."""
    tokenizer = load_tokenizer(config.tokenizer)
    dataset = open_dataset(config.data[0].dataset)
    columns = ["pair_id", "src_lang", "tgt_lang", "src", "tgt"]
    table = dataset.table(columns=columns)
    table = table.take(list(range(0, len(table), max(1, len(table) // n_rows))))
    pairs = joined_pairs(table.combine_chunks(), tokenizer, MAX_LENGTH)
    return [{"input_ids": pair.tokens.tolist()} for pair, _ in pairs]


class Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Is called by the Trainer."""
        self.ends.append(time.perf_counter())


def theirs(
    config: PretrainConfig, rows: list[dict[str, list[int]]], n_steps: int, *, by_length: bool
) -> list[float]:
    """Returns useful tokens per second of each step, after two to warm up."""
    tokenizer = load_tokenizer(config.tokenizer)
    encoder = build_encoder(ModelConfig(preset="mini"), tokenizer, max_length=MAX_LENGTH, seed=0)
    mean = statistics.fmean(len(row["input_ids"]) for row in rows)
    useful: list[int] = []
    masked = DataCollatorForLanguageModeling(tokenizer.pretrained, mlm_probability=0.15)

    def collate(batch: list[dict[str, list[int]]]) -> Any:
        useful.append(sum(len(row["input_ids"]) for row in batch))
        return masked(batch)

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=round(BATCH_TOKENS / mean),
            max_steps=n_steps + 2,
            learning_rate=config.lr,
            train_sampling_strategy="group_by_length" if by_length else "random",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(
            encoder.mlm, arguments, train_dataset=rows, data_collator=collate, callbacks=[clock]
        )
        trainer.train()
    seconds = [b - a for a, b in zip(clock.ends, clock.ends[1:])]
    return [n / s for n, s in zip(useful[1:], seconds)][1:]


def loader(config: PretrainConfig, n_steps: int) -> float:
    """Returns tokens per second of CPU time of the loader in one process."""
    state = open_pretraining(config)
    batches = steps(state.streams, state.collation)
    next(batches)
    began = time.process_time()
    tokens = sum(b.n_tokens for _ in range(n_steps) for b in next(batches))
    return tokens / (time.process_time() - began)


def main() -> None:
    """Runs all and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = configuration(args.data)
    rows = rows_of(config, 20_000)
    rates: dict[str, list[float]] = {"packed": [], "Trainer": [], "Trainer, by length": []}
    for _ in range(args.rounds):
        rates["packed"] += ours(config, args.steps)
        rates["Trainer"] += theirs(config, rows, args.steps, by_length=False)
        rates["Trainer, by length"] += theirs(config, rows, args.steps, by_length=True)
    packed = statistics.median(rates["packed"])
    print("| engine | useful tokens/s | packed is |\n|---|---|---|")
    for name, values in rates.items():
        rate = statistics.median(values)
        print(f"| {name} | {rate:,.0f} | {packed / rate:.2f} x |")
    torch.set_num_threads(1)
    for objective in ("mlm", "tlm", "weam", "camlm", "moco"):
        rate = loader(configuration(args.data, objective), 60)
        print(f"| loader, {objective} | {rate:,.0f} per CPU second | |")


if __name__ == "__main__":
    main()
