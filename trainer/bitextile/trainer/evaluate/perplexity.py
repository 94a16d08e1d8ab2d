"""Masked perplexity per language: fixed masks keyed by row id, so that models can be compared.

    exp( - (1 / |M|) sum_{k in M} log p(x_k | R_k) )      M: 15 % of positions, all shown as [MASK]

Alone, or conditional on the translation, which is then in the input too, without masks. A
perplexity per subword: comparable between models with the same tokenizer only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import ALIGNED, MONO, PAIRS, Kind
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import SplitOptions, by_file_name

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.vectors import Embedder


@dataclass(frozen=True)
class PerplexityResult:
    """Masked perplexity of one language.

    Attributes:
        perplexity: per masked subword.
        sentences: read.
        predictions: masked subwords.
        truncated: inputs that were too long for the model.
    """

    perplexity: Estimate
    sentences: int
    predictions: int
    truncated: int


class PerplexityTask:
    """Masked perplexity of sentences; of a pair each side is a sentence of its own."""

    name = "perplexity"
    data = "mono, pairs or aligned datasets"
    options = SplitOptions
    kinds: ClassVar[tuple[Kind, ...]] = (MONO, PAIRS, ALIGNED)
    conditional: ClassVar[bool] = False

    def read(self, paths: Sequence[str], options: SplitOptions) -> dict[str, Dataset]:
        """Returns the datasets, opened."""
        return {name: open_dataset(path, self.kinds) for name, path in by_file_name(paths).items()}

    def prepare(self, model: str, options: SplitOptions) -> "Embedder":
        """Returns the encoder."""
        from bitextile.trainer.evaluate.vectors import load_embedder

        return load_embedder(model, predicts=True)

    def metrics(self, prepared: "Embedder", data: Dataset, options: SplitOptions) -> Any:
        """Returns the perplexity of each language; see `with_and_without_languages`."""
        from bitextile.trainer.evaluate.vectors import with_and_without_languages

        return with_and_without_languages(
            prepared, lambda embedder: self._by_language(embedder, data, options)
        )

    def _by_language(
        self, embedder: "Embedder", data: Dataset, options: SplitOptions
    ) -> dict[str, PerplexityResult] | None:
        from bitextile.trainer.evaluate.masked_lm import likelihoods, masked_examples

        examples = masked_examples(
            embedder,
            data,
            split=options.only_split,
            max_rows=options.max_rows,
            conditional=self.conditional,
        )
        if not examples and embedder.languages is None:
            split = options.only_split
            raise InputError(f"{data.path}: no row of split {split!r}; give --split, or all")
        reset = self.resets_positions(embedder, options)
        results = {
            lang: perplexity(
                likelihoods(embedder, found, reset_positions=reset),
                truncated=sum(e.n_truncated > 0 for e in found),
            )
            for lang, found in sorted(examples.items())
        }
        return results or None

    def resets_positions(self, prepared: "Embedder", options: SplitOptions) -> bool:
        """Returns False: there is one sentence."""
        return False

    def settings(self, prepared: "Embedder", options: SplitOptions) -> dict[str, Any]:
        """Returns the split, and languages with an embedding."""
        languages = list(prepared.languages or ())
        return {"split": options.split} | ({"language_embeddings": languages} if languages else {})


@dataclass(frozen=True, kw_only=True)
class ConditionalOptions(SplitOptions):
    """Which rows, and how a pair is shown."""

    positions: Literal["continued", "reset"] | None = None
    """Positions of the second sentence: `continued` from the first, or `reset` to 0 (XLM). By
    default as `tlm` of the run had them."""


class ConditionalPerplexityTask(PerplexityTask):
    """Masked perplexity of a sentence given its translation, both ways."""

    name = "conditional-perplexity"
    data = "pairs or aligned datasets"
    options = ConditionalOptions
    kinds = (PAIRS, ALIGNED)
    conditional = True

    def resets_positions(self, prepared: "Embedder", options: ConditionalOptions) -> bool:  # type: ignore[override]
        """Returns whether the second sentence begins at position 0."""
        if options.positions is None:
            return prepared.resets_positions
        return options.positions == "reset"

    def settings(self, prepared: "Embedder", options: ConditionalOptions) -> dict[str, Any]:  # type: ignore[override]
        """Returns also how positions were counted."""
        reset = self.resets_positions(prepared, options)
        return super().settings(prepared, options) | {
            "positions": "reset" if reset else "continued"
        }


def perplexity(terms: Sequence[tuple[float, int]], *, truncated: int = 0) -> PerplexityResult:
    """Returns the perplexity of sentences.

    Args:
        terms: of each sentence the summed negative log likelihood, nats, and the predictions.
        truncated: inputs that were too long, to be reported.

    Raises:
        InputError: there is no prediction.

    >>> perplexity([(math.log(8), 2), (math.log(2), 2)]).perplexity.value
    2.0
    """
    sums = np.asarray(terms, np.float64).reshape(-1, 2)
    if not sums[:, 1].sum():
        raise InputError("too few sentences: not one subword was masked; give more data")
    return PerplexityResult(
        # The operation keys the resamples, so it keeps the name the task had.
        bootstrap(sums, lambda s: math.exp(s[0] / max(s[1], 1.0)), operation="mlm"),
        sentences=len(sums),
        predictions=int(sums[:, 1].sum()),
        truncated=truncated,
    )
