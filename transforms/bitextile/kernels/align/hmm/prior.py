"""Known translations as a prior: from a list of words to prior counts."""

from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F32, I32, I64, offsets_of
from bitextile.kernels.text.folding import fold_for_counts
from bitextile.schema.errors import InputError


class Prior(NamedTuple):
    """Links assumed beforehand, one row per source word.

    Attributes:
        start: int64 [source words + 1], row e is start[e]:start[e + 1].
        tgt: int32 [entries], target word.
        weight: float32 [entries], links.
    """

    start: I64
    tgt: I32
    weight: F32


def normalise_lexicon(lexicon: pa.Table | None) -> pa.Table:
    """Returns the distinct entries (src, tgt, weight), lower-cased and sorted; weights add up.

    Args:
        lexicon: columns `src` and `tgt`, strings of one word each, and, where there is one,
            `weight`, a number of links that is not negative; 1 otherwise. Others are not read.

    Raises:
        InputError: a column is missing or a weight is negative or not finite.

    >>> normalise_lexicon(pa.table({"src": ["Haus", "haus"], "tgt": ["房子", "房子"]})).to_pylist()
    [{'src': 'haus', 'tgt': '房子', 'weight': 2.0}]
    """
    if lexicon is None:
        lexicon = pa.table({"src": pa.array([], pa.string()), "tgt": pa.array([], pa.string())})
    missing = {"src", "tgt"} - set(lexicon.column_names)
    if missing:
        raise InputError(
            f"the lexicon has columns {lexicon.column_names}, expected src, tgt and, if wanted, "
            "weight"
        )
    weight = np.ones(lexicon.num_rows)
    if "weight" in lexicon.column_names:
        weight = np.array(lexicon["weight"].cast(pa.float64()), np.float64)
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise InputError("the lexicon has a negative weight, or one not a number; drop the entry")
    sides = {name: fold_for_counts(lexicon[name].cast(pa.string())) for name in ("src", "tgt")}
    table = pa.table({**sides, "weight": weight}).drop_null()
    # With threads, weights would be added in an order that changes from run to run.
    sums = table.group_by(["src", "tgt"], use_threads=False).aggregate([("weight", "sum")])
    named = sums.select(["src", "tgt", "weight_sum"]).rename_columns(["src", "tgt", "weight"])
    return named.sort_by([("src", "ascending"), ("tgt", "ascending")]).combine_chunks()


def lexicon_digest(lexicon: pa.Table) -> str:
    """Returns a sha256 of the entries of `normalise_lexicon`."""
    rows = zip(*(lexicon[name].to_pylist() for name in ("src", "tgt", "weight")))
    text = "".join(f"{src}\t{tgt}\t{weight!r}\n" for src, tgt, weight in rows)
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def build_prior(lexicon: pa.Table, src_words: pa.StringArray, tgt_words: pa.StringArray) -> Prior:
    """Returns the entries both of whose words are in the vocabularies.

    Args:
        lexicon: of `normalise_lexicon`.
        src_words: string [source words], a word's index is its id.
        tgt_words: string [target words], likewise.
    """
    # A vocabulary may lack the word: a general dictionary knows far more words than a corpus.
    ids = [
        np.array(pc.fill_null(pc.index_in(lexicon[name], value_set=words), -1), np.int32)
        for name, words in (("src", src_words), ("tgt", tgt_words))
    ]
    known = (ids[0] >= 0) & (ids[1] >= 0)
    src, tgt = ids[0][known], ids[1][known]
    weight = np.array(lexicon["weight"], np.float32)[known]
    order = np.lexsort((tgt, src))
    start = offsets_of(np.bincount(src, minlength=len(src_words))[: len(src_words)])
    return Prior(start, tgt[order], weight[order])
