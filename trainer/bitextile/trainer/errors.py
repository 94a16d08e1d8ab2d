"""What can go wrong in training beyond data and configuration."""

from bitextile.schema.errors import BitextileError


class TrainingError(BitextileError):
    """A run cannot go on: a loss that is not finite, no usable checkpoint."""
