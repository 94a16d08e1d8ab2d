"""Exact duplicates: one row per id, the first by the recipe's order of corpora, file and line."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.rejects import Filtered, split_rejects


def drop_duplicates(batch: pa.RecordBatch, *, corpora: Sequence[str] = ()) -> Filtered:
    """Returns the first row of each id, and the others as rejects of rule `duplicate/1`.

    Which one is first does not depend on the order of the rows: corpora rank as listed (then by
    name), their rows by file and line. The value is how many rows share the id.

    Args:
        batch: PAIRS or MONO rows that hold every row of the ids in it.
        corpora: names, most wanted first.

    >>> rows = [dict(text_id=i, lang="he", text="שלום", corpus=c, file="f", line=n)
    ...         for i, c, n in [("a", "b", 2), ("a", "b", 1), ("c", "b", 3)]]
    >>> kept, rejects = drop_duplicates(pa.RecordBatch.from_pylist(rows))
    >>> kept["line"].to_pylist(), rejects["line"].to_pylist()
    ([1, 3], [2])
    """
    if not batch.num_rows:
        return split_rejects(batch, np.zeros(0, bool), rule="duplicate/1", value=0.0)
    known = pc.index_in(batch.column("corpus"), pa.array(corpora, pa.string()))
    rank = pc.fill_null(known, len(corpora))
    # After the place come all other columns: a file that a recipe names twice, with another split
    # or its languages swapped, gives rows that differ in nothing before them.
    places = ["corpus", "file", "line"]
    others = [name for name in batch.schema.names[1:] if name not in places]
    columns = {name: batch.column(name) for name in (*places, *others)}
    table = pa.table({"id": batch.column(0), "rank": rank} | columns)
    keys = [(name, "ascending") for name in table.column_names]
    order = pc.sort_indices(table, sort_keys=keys).to_numpy()
    # Numbers instead of strings: the comparison of neighbours and the count are numpy's then.
    ids = batch.column(0).dictionary_encode().indices.to_numpy()
    ordered = ids[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    keep = np.zeros(batch.num_rows, bool)
    keep[order[first]] = True
    copies = np.bincount(ids)[ids].astype(np.float64)
    return split_rejects(batch, keep, rule="duplicate/1", value=copies)
