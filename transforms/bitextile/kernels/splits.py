"""Which split a row belongs to: one for all rows that are connected by a shared sentence.

In data of several languages most sentences stand in several pairs. Were each pair drawn by itself,
the English side of a test pair would be trained on with its French translation. So all pairs and
sentences of a recipe form a graph, sentences are its nodes, and what hangs together is drawn at
once, by the least id among its rows: a row that shares no sentence is drawn by its own id.

    "Hi." - "Salut."     "Hi." - "Hallo."     "Hallo." - "Hoi."        one component, one draw
    "Yes." - "Oui." (corpus held out)         "Yes." - "Ja."           the second is rejected

Nothing is drawn for a corpus that is held out, and what shares a sentence with it is rejected by
`held_out/1`; it is not moved beside it, since a test set is what its makers made it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, I64, U64, Bool, replace_columns
from bitextile.kernels.dedup.exact import HELD_OUT, split_rank
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import split_rejects
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_key, text_ids
from bitextile.schema.kinds import SPLITS

MAX_COMPONENT_ROWS = 1_000
"""Rows of a component that may be drawn for valid or test. Sentences such as "Thank you." connect
large parts of multi-parallel corpora; one draw would make most of a corpus its test set. A larger
component is for training, and its rows are counted in the manifest."""
LARGE = "large_component_rows"
"""Name of that count, under the `drawn` of a language pair or language."""

EDGES = pa.schema(
    [
        ("id", pa.uint64()),
        ("a", pa.uint64()),
        ("b", pa.uint64()),
        ("split", pa.int8()),
        ("corpus", pa.string()),
    ]
)
"""What splits need to know of a row: hashes of its id and of its sides (one twice if it has one),
its given split as a number (-1 for none), and its corpus if that is held out."""
DRAWN = pa.schema(
    [
        ("sentence", pa.uint64()),
        ("split", pa.int8()),
        ("large", pa.bool_()),
        ("corpus", pa.string()),
    ]
)
"""What was drawn: the split of each sentence that several rows share or are connected by, and of
each that is held out, with the corpus that holds it; sorted by the sentence's hash."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the rows held out; of connected rows, shares of the components."""

    valid: float = 0.01
    """Share of rows for validation. 0.01 leaves enough to measure a loss by."""
    test: float = 0.01
    """Share of rows for test."""
    seed: int = 0
    """Seed of the draw; another one gives another split."""

    def __post_init__(self) -> None:
        # Asked for what is right, so that a NaN is refused too.
        if not (self.valid >= 0 and self.test >= 0 and self.valid + self.test < 1):
            raise ConfigError(
                f"splits: valid {self.valid} and test {self.test}; "
                "expected shares of at least 0 that leave something to train on"
            )


class Assigned(NamedTuple):
    """Rows with their split, rejects, and rows of large components by language pair or language."""

    kept: pa.RecordBatch
    rejects: pa.RecordBatch
    counters: dict[str, dict[str, int]]


