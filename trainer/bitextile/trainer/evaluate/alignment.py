"""Word alignment against gold links: AER, precision, recall; of a dataset or of an encoder.

    AER = 1 - (|A & S| + |A & P|) / (|A| + |S|)        A found, S sure, P possible, S within P
    precision = |A & P| / |A|        recall = |A & S| / |S|

Source: Och and Ney 2003, section 5.1. Summed over all sentences, not averaged over them.

The links are those of an aligned dataset, or of an encoder's word vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64
from bitextile.schema.dataset import open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import ALIGNED, EXCHANGE
from bitextile.schema.manifest import FILE_NAME
from bitextile.schema.storage import exists
from bitextile.trainer.evaluate.cosine import unit_rows
from bitextile.trainer.evaluate.gold import GoldPair, Links, Spans, read_gold
from bitextile.trainer.evaluate.intervals import Estimate, bootstrap
from bitextile.trainer.evaluate.task import LayerOptions, by_file_name

if TYPE_CHECKING:
    from bitextile.trainer.evaluate.vectors import Embedder


class LinkSource(Protocol):
    """Where links come from."""

    def score(self, gold: Sequence[GoldPair]) -> Any:
        """Returns an `AlignmentResult`, or several by name."""

    def settings(self) -> dict[str, Any]:
        """Returns what a report says of it."""


class AlignmentTask:
    """Links against gold links, of a dataset or from an encoder's vectors."""

    name = "alignment"
    data = "files of gold links (JSON lines)"
    options = LayerOptions

    def read(self, paths: Sequence[str], options: LayerOptions) -> dict[str, list[GoldPair]]:
        """Returns the gold pairs of each file."""
        return {name: read_gold(path) for name, path in by_file_name(paths).items()}

    def prepare(self, model: str, options: LayerOptions) -> LinkSource:
        """Returns the dataset, or the encoder."""
        if exists(f"{model}/{FILE_NAME}"):
            return DatasetLinks(model)
        from bitextile.trainer.evaluate.vectors import load_embedder

        return EncoderLinks(load_embedder(model, layer=options.layer, prefix=options.prefix))

    def metrics(self, prepared: LinkSource, data: list[GoldPair], options: LayerOptions) -> Any:
        """Returns alignment error rate, precision and recall."""
        return prepared.score(data)

    def settings(self, prepared: LinkSource, options: LayerOptions) -> dict[str, Any]:
        """Returns where the links come from."""
        return prepared.settings()


@dataclass(frozen=True)
class DatasetLinks:
    """The links of an aligned dataset."""

    path: str

    def score(self, gold: Sequence[GoldPair]) -> "AlignmentResult":
        """Returns the result on the gold pairs that are in the dataset."""
        links, found = dataset_links(self.path, gold)
        return score_links(links, found, missing=len(gold) - len(found))

    def settings(self) -> dict[str, Any]:
        """Returns that it is a dataset."""
        return {"links": "dataset"}


@dataclass(frozen=True)
class EncoderLinks:
    """Words of two sentences whose vectors are each other's nearest."""

    embedder: "Embedder"

    def score(self, gold: Sequence[GoldPair]) -> Any:
        """Returns the result on all pairs; of a run with language embeddings also with these."""
        from bitextile.trainer.evaluate.vectors import with_and_without_languages

        return with_and_without_languages(self.embedder, partial(_score, gold=gold))

    def settings(self) -> dict[str, Any]:
        """Returns layer, prefix and language embeddings of the vectors."""
        return {"links": "vectors"} | self.embedder.settings()


def _score(embedder: "Embedder", *, gold: Sequence[GoldPair]) -> "AlignmentResult | None":
    from bitextile.trainer.evaluate.vectors import embed_words

    known = [g for g in gold if embedder.knows((g.src_lang, g.tgt_lang))]
    if not known:
        return None
    src, tgt = (
        embed_words(
            embedder,
            [getattr(g, side) for g in known],
            [getattr(g, f"{side}_spans") for g in known],
            [getattr(g, f"{side}_lang") for g in known],
        )
        for side in ("src", "tgt")
    )
    links = [argmax_intersection(a, b) for a, b in zip(src.vectors, tgt.vectors)]
    truncated = int((src.truncated | tgt.truncated).sum())
    return score_links(links, known, missing=len(gold) - len(known), truncated=truncated)


@dataclass(frozen=True)
class AlignmentResult:
    """How good links are against gold.

    Attributes:
        aer: alignment error rate, 0 is best.
        precision: of the links found.
        recall: of the sure links.
        links: found in all.
        pairs: gold pairs scored.
        missing: gold pairs for which nothing was to be found; they are not scored.
        truncated: pairs with a sentence that was too long for the model.
    """

    aer: Estimate
    precision: Estimate
    recall: Estimate
    links: int
    pairs: int
    missing: int
    truncated: int


