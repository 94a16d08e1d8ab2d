"""What a run's objectives trained, as bitextile.json says: the defaults of tasks."""

from typing import Any

from bitextile.trainer.model.projection import count_projections
from bitextile.trainer.objectives.config import OBJECTIVE_SETTINGS, Pooling
from bitextile.trainer.observe.card import read_provenance


def default_pooling(model: str) -> Pooling:
    """Returns the pooling that a run's objectives trained; mean where none trained any."""
    settings = [OBJECTIVE_SETTINGS.get(entry["objective"]) for entry in _entries(model)]
    trained: list[Pooling] = [s.pooling for s in settings if s is not None and s.pooling]
    found = trained[0] if trained else "mean"
    # Of two projections neither is the run's, and older runs did not write theirs: what both are
    # made of is the first token's vector.
    return "cls" if found == "projection" and count_projections(model) != 1 else found


def resets_positions(model: str) -> bool:
    """Returns whether a run learned pairs whose second sentence begins at position 0."""
    options = [entry.get("options", {}) for entry in _entries(model)]
    return any(found.get("reset_positions", False) for found in options)


def _entries(model: str) -> list[dict[str, Any]]:
    return list((read_provenance(model) or {}).get("datasets", []))
