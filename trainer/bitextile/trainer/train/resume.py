"""Where a run stands: its state as JSON, taken from all ranks, given back to any number of them."""

from pathlib import Path
from typing import Any

from bitextile.schema.errors import ConfigError
from bitextile.trainer.train.checkpoint import load_state, load_training_tensors
from bitextile.trainer.train.state import TrainState


def run_state(state: TrainState) -> dict[str, Any]:
    """Returns the run's state; every rank must call it, as each knows its own streams only."""
    mine: list[Any] = [[stream, counters] for stream, counters in state.counters.items()]
    reports = state.group.collect(lambda: mine)
    streams = sorted((pair for report in reports for pair in report), key=lambda pair: pair[0])
    return {
        "step": state.step,
        "tokens": state.tokens,
        "seed": state.config.seed,
        "streams": [counters for _, counters in streams],
        "run": state.fingerprint,
    }


def restore(state: TrainState, last: Path) -> None:
    """Puts a run that stands at its beginning where a checkpoint was taken, but for the encoder.

    Args:
        state: opened from the checkpoint.
        last: the checkpoint.

    Raises:
        ConfigError: a setting or dataset differs from the run's.
        TrainingError: the checkpoint is damaged.
    """
    # The weights are the encoder's already: `last` was its checkpoint.
    saved = load_state(last)
    now = state.fingerprint
    for name, before in saved["run"].items():
        if now.get(name) != before:
            raise ConfigError(
                f"{last}: was trained with {name} = {before}, the configuration now says "
                f"{now.get(name)}; a run resumes only as it began: change it back or start over"
            )
    load_training_tensors(
        last,
        encoder=state.encoder,
        objective_modules=state.objective_modules,
        optimiser=state.optimiser,
    )
    # By index: a rank may have other streams than the one that wrote them.
    for stream in state.streams:
        stream.restore(saved["streams"][stream.index])
        state.counters[stream.index] = saved["streams"][stream.index]
    state.step, state.tokens = saved["step"], saved["tokens"]
