"""Requests to a model, the rows that it generates, and the interface of engines.

    MONO  --draw_targets-->  REQUESTS  --a model-->  GENERATED  --filter_translations-->  PSEUDO

An engine is a small picklable description of a model; `load`, called once in each worker process,
makes of it a plain function over batches. Whatever runs the function (Beam, a loop, a test) needs
to know nothing else about the model. Of generation, this file has the interface and the rows,
trainer/generate/ the engines, filters/translation.py what is kept, and transforms/generation.py
the steps of a pipeline.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

import numpy as np
import pyarrow as pa

from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import Filtered
from bitextile.schema.errors import ConfigError
from bitextile.schema.fromtext import FromText
from bitextile.schema.ids import language_tag
from bitextile.schema.kinds import MONO, PSEUDO

REQUESTS = pa.schema([*MONO.schema, pa.field("tgt_lang", pa.string(), False)])
"""Rows of MONO, each with the language it is to be translated into."""
GENERATED = pa.schema([*PSEUDO.schema, *(MONO.schema.field(c) for c in ("corpus", "file", "line"))])
"""Rows of PSEUDO with the provenance that rejects have."""
TOO_LONG_FOR_MODEL = "too_long_for_model/1"
"""Rule of sentences that an engine cannot take whole: truncated, one would be paired with the
translation of another."""
_SCORE_STEP = 1e-3
"""Scores are multiples of it: the last bits of a sum depend on the batch, a thousandth hardly."""


class InferenceFn(Protocol):
    """A loaded model: a pure function of a batch."""

    def __call__(self, batch: pa.RecordBatch) -> Filtered:
        """Returns what the model made of the rows, and those it cannot take, as rejects."""


class Engine(Protocol):
    """What a pipeline ships to its workers in place of a model; picklable."""

    @property
    def folder(self) -> str:
        """Of the model; every worker must have it."""

    @property
    def digest(self) -> str:
        """Of the model's files where the pipeline was built; a worker compares its own."""

    def load(self) -> InferenceFn:
        """Returns the model, loaded; called once in a worker process."""


def parse_weights(spec: str | Mapping[str, float]) -> dict[str, float]:
    """Returns language to weight of `LANG[:WEIGHT],...` or of such a mapping, by tag.

    Raises:
        ConfigError: a tag is invalid, a weight is no number above 0, or a language is named twice.

    >>> parse_weights("fr,de:2")
    {'de': 2.0, 'fr': 1.0}
    """
    if isinstance(spec, Mapping):
        # Through the text form, so that a recipe's mapping meets the same checks as the command
        # line.
        spec = ",".join(f"{tag}:{weight}" for tag, weight in spec.items())
    weights: dict[str, float] = {}
    for part in spec.split(","):
        tag, colon, number = part.strip().partition(":")
        tag = language_tag(tag)
        try:
            weight = float(number) if colon else 1.0
        except ValueError:
            weight = 0.0
        # Also false for NaN.
        if not 0 < weight < float("inf"):
            raise ConfigError(f"{part!r}: expected LANG or LANG:WEIGHT, a weight above 0")
        if tag in weights:
            raise ConfigError(f"{tag} is named twice in {spec!r}; add the weights up")
        weights[tag] = weight
    return dict(sorted(weights.items()))


TargetWeights = Annotated[Mapping[str, float], FromText(parse_weights, "LANG[:WEIGHT],...")]
"""Sampling weight of each target language; a mapping, or as `de:2,fr`."""


def draw_targets(
    batch: pa.RecordBatch, *, weights: Mapping[str, float], seed: int
) -> pa.RecordBatch:
    """Returns the rows with a target language each, never a sentence's own.

    Args:
        batch: rows of MONO.
        weights: of the languages; a draw is in proportion to them.
        seed: of the draws, which are keyed by record id.

    Returns:
        Rows of REQUESTS.

    Raises:
        ConfigError: no language but a sentence's own is wanted.

    >>> from bitextile.schema.ids import text_ids
    >>> texts = pa.array(["Guten Tag!", "Ja."])
    >>> rows = pa.RecordBatch.from_pydict({"text_id": text_ids("de", texts), "lang": ["de", "de"],
    ...     "text": texts, "corpus": ["c"] * 2, "file": ["f"] * 2, "line": [1, 2],
    ...     "split": ["train"] * 2}, schema=MONO.schema)
    >>> draw_targets(rows, weights={"ar": 1.0, "de": 9.0}, seed=0)["tgt_lang"].to_pylist()
    ['ar', 'ar']
    """
    draws = uniform(hash64(batch.column("text_id")), seed=seed, operation="backtranslate/language")
    own = np.asarray(batch.column("lang").to_pylist(), object)
    drawn = np.full(batch.num_rows, "", object)
    for lang in sorted(set(own)):
        tags = [tag for tag in sorted(weights) if tag != lang]
        if not tags:
            raise ConfigError(f"sentences are in {lang}, and no other language is wanted; name one")
        # By language of the sentence, as each has other targets: all but itself.
        here = own == lang
        ends = np.cumsum([weights[tag] for tag in tags])
        # A draw next to 1 may round up to the last end, hence the minimum below.
        place = np.searchsorted(ends, draws[here] * ends[-1], side="right")
        drawn[here] = np.asarray(tags, object)[np.minimum(place, len(tags) - 1)]
    columns = [*(batch.column(c) for c in MONO.schema.names), pa.array(drawn, pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=REQUESTS)


def generated_rows(
    requests: pa.RecordBatch,
    *,
    texts: Sequence[str],
    tokens: Sequence[Sequence[str]],
    scores: Sequence[float],
    generator: str,
) -> pa.RecordBatch:
    """Returns rows of GENERATED.

    Args:
        requests: [n] rows of REQUESTS.
        texts: [n] translations; white space is collapsed.
        tokens: [n] those of each translation, as the model's tokenizer calls them.
        scores: [n] mean log probabilities; rounded to a thousandth.
        generator: names the model in every row.
    """
    columns = {
        "text_id": requests.column("text_id"),
        "src_lang": requests.column("lang"),
        "tgt_lang": requests.column("tgt_lang"),
        "src": requests.column("text"),
        # A line break or tab would break every line format, and the normaliser does not see these
        # rows.
        "tgt": [" ".join(text.split()) for text in texts],
        "tgt_tokens": tokens,
        "score": [round(score / _SCORE_STEP) * _SCORE_STEP for score in scores],
        "generator": [generator] * requests.num_rows,
        **{c: requests.column(c) for c in ("corpus", "file", "line")},
    }
    return pa.RecordBatch.from_pydict(columns, schema=GENERATED)
