"""Exact duplicates: one row per id, held out first, then by corpus, file and line."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, I64, Bool
from bitextile.kernels.rejects import Filtered, merge_by_row, reject_rows
from bitextile.schema.kinds import SPLITS

HELD_OUT = "held_out/1"
"""Rule of rows that stand in a corpus that is held out, of which they would give away a part."""


def drop_duplicates(batch: pa.RecordBatch, *, corpora: Sequence[str] = ()) -> Filtered:
    """Returns the first row of each id, and the others as rejects.

    Which one is first does not depend on the order of the rows: those whose `split` is test come
    first, then valid, then all others, or a test set would lose to the training data what both
    have. Among equals corpora rank as listed (then by name), their rows by file and line.

    A row that lost to one that is held out is a reject of rule `held_out/1`: the value is how many
    of its sides are, thus all, and the detail names the corpus. Others are of rule `duplicate/1`,
    and the value is how many rows share the id.

    Args:
        batch: PAIRS or MONO rows that hold every row of the ids in it.
        corpora: names, most wanted first.

    >>> rows = [dict(text_id=i, lang="he", text="שלום", corpus=c, file="f", line=n, split=s)
    ...         for i, c, n, s in [("a", "b", 1, ""), ("a", "c", 2, "test"), ("a", "c", 3, "test")]]
    >>> kept, rejects = drop_duplicates(pa.RecordBatch.from_pylist(rows), corpora=["b", "c"])
    >>> kept["line"].to_pylist(), rejects["rule"].to_pylist(), rejects["detail"].to_pylist()
    ([2], ['held_out/1', 'duplicate/1'], ['stands in corpus c (test)', ''])
    """
    if not batch.num_rows:
        return Filtered(batch, merge_by_row([]))
    order = _order(batch, corpora)
    ids = batch.column(0).dictionary_encode().indices.to_numpy()
    ordered = ids[order]
    firsts = order[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    winner = np.zeros(len(firsts), np.int64)
    winner[ids[firsts]] = firsts
    winner = winner[ids]
    loses = winner != np.arange(batch.num_rows)
    rank = split_rank(batch.column("split"))
    held_out = loses & (rank[winner] > rank)
    copies = np.bincount(ids)[ids].astype(np.float64)
    rejects = [
        _rejects_of_held_out(batch, held_out, winner),
        _rejects_of_duplicates(batch, loses & ~held_out, copies),
    ]
    return Filtered(batch.filter(pa.array(~loses)), merge_by_row(rejects))


def split_rank(split: pa.StringArray) -> I64:
    """Returns how strongly each row is held out: test 2, valid 1, all others 0.

    >>> split_rank(pa.array(["test", "", "train", "valid"])).tolist()
    [2, 0, 0, 1]
    """
    found = pc.fill_null(pc.index_in(split, pa.array(SPLITS, pa.string())), 0)
    return found.to_numpy(zero_copy_only=False).astype(np.int64)


def _order(batch: pa.RecordBatch, corpora: Sequence[str]) -> I64:
    """Returns the numbers of the rows by id, each id's most wanted row first."""
    known = pc.index_in(batch.column("corpus"), pa.array(corpora, pa.string()))
    rank = pc.fill_null(known, len(corpora))
    held_out = pa.array(-split_rank(batch.column("split")))
    # After the place come all other columns: a file that a recipe names twice, with another split
    # or its languages swapped, gives rows that differ in nothing before them.
    places = ["corpus", "file", "line"]
    others = [name for name in batch.schema.names[1:] if name not in places]
    columns = {name: batch.column(name) for name in (*places, *others)}
    table = pa.table({"id": batch.column(0), "held_out": held_out, "rank": rank} | columns)
    keys = [(name, "ascending") for name in table.column_names]
    return pc.sort_indices(table, sort_keys=keys).to_numpy()


def _rejects_of_held_out(
    batch: pa.RecordBatch, dropped: Bool, winner: I64
) -> tuple[I64, pa.RecordBatch]:
    rows = np.flatnonzero(dropped)
    winners = batch.take(pa.array(winner[rows]))
    places = zip(winners.column("corpus").to_pylist(), winners.column("split").to_pylist())
    detail = [f"stands in corpus {corpus} ({split})" for corpus, split in places]
    sides = 2.0 if "tgt" in batch.schema.names else 1.0
    return rows, reject_rows(batch.take(pa.array(rows)), rule=HELD_OUT, value=sides, detail=detail)


def _rejects_of_duplicates(
    batch: pa.RecordBatch, dropped: Bool, copies: F64
) -> tuple[I64, pa.RecordBatch]:
    rows = np.flatnonzero(dropped)
    return rows, reject_rows(batch.take(pa.array(rows)), rule="duplicate/1", value=copies[rows])
