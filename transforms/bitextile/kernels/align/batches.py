"""Rows of kind PAIRS to rows of kind ALIGNED, a batch of one language pair at a time.

Whatever is fitted per language pair takes the sides in the order of the sorted tags, while a row
keeps the order of its input; so a reversed row is flipped for the aligner and its links back.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.alignment import MAX_WORDS
from bitextile.kernels.align.config import FitSample
from bitextile.kernels.align.engine import Aligner
from bitextile.kernels.arrays import offsets_of
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import Filtered, split_rejects
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.text.segment import Choice, cut_words, segment
from bitextile.schema.kinds import ALIGNED, LINK, PAIRS, SPANS, list_of

WORDS = list_of(pa.string())
SEGMENTED = pa.schema([*PAIRS.schema, pa.field("src_spans", SPANS), pa.field("tgt_spans", SPANS)])
SAMPLE = pa.schema([("pair_id", pa.string()), ("first", WORDS), ("second", WORDS)])


@takes_tables
def segment_pairs(batch: pa.RecordBatch, *, segmenter: Choice) -> pa.RecordBatch:
    """Returns a PAIRS batch of one language pair with the word spans of both sides appended.

    Args:
        batch: [n] rows, all with the same `src_lang` and `tgt_lang`.
        segmenter: how unspaced scripts are cut.
    """
    src_lang, tgt_lang = (batch.column(c)[0].as_py() for c in ("src_lang", "tgt_lang"))
    spans = [
        segment(batch.column(side), lang, segmenter=segmenter)
        for side, lang in (("src", src_lang), ("tgt", tgt_lang))
    ]
    columns = [batch.column(name) for name in PAIRS.schema.names]
    return pa.RecordBatch.from_arrays([*columns, *spans], schema=SEGMENTED)


def reject_uncountable(batch: pa.RecordBatch) -> Filtered:
    """Returns the rows whose words links can number, and the others as rejects.

    The value is the number of words of the longer side.

    Args:
        batch: [n] rows of `segment_pairs`.
    """
    sides = [pc.list_value_length(batch.column(side)) for side in ("src_spans", "tgt_spans")]
    words = np.max([side.to_numpy(zero_copy_only=False) for side in sides], axis=0)
    return split_rejects(
        batch,
        words <= MAX_WORDS,
        rule="too_many_words/1",
        value=words.astype(np.float64),
        detail=f"links number {MAX_WORDS:,} words of a side",
    )


def draw_sample(batch: pa.RecordBatch, *, rows: int, sample: FitSample) -> pa.RecordBatch:
    """Returns the words of the rows to fit on, sides in the order of the sorted tags.

    A row is in the sample by a draw keyed by its id, at a rate that yields about `sample.pairs` of
    the language pair's rows; so the sample is the same on any runner.

    Args:
        batch: [n] rows of `segment_pairs`, of one language pair.
        rows: how many the whole language pair has.
        sample: size and seed.

    Returns:
        [at most n] rows (pair_id, first, second), the last two list<string>.
    """
    # A rate, not the first so many by hash: each row decides for itself, so that workers need not
    # see each other's rows. The sample's size varies by the square root of `sample.pairs`.
    rate = min(1.0, sample.pairs / max(rows, 1))
    draw = uniform(hash64(batch.column("pair_id")), seed=sample.seed, operation="align/sample")
    drawn = batch if rate == 1.0 else batch.filter(pa.array(draw < rate))
    words = _words(drawn)
    return pa.RecordBatch.from_arrays([drawn.column("pair_id"), *words], schema=SAMPLE)


def join_samples(samples: Iterable[pa.RecordBatch]) -> tuple[pa.ListArray, pa.ListArray]:
    """Returns the words of both sides of a sample, whatever the order its batches arrive in.

    Args:
        samples: batches of `draw_sample`, of one language pair.
    """
    # Sorted by id, so that the bits of the model do not depend on the runner.
    table = pa.Table.from_batches(samples, SAMPLE).sort_by("pair_id").combine_chunks()
    first, second = (table.column(side).combine_chunks() for side in ("first", "second"))
    return first, second


def align_batch(batch: pa.RecordBatch, aligner: Aligner) -> pa.RecordBatch:
    """Returns the batch as kind ALIGNED.

    Args:
        batch: [n] rows of `segment_pairs`, of one language pair.
        aligner: of that language pair.
    """
    alignment = aligner.align(*_words(batch))
    links = flip_links(alignment.links) if _is_reversed(batch) else alignment.links
    columns = [batch.column(name) for name in SEGMENTED.names]
    return pa.RecordBatch.from_arrays([*columns, links, alignment.score], schema=ALIGNED.schema)


def _is_reversed(batch: pa.RecordBatch) -> bool:
    return bool(batch.num_rows and batch["src_lang"][0].as_py() > batch["tgt_lang"][0].as_py())


def _words(batch: pa.RecordBatch) -> tuple[pa.ListArray, pa.ListArray]:
    src = cut_words(batch.column("src"), batch.column("src_spans"))
    tgt = cut_words(batch.column("tgt"), batch.column("tgt_spans"))
    return (tgt, src) if _is_reversed(batch) else (src, tgt)


def flip_links(links: pa.ListArray) -> pa.ListArray:
    """Returns the links with their sides exchanged, sorted again by (src, tgt) in each row.

    Args:
        links: [n] list<struct<src, tgt, score>>.
    """
    flat = links.flatten()
    row = pc.list_parent_indices(links).to_numpy()
    src, tgt = (flat.field(side).to_numpy() for side in ("tgt", "src"))
    # src and tgt are exchanged by now; the contract of `links` is the order (src, tgt) in a row.
    order = pa.array(np.lexsort((tgt, src, row)))
    score = flat.field("score").take(order)
    columns = [pa.array(src).take(order), pa.array(tgt).take(order), score]
    lengths = pc.list_value_length(links).to_numpy(zero_copy_only=False)
    offsets = offsets_of(lengths).astype(np.int32)
    values = pa.StructArray.from_arrays(columns, fields=list(LINK))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=list_of(LINK))
