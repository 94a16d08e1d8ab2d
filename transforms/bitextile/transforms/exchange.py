"""Word exchange in a pipeline: linked words change places between the sentences of a pair."""

from dataclasses import dataclass, field
from functools import partial

import apache_beam as beam
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.kernels.text.truecase import EMPTY_CASING, Casing
from bitextile.transforms.batches import AnyRows, FilterBatches, TrackedRows


@dataclass(eq=False)
class ExchangeWords(beam.PTransform):
    """Swaps linked words between the two sentences: rows of ALIGNED to rows of EXCHANGE.

    Attributes:
        config: rate, which links, how many variants.
        casing: with `recase`, what `casing_of` counted; what it has not seen keeps its capital.
    """

    config: ExchangeConfig = field(default_factory=ExchangeConfig)
    casing: Casing = EMPTY_CASING

    @no_annotations
    def expand(self, aligned: AnyRows) -> TrackedRows:
        """Returns the pairs with their exchanged forms: a row or a reject for each variant."""
        kernel = partial(exchange, config=self.config, casing=self.casing)
        n = self.config.variants
        return aligned | FilterBatches(kernel, "ExchangeWords", outputs_per_row=n)