def score_links(
    found: Sequence[Links], gold: Sequence[GoldPair], *, missing: int = 0, truncated: int = 0
) -> AlignmentResult:
    """Scores links against gold.

    Args:
        found: links of each pair, in the gold's word indices.
        gold: as many pairs.
        missing: gold pairs left out, to be reported.
        truncated: pairs that were too long, to be reported.

    Raises:
        InputError: there is no pair to score.
    """
    if not gold:
        raise InputError(f"none of the {missing} gold pairs is there to be scored")
    terms = _terms(found, gold)
    return AlignmentResult(
        aer=bootstrap(terms, _aer, operation="aer"),
        precision=bootstrap(terms, lambda s: _ratio(s[1], s[2]), operation="precision"),
        recall=bootstrap(terms, lambda s: _ratio(s[0], s[3]), operation="recall"),
        links=int(terms[:, 2].sum()),
        pairs=len(gold),
        missing=missing,
        truncated=truncated,
    )


def aer_difference(
    one: Sequence[Links], other: Sequence[Links], gold: Sequence[GoldPair]
) -> Estimate:
    """Returns the error rate of the second links minus that of the first.

    Both are resampled together: pairs that are hard for both do not widen the interval.

    Args:
        one: links of each pair, in the gold's word indices.
        other: as many, of the same pairs.
        gold: as many pairs, one at least.

    >>> link = frozenset({(0, 0)})
    >>> gold = GoldPair("", "en", "de", "a", "b", ((0, 1),), ((0, 1),), sure=link, possible=link)
    >>> aer_difference([frozenset()], [link], [gold]).value
    -1.0
    """
    terms = np.concatenate([_terms(one, gold), _terms(other, gold)], axis=1)
    return bootstrap(terms, lambda s: _aer(s[4:]) - _aer(s[:4]), operation="aer")


def _terms(found: Sequence[Links], gold: Sequence[GoldPair]) -> F64:
    """Returns what each pair adds to |A & S|, |A & P|, |A| and |S|, [n, 4]."""
    return np.asarray(
        [[len(a & g.sure), len(a & g.possible), len(a), len(g.sure)] for a, g in zip(found, gold)],
        np.float64,
    )


def _aer(sums: F64) -> float:
    return 1.0 - _ratio(sums[0] + sums[1], sums[2] + sums[3])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def argmax_intersection(src: F64, tgt: F64) -> Links:
    """Returns the pairs of words that are each other's nearest by cosine.

    Args:
        src: [m, H] word vectors.
        tgt: [n, H] word vectors.

    Source: SimAlign (Jalili Sabet et al. 2020), section 2.2, Argmax.

    >>> sorted(argmax_intersection(np.eye(3), np.eye(3)[[1, 0]]))
    [(0, 1), (1, 0)]
    """
    if not len(src) or not len(tgt):
        return frozenset()
    # A word that the model did not see has a zero vector, to which no other is near.
    seen, seen_too = (np.flatnonzero(np.any(side, axis=1)).tolist() for side in (src, tgt))
    # Whole, not in blocks: the words of one pair of sentences are few.
    similarity = unit_rows(src) @ unit_rows(tgt).T
    forward, back = similarity.argmax(axis=1), similarity.argmax(axis=0)
    return frozenset(
        (i, int(j)) for i, j in enumerate(forward) if back[j] == i and i in seen and j in seen_too
    )


def dataset_links(path: str, gold: Sequence[GoldPair]) -> tuple[list[Links], list[GoldPair]]:
    """Looks gold pairs up in an aligned dataset and carries its links over to the gold's words.

    Rows are found by pair id, either way round. A word of the dataset counts as every gold word it
    shares a character with, since segmentations may differ.

    Args:
        path: of the dataset.
        gold: pairs wanted.

    Returns:
        The links of the pairs that were found, and those pairs, both in the gold's order.

    Raises:
        InputError: none of the gold pairs is in the dataset.
    """
    dataset = open_dataset(path, (ALIGNED, EXCHANGE))
    wanted = pa.array([g.pair_id for g in gold], pa.string())
    columns = ["pair_id", "src_lang", "src", "src_spans", "tgt_spans", "links"]
    rows: dict[str, dict] = {}
    for batch in dataset.batches(columns=columns):
        hits = batch.filter(pc.is_in(batch.column("pair_id"), value_set=wanted))
        rows |= {row["pair_id"]: row for row in hits.to_pylist()}
    found = [g for g in gold if g.pair_id in rows]
    if not found:
        raise InputError(
            f"{path}: none of the {len(gold)} gold pairs is in it, by id; ingest the gold's "
            "sentences with the corpus, normalised alike, before aligning"
        )
    return [_carried(rows[g.pair_id], g) for g in found], found


def _carried(row: dict, gold: GoldPair) -> Links:
    sides = [[(s["start"], s["end"]) for s in row[name]] for name in ("src_spans", "tgt_spans")]
    links = [(link["src"], link["tgt"]) for link in row["links"]]
    # A pair and its reverse have the same id, so the row may be the other way round.
    if (row["src_lang"], row["src"]) != (gold.src_lang, gold.src):
        sides, links = sides[::-1], [(j, i) for i, j in links]
    src, tgt = _overlaps(sides[0], gold.src_spans), _overlaps(sides[1], gold.tgt_spans)
    return frozenset((a, b) for i, j in links for a in src[i] for b in tgt[j])


def _overlaps(words: Sequence[tuple[int, int]], gold: Spans) -> list[list[int]]:
    # Any shared character: a word that the gold splits counts as each of its parts.
    return [[g for g, (s, e) in enumerate(gold) if s < end and start < e] for start, end in words]