def edges_of(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the edges of the graph of sentences, of kind EDGES, one for each row.

    Args:
        batch: PAIRS or MONO rows.
    """
    ids = batch.column(0)
    a, b = sides_of(batch)
    given = pc.index_in(batch.column("split"), pa.array(SPLITS, pa.string()))
    held_out = pa.array(split_rank(batch.column("split")) > 0)
    corpus = pc.if_else(held_out, batch.column("corpus"), pa.scalar(None, pa.string()))
    split = pc.fill_null(given, -1).cast(pa.int8())
    return pa.RecordBatch.from_arrays(
        [pa.array(hash64(ids)), pa.array(a), pa.array(b), split, corpus], schema=EDGES
    )


def sides_of(batch: pa.RecordBatch) -> tuple[U64, U64]:
    """Returns hashes of both sides of each row: of the `text_id` each has as a sentence.

    Args:
        batch: PAIRS rows, in either direction; or MONO rows, whose one side comes twice.
    """
    if "text_id" in batch.schema.names:
        one = hash64(batch.column("text_id"))
        return one, one
    src, tgt = (_side(batch.column(f"{side}_lang"), batch.column(side)) for side in ("src", "tgt"))
    return src, tgt


def _side(languages: pa.StringArray, texts: pa.StringArray) -> U64:
    hashes = np.zeros(len(texts), np.uint64)
    for lang in pc.unique(languages).to_pylist():
        chosen = pc.equal(languages, lang)
        rows = chosen.to_numpy(zero_copy_only=False)
        hashes[rows] = hash64(text_ids(lang, texts.filter(chosen)))
    return hashes


def connected_components(u: I64, v: I64, n: int) -> I64:
    """Returns the component of each node of a graph: the least node in it.

    All trees of a forest are hooked, in each round, to the least tree that an edge leads to, and
    flattened. A star or a chain of hubs takes a few rounds; 1 M edges take about a second.

    Args:
        u: [m] one end of each edge, 0 to n - 1.
        v: [m] the other.
        n: nodes.

    Source: Shiloach and Vishkin 1982, An O(log n) parallel connectivity algorithm.

    >>> connected_components(np.array([3, 1, 4]), np.array([1, 0, 4]), 5).tolist()
    [0, 0, 2, 0, 4]
    """
    parent = np.arange(n)
    while True:
        roots_u, roots_v = parent[u], parent[v]
        apart = roots_u != roots_v
        if not apart.any():
            return parent
        # Edges inside a tree have done their work.
        u, v, roots_u, roots_v = u[apart], v[apart], roots_u[apart], roots_v[apart]
        np.minimum.at(parent, np.maximum(roots_u, roots_v), np.minimum(roots_u, roots_v))
        while not np.array_equal(parent, flatter := parent[parent]):
            parent = flatter


def draw_splits(edges: Iterable[pa.RecordBatch], *, config: SplitConfig) -> pa.RecordBatch:
    """Returns what `assign_splits` must know of connected rows, of kind DRAWN.

    All edges meet here, in one process: a million random rows, one in a hundred of
    which shares one sentence, are 29 MB of edges, take 190 MiB more for 3 s, and make 13 MB to
    look up in every worker. The order of the edges changes nothing.

    Args:
        edges: of all rows, as `edges_of` gives them.
        config: the shares.
    """
    table = pa.Table.from_batches(list(edges), EDGES)
    id_, a, b, given = (table.column(c).to_numpy() for c in ("id", "a", "b", "split"))
    sentences, nodes = np.unique(np.concatenate([a, b]), return_inverse=True)
    u, v = nodes[: len(a)], nodes[len(a) :]
    held = _held_out(u, v, given, len(sentences))
    # What is held out, and what is rejected for it, connects nothing any more.
    free = (given <= 0) & (held[u] == 0) & (held[v] == 0)
    u_free, v_free, id_free, given_free = u[free], v[free], id_[free], given[free]
    component = connected_components(u_free, v_free, len(sentences))
    rows = np.bincount(component[u_free], minlength=len(sentences))
    split = _draw(component[u_free], id_free, given_free, rows, config)
    corpus = _holders(table, u, v, held)
    # A row of its own is drawn by its id, wherever it is: no entry needed.
    told = (rows[component] > 1) | (held > 0)
    large = (rows > MAX_COMPONENT_ROWS)[component]
    split = np.where(held > 0, held, split[component])
    columns = [pa.array(sentences), pa.array(split, pa.int8()), pa.array(large), corpus]
    return pa.RecordBatch.from_arrays(columns, schema=DRAWN).filter(pa.array(told))


def _held_out(u: I64, v: I64, given: I64, n: int) -> I64:
    """Returns for each sentence 2 if a test corpus holds it, 1 if a valid one does, else 0."""
    held = np.zeros(n, np.int64)
    test = given == 2
    held[u[test]] = held[v[test]] = 2
    # Rows of a valid corpus that share a sentence with a test corpus are rejected, so they hold
    # nothing.
    valid = (given == 1) & (held[u] < 2) & (held[v] < 2)
    held[u[valid]] = held[v[valid]] = 1
    return held


def _draw(component: I64, ids: U64, given: I64, rows: I64, config: SplitConfig) -> I64:
    """Returns the split of each component, as a number.

    Args:
        component: [m] of each row.
        ids: [m] hash of each row's id.
        given: [m] 0 where the row's split is train by its corpus, else -1.
        rows: [n] of each component.
        config: the shares.
    """
    least = np.full(len(rows), np.iinfo(np.uint64).max)
    np.minimum.at(least, component, ids)
    split = _number(least, config)
    split[component[given == 0]] = 0
    split[rows > MAX_COMPONENT_ROWS] = 0
    return split


def _number(ids: U64, config: SplitConfig) -> I64:
    draw = uniform(ids, seed=config.seed, operation="split")
    return np.select([draw < config.valid, draw < config.valid + config.test], [1, 2], 0)


def _holders(table: pa.Table, u: I64, v: I64, held: I64) -> pa.StringArray:
    """Returns for each sentence the first by name of the corpora that hold it out, or null."""
    given = table.column("split").to_numpy()
    names = table.column("corpus").combine_chunks().dictionary_encode()
    codes = pc.fill_null(names.indices, 0).to_numpy().astype(np.int64)
    order = np.argsort(np.argsort(np.array(names.dictionary.to_pylist(), object)))
    found = np.full(len(held), len(order))
    # Not the rows of a valid corpus that are rejected for a test corpus.
    rows = (given > 0) & (held[u] == given) & (held[v] == given)
    for ends in (u, v):
        np.minimum.at(found, ends[rows], order[codes[rows]])
    ranked = pa.array(sorted(names.dictionary.to_pylist()), pa.string())
    return ranked.take(pa.array(found, mask=found == len(order)))


def assign_splits(batch: pa.RecordBatch, drawn: pa.RecordBatch, *, config: SplitConfig) -> Assigned:
    """Returns the batch with its empty `split` cells filled; those given stay as they are.

    A row that shares a sentence with a corpus that is held out, and is not held out itself, is a
    reject of rule `held_out/1`: the value is how many of its sides stand there, the detail names
    the corpus. To a test corpus rows of a valid one lose too. Rows of large components are counted.

    Args:
        batch: PAIRS or MONO rows.
        drawn: what `draw_splits` made of all rows.
        config: the shares.
    """
    sides = sides_of(batch)
    places = [_places(drawn.column("sentence").to_numpy(), side) for side in sides]
    held = [_held_by(drawn, place) for place in places]
    rank = split_rank(batch.column("split"))
    loses = [of_side > rank for of_side in held]
    found = places[0] >= 0
    split = _number(hash64(batch.column(0)), config)
    split[found] = drawn.column("split").to_numpy()[places[0][found]]
    names = pa.array(SPLITS, pa.string()).take(pa.array(split))
    given = batch.column("split")
    filled = pc.if_else(pc.equal(given, ""), names, given)
    large = np.zeros(batch.num_rows, bool)
    large[found] = drawn.column("large").to_numpy(zero_copy_only=False)[places[0][found]]
    kept, rejects = split_rejects(
        replace_columns(batch, {"split": filled}),
        ~(loses[0] | loses[1]),
        rule=HELD_OUT,
        value=_sides_lost(batch, loses),
        detail=_details(drawn, places, loses),
    )
    return Assigned(kept, rejects, _count(batch, large & ~(loses[0] | loses[1])))


def _places(sentences: U64, wanted: U64) -> I64:
    """Returns where each sentence stands among the sorted ones, or -1."""
    if not len(sentences):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(sentences, wanted), len(sentences) - 1)
    return np.where(sentences[place] == wanted, place, -1)


def _held_by(drawn: pa.RecordBatch, places: I64) -> I64:
    """Returns how strongly the sentence at each place is held out; 0 at place -1."""
    held = np.zeros(len(places), np.int64)
    found = np.flatnonzero(places >= 0)
    # Only what is looked up: the table may be far longer than a batch.
    entries = drawn.take(pa.array(places[found]))
    held_out = entries.column("corpus").is_valid().to_numpy(zero_copy_only=False)
    held[found] = np.where(held_out, entries.column("split").to_numpy(), 0)
    return held


def _sides_lost(batch: pa.RecordBatch, loses: list[Bool]) -> F64:
    if "text_id" in batch.schema.names:
        return loses[0].astype(np.float64)
    return loses[0].astype(np.float64) + loses[1]


def _details(drawn: pa.RecordBatch, places: list[I64], loses: list[Bool]) -> list[str]:
    details = [""] * len(places[0])
    for row in np.flatnonzero(loses[0] | loses[1]).tolist():
        place = int(places[0][row] if loses[0][row] else places[1][row])
        corpus, split = (drawn.column(name)[place].as_py() for name in ("corpus", "split"))
        details[row] = f"shares a sentence with corpus {corpus} ({SPLITS[split]})"
    return details


def _count(batch: pa.RecordBatch, large: Bool) -> dict[str, dict[str, int]]:
    if not large.any():
        return {}
    rows = batch.filter(pa.array(large))
    names = [name for name in ("lang", "src_lang", "tgt_lang") if name in rows.schema.names]
    keys = pa.table({name: rows.column(name) for name in names}).group_by(names)
    counters: dict[str, dict[str, int]] = {}
    for found in keys.aggregate([([], "count_all")]).to_pylist():
        rows_of_key = counters.setdefault(language_key(found[name] for name in names), {})
        rows_of_key[LARGE] = rows_of_key.get(LARGE, 0) + found["count_all"]
    return counters
