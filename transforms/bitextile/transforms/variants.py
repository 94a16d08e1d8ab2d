"""Variants of aligned pairs: words exchanged, words switched into the other language."""

from dataclasses import dataclass, field
from functools import partial

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.codeswitch import CodeswitchConfig, switch_by_alignment
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.transforms.batches import SieveBatches, Sieved


@dataclass(eq=False)
class ExchangeWords(beam.PTransform):
    """Swaps linked words between the two sentences: rows of ALIGNED to rows of EXCHANGE.

    Attributes:
        config: rate, which links, how many variants.
    """

    config: ExchangeConfig = field(default_factory=ExchangeConfig)

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one pair becomes."""
        return self.config.variants

    @no_annotations
    def expand(self, aligned: beam.PCollection) -> Sieved:
        """Returns kept and rejected batches."""
        return aligned | SieveBatches(partial(exchange, config=self.config), "ExchangeWords")


@dataclass(eq=False)
class SwitchWords(beam.PTransform):
    """Replaces words by their linked words: rows of ALIGNED to rows of CODESWITCH.

    Attributes:
        config: rates, sides, how many variants.
    """

    config: CodeswitchConfig = field(default_factory=CodeswitchConfig)

    @property
    def outputs_per_row(self) -> int:
        """Rows, kept or rejected, that one pair becomes."""
        return self.config.variants * (2 if self.config.sides == "both" else 1)

    @no_annotations
    def expand(self, aligned: beam.PCollection) -> Sieved:
        """Returns kept and rejected batches."""
        kernel = partial(switch_by_alignment, config=self.config)
        return aligned | SieveBatches(kernel, "SwitchWords")
