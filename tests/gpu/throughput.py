"""Training speed at base geometry: packed rows with either attention, compiled or not, and Trainer.

Useful tokens are those of the inputs, special ones included, without padding. The variants compute
on micro-batches that were collated beforehand; `loader` then measures the fastest one with its
loader workers, and how long a step waits for them. Trainer learns TLM from the same sentence pairs,
a step of as many useful tokens as one of our micro-batches has, in random batches padded to their
longest and in batches grouped by length; its collator has as many worker processes as ours.
"""

import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import torch
from setting import SMALL, Row, Setting
from transformers import (
    AutoModelForMaskedLM,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from bitextile.schema.dataset import open_dataset
from bitextile.trainer.config import ModelConfig, PretrainConfig
from bitextile.trainer.data.loader import steps
from bitextile.trainer.data.tokens import load_tokenizer
from bitextile.trainer.model.build import build_encoder
from bitextile.trainer.objectives.tlm import joined_pairs
from bitextile.trainer.train.pretrain import PretrainState, open_pretraining
from bitextile.trainer.train.step import train_step

MAX_LENGTH = 256
BEST: dict[str, Any] = {"attention": "flex", "compile": True}


def settings(setting: Setting) -> dict[str, Any]:
    """Returns the settings of a run: of half a million useful tokens a step, if not tiny."""
    if setting.tiny:
        return {
            "model": {"config": SMALL},
            "batch_tokens": 512,
            "grad_accumulation": 2,
            "max_length": 128,
        }
    return {
        "model": {"preset": "base"},
        "batch_tokens": 65_536,
        "grad_accumulation": 8,
        "max_length": MAX_LENGTH,
        "lr": 1e-4,
    }


def config(setting: Setting, objective: str = "tlm", **more: Any) -> PretrainConfig:
    """Returns the configuration of a timed run."""
    shared = settings(setting) | {"tokenizer": setting.large_tokenizer}
    if setting.device.type == "cpu":
        more = more | {"attention": "dense", "compile": False}
    return setting.config(objective, **(shared | more))


def variants(setting: Setting) -> dict[str, dict[str, Any]]:
    """Returns what is compared, by name."""
    found = {
        "flex, compiled": BEST,
        "flex": {"attention": "flex"},
        "dense, compiled": {"attention": "dense", "compile": True},
        "dense": {"attention": "dense"},
        "flex, compiled, gradient checkpointing": BEST | {"gradient_checkpointing": True},
    }
    return {"dense": found["dense"]} if setting.device.type == "cpu" else found


def n_steps(setting: Setting) -> tuple[int, int]:
    """Returns steps to warm up and steps to time."""
    return (1, 2) if setting.tiny else (3, 6)


def clear(setting: Setting) -> None:
    """Gives back what the last run held."""
    gc.collect()
    torch.compiler.reset()
    if setting.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(setting: Setting) -> str:
    """Returns the most memory of the device in use, as text."""
    if setting.device.type != "cuda":
        return "-"
    return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"


def collated(state: PretrainState, n: int) -> Iterator[list[Any]]:
    """Returns `n` steps of micro-batches that are made now, over and over."""
    ready = list(itertools.islice(steps(state.streams, state.collation), n))
    if state.device.type == "cuda":
        ready = [[batch.pin_memory() for batch in step] for step in ready]
    return itertools.cycle(ready)


def measure(setting: Setting, chosen: PretrainConfig) -> dict[str, float]:
    """Returns the medians of a run's metrics over its timed steps, and how long compiling took."""
    warm, timed = n_steps(setting)
    state = open_pretraining(chosen)
    batches = collated(state, 2)
    began = time.perf_counter()
    for _ in range(warm):
        train_step(state, batches)
    seconds = time.perf_counter() - began
    found = [train_step(state, batches) for _ in range(timed)]
    names = [n for n in ("tokens_per_s", "mfu", "padding", "data_wait") if n in found[0]]
    return {n: statistics.median(f[n] for f in found) for n in names} | {"warm_up": seconds}


def rows(setting: Setting) -> list[Row]:
    """Returns a row per variant, and per objective with the fastest one."""
    found = []
    for name, variant in variants(setting).items():
        clear(setting)
        found += _timed(setting, name, config(setting, **variant), goal=variant is BEST)
    for objective in ("moco",) if setting.tiny else ("mlm", "weam", "camlm", "moco"):
        clear(setting)
        found += _timed(setting, f"{objective}, best variant", config(setting, objective, **BEST))
    return found


def _timed(setting: Setting, name: str, chosen: PretrainConfig, *, goal: bool = False) -> list[Row]:
    try:
        values = measure(setting, chosen)
    except Exception as error:  # noqa: BLE001 - the other variants are still wanted
        return [Row("throughput", name, f"{type(error).__name__}: {str(error)[:200]}", "", False)]
    mfu = values.get("mfu")
    shown = f"{values['tokens_per_s']:,.0f} tokens/s, padding {values['padding']:.1%}"
    shown += "" if mfu is None else f", MFU {mfu:.1%}"
    shown += f", {peak_memory(setting)}, warm-up {values['warm_up']:.0f} s"
    aim = "MFU >= 40 %" if goal else ""
    return [Row("throughput", name, shown, aim, mfu >= 0.4 if goal and mfu is not None else None)]


def loader_rows(setting: Setting) -> list[Row]:
    """Returns how long a step of the fastest variant waits for its loader workers."""
    found = []
    warm, timed = (1, 2) if setting.tiny else (4, 16)
    for objective in ("tlm", "weam"):
        clear(setting)
        workers = 1 if setting.tiny else 8
        state = open_pretraining(config(setting, objective, workers=workers, **BEST))
        cuda = state.device.type == "cuda"
        batches = steps(state.streams, state.collation, workers=workers, pin=cuda)
        with closing(batches):
            values = [train_step(state, batches) for _ in range(warm + timed)][warm:]
        wait = statistics.fmean(v["data_wait"] for v in values)
        rate = statistics.median(v["tokens_per_s"] for v in values)
        what = f"{objective}, {workers} loader workers"
        shown = f"{rate:,.0f} tokens/s, data wait {wait:.2%}"
        if "mfu" in values[0]:
            shown += f", MFU {statistics.median(v['mfu'] for v in values):.1%}"
        found.append(Row("loader", what, shown, "wait < 2 %", wait < 0.02))
    return found


class _CountingTrainer(Trainer):
    """Notes the useful tokens of each micro-batch."""

    useful: list[int]

    def training_step(self, model: Any, inputs: dict[str, Any], *more: Any) -> Any:
        """Is called for each micro-batch."""
        self.useful.append(int(inputs["attention_mask"].sum()))
        return super().training_step(model, inputs, *more)


class _Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Is called by the Trainer."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def _pairs(chosen: PretrainConfig, n: int) -> list[dict[str, list[int]]]:
    """Returns sentence pairs as lists of ids, evenly from the whole dataset."""
    tokenizer = load_tokenizer(chosen.tokenizer)
    columns = ["pair_id", "src_lang", "tgt_lang", "src", "tgt"]
    table = open_dataset(chosen.data[0].dataset).table(columns=columns)
    table = table.take(list(range(0, len(table), max(1, len(table) // n)))).combine_chunks()
    joined = joined_pairs(table, tokenizer, chosen.max_length)
    return [{"input_ids": pair.tokens.tolist()} for pair, _ in joined]


def trainer_rate(setting: Setting, *, by_length: bool) -> float:
    """Returns useful tokens per second of transformers' Trainer."""
    chosen = config(setting)
    tokenizer = load_tokenizer(chosen.tokenizer)
    encoder = build_encoder(
        ModelConfig.model_validate(chosen.model.model_dump()),
        tokenizer,
        max_length=chosen.max_length,
        seed=0,
    )
    pairs = _pairs(chosen, 400 if setting.tiny else 30_000)
    mean = statistics.fmean(len(pair["input_ids"]) for pair in pairs)
    # Its micro-batches are a sixteenth: logits of every position, in float32, fill the memory.
    rows = max(1, round(chosen.batch_tokens / 16 / mean))
    accumulation = 16
    warm, timed = n_steps(setting)
    masked = DataCollatorForLanguageModeling(tokenizer.pretrained, mlm_probability=0.15)
    clock, cuda = _Clock(), setting.device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=accumulation,
            max_steps=warm + timed,
            train_sampling_strategy="group_by_length" if by_length else "random",
            bf16=cuda,
            use_cpu=not cuda,
            dataloader_num_workers=0 if setting.tiny else 8,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        mlm: AutoModelForMaskedLM = encoder.mlm
        trainer = _CountingTrainer(
            mlm, arguments, train_dataset=pairs, data_collator=masked, callbacks=[clock]
        )
        trainer.useful = useful = []
        trainer.train()
    tokens = [sum(useful[i : i + accumulation]) for i in range(0, len(useful), accumulation)]
    seconds = [b - a for a, b in itertools.pairwise(clock.ends)]
    rates = [n / s for n, s in zip(tokens[1:], seconds)]
    return statistics.median(rates[warm - 1 :])


def trainer_rows(setting: Setting) -> list[Row]:
    """Returns Trainer's speed beside that of the fastest variant, measured again in turn."""
    found = []
    clear(setting)
    ours = measure(setting, config(setting, **BEST))["tokens_per_s"]
    for name, by_length, goal in (("padded", False, "packed >= 3 x"), ("by length", True, "")):
        clear(setting)
        rate = trainer_rate(setting, by_length=by_length)
        shown = f"{rate:,.0f} tokens/s, {peak_memory(setting)}; packed is {ours / rate:.2f} x"
        met = ours / rate >= 3 if goal else None
        found.append(Row("trainer", f"Trainer, {name}", shown, goal, met))
    return found
