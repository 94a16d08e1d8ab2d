"""Exact duplicates: one row per id, held out first, then by corpus, file and line.

Rows of one id may be millions, of which one is kept. So they are gone through in parts, twice: each
part is reduced to the row of each id that comes first in it, among which those are found that come
first of all; then each part is told which of its rows these are.

    part 0: a a b    part 1: a c c      first in part: a0 b0 | a1 c0      first of all: a0 b0 c0
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, I64, Bool
from bitextile.kernels.rejects import Filtered, join, merge_by_row, reject_rows
from bitextile.kernels.rows import takes_tables
from bitextile.schema.kinds import SPLITS

HELD_OUT = "held_out/1"
"""Rule of rows that stand in a corpus that is held out, of which they would give away a part."""


@takes_tables
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
    return Duplicates([batch], corpora=corpora).drop(0, batch)


class Duplicates:
    """Which row of each id comes first, found in one pass over parts and told in a second.

    What is held of a part is its first row of each id and four bytes a row.

    Args:
        parts: PAIRS or MONO rows, with every row of the ids in them.
        corpora: as in `drop_duplicates`.
    """

    def __init__(self, parts: Iterable[pa.RecordBatch], *, corpora: Sequence[str] = ()) -> None:
        self._codes: list[npt.NDArray[np.int32]] = []
        best, rows, copies = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for part in parts:
            codes, firsts = _first_rows(part, corpora)
            self._codes.append(codes.astype(np.int32))
            best.append(part.take(pa.array(firsts)))
            rows.append(firsts)
            copies.append(np.bincount(codes, minlength=len(firsts)))
        # Of each entry of `best`: its number in its part, and the entry that comes first of its id.
        self._best = join(best, best[0].schema) if best else None
        self._row = np.concatenate(rows)
        self._begins = np.cumsum([0, *map(len, best)])
        if self._best is not None:
            codes, firsts = _first_rows(self._best, corpora)
            self._winner = firsts[codes]
            self._copies = np.bincount(codes, weights=np.concatenate(copies))[codes]
            self._rank = split_rank(self._best.column("split"))

    def drop(self, number: int, part: pa.RecordBatch) -> Filtered:
        """Returns the rows of a part that come first, and the others as rejects.

        Args:
            number: which of the parts it is, from 0.
            part: with its rows in the same order.
        """
        if self._best is None or not part.num_rows:
            return Filtered(part, merge_by_row([]))
        begin, end = self._begins[number : number + 2]
        entry = begin + self._codes[number]
        winner = self._winner[entry]
        rows = np.arange(part.num_rows)
        loses = ~((winner >= begin) & (winner < end) & (self._row[winner] == rows))
        held_out = self._rank[winner] > split_rank(part.column("split"))
        rejects = [
            _rejects_of_held_out(part, loses & held_out, self._best, winner),
            _rejects_of_duplicates(part, loses & ~held_out, self._copies[entry]),
        ]
        return Filtered(part.filter(pa.array(~loses)), merge_by_row(rejects))


def _first_rows(batch: pa.RecordBatch, corpora: Sequence[str]) -> tuple[I64, I64]:
    """Returns a number for the id of each row, and by that number the row that comes first."""
    if not batch.num_rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = _order(batch, corpora)
    codes = batch.column(0).dictionary_encode().indices.to_numpy().astype(np.int64)
    ordered = codes[order]
    firsts = order[np.concatenate([[True], ordered[1:] != ordered[:-1]])].astype(np.int64)
    by_code = np.zeros(len(firsts), np.int64)
    by_code[codes[firsts]] = firsts
    return codes, by_code


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
    batch: pa.RecordBatch, dropped: Bool, best: pa.RecordBatch, winner: I64
) -> tuple[I64, pa.RecordBatch]:
    rows = np.flatnonzero(dropped)
    winners = best.select(["corpus", "split"]).take(pa.array(winner[rows]))
    places = zip(winners.column("corpus").to_pylist(), winners.column("split").to_pylist())
    detail = [f"stands in corpus {corpus} ({split})" for corpus, split in places]
    sides = 2.0 if "tgt" in batch.schema.names else 1.0
    return rows, reject_rows(batch.take(pa.array(rows)), rule=HELD_OUT, value=sides, detail=detail)


def _rejects_of_duplicates(
    batch: pa.RecordBatch, dropped: Bool, copies: F64
) -> tuple[I64, pa.RecordBatch]:
    rows = np.flatnonzero(dropped)
    return rows, reject_rows(batch.take(pa.array(rows)), rule="duplicate/1", value=copies[rows])
