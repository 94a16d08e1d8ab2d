"""Where a run stands: its state as JSON, taken from all ranks, given back to any number of them."""

import json
from pathlib import Path
from typing import Any

from bitextile.schema.errors import ConfigError
from bitextile.trainer.distributed.process_group import fail_together
from bitextile.trainer.errors import TrainingError
from bitextile.trainer.train.checkpoint import load_optimiser, load_state
from bitextile.trainer.train.step import Training


def state_of(training: Training) -> dict[str, Any]:
    """Returns the run's state; every rank must call it, as each knows its own lanes only."""
    mine: list[Any] = [[lane, counters] for lane, counters in training.counters.items()]
    reports = training.ranks.all(lambda: mine)
    lanes = sorted((pair for report in reports for pair in report), key=lambda pair: pair[0])
    return {
        "step": training.step,
        "tokens": training.tokens,
        "seed": training.config.seed,
        "lanes": [counters for _, counters in lanes],
        "run": training.settings,
    }


def check_alike(training: Training) -> None:
    """Checks that all ranks have the same configuration and see the same data.

    Raises:
        TrainingError: they do not, as on machines with copies of their own.
    """
    found = training.ranks.all(lambda: json.dumps(training.settings, sort_keys=True))
    other = next((rank for rank, one in enumerate(found) if one != found[0]), None)
    if other is not None:
        error = TrainingError(
            f"rank {other} has another configuration, tokenizer or dataset than rank 0; give all "
            "machines the same files"
        )
        fail_together(training.ranks, error)


def restore(training: Training, last: Path) -> None:
    """Puts a run that stands at its beginning where a checkpoint was taken, but for the encoder.

    Args:
        training: prepared from the checkpoint.
        last: the checkpoint.

    Raises:
        ConfigError: a setting or dataset differs from the run's.
        TrainingError: the checkpoint is damaged.
    """
    state = load_state(last)
    now = training.settings
    for name, before in state["run"].items():
        if now.get(name) != before:
            raise ConfigError(
                f"{last}: was trained with {name} = {before}, the configuration now says "
                f"{now.get(name)}; a run resumes only as it began: change it back or start anew"
            )
    load_optimiser(last, encoder=training.encoder, own=training.own, optimiser=training.optimiser)
    for lane in training.lanes:
        lane.restore(state["lanes"][lane.lane])
        training.counters[lane.lane] = state["lanes"][lane.lane]
    training.step, training.tokens = state["step"], state["tokens"]
