"""A bilingual lexicon from word alignment: counts, both conditional probabilities, filters.

    count(s, t) = links between s and t          over all corpora of a language pair
    p(t | s) = count(s, t) / sum_t' count(s, t')     p(s | t) = count(s, t) / sum_s' count(s', t)

Counting is a sum over batches in any order: `count_links` on each, `merge_counts` on the results,
`join_spellings` at the end. Words are one by `folding.fold_word`, so case makes no other word; each
is written as it most often is inside sentences, which keeps the capitals of German nouns. The sides
are sorted by language tag, whichever way round the pairs came.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import F64, I64, Bool, check_share, list_offsets, rows_of
from bitextile.kernels.rejects import Filtered, merge_by_row
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.text.codepoints import any_between, cut, is_letter
from bitextile.kernels.text.folding import fold_word
from bitextile.kernels.text.truecase import is_capital, sentence_initial
from bitextile.kernels.text.words import SegmentedTexts, segmented_side
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, LEXICON, REJECTS, SplitChoice

ENTRY = ("src_lang", "tgt_lang", "src", "tgt")
"""What identifies an entry."""

COUNTS = pa.schema(
    [*(pa.field(name, pa.string(), False) for name in ENTRY), pa.field("count", pa.int64(), False)]
)
"""Columns of link counts: the entry and how many links it has."""

SPELLED = pa.schema([*COUNTS, *(pa.field(f"{s}_shown", pa.int64(), False) for s in ("src", "tgt"))])
"""Columns of link counts by spelling: those of COUNTS, and in how many of the links the word's own
casing shows on each side, since no capital is due to its place at the beginning of a sentence."""
_SUMS = ("count", "src_shown", "tgt_shown")


@dataclass(frozen=True, kw_only=True)
class LexiconConfig:
    """Which entries stay."""

    min_count: int = 2
    """Fewest links of an entry; a pair of words linked once is as often an error as not."""
    min_probability: float = 0.0
    """Lowest p_tgt_given_src, 0 to 1; 0 keeps rare translations of frequent words."""
    mutual_best: bool = False
    """Only entries whose two words are each the other's most counted: a one-to-one lexicon, for
    seeds and evaluation; off because dictionaries are one-to-many."""
    top_k: int | None = None
    """Most translations of a source word, the most probable first; None keeps all."""
    split: SplitChoice = "all"
    """Pairs whose links are counted. train, where a model that learns from the lexicon is measured
    on the other pairs."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        check_share("min_probability", self.min_probability)
        if self.split not in get_args(SplitChoice):
            raise ConfigError(
                f"split is {self.split!r}, expected one of {', '.join(get_args(SplitChoice))}"
            )
        if self.min_count < 1:
            raise ConfigError(f"min_count is {self.min_count}, expected 1 link or more")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}, expected 1 or more, or none to keep all")


@takes_tables
def count_links(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Counts the links between words of a batch, as they are spelt; sides sorted by language tag.

    Words without a letter (punctuation, numbers, symbols) are not counted.

    Args:
        batch: rows of kind aligned.

    Returns:
        One row per entry with its counts, columns SPELLED, sorted.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "lexicon")
    links = batch.column("links")
    rows, flat = rows_of(list_offsets(links)), links.flatten()
    linked = []
    for name in ("src", "tgt"):
        side = segmented_side(batch, name)
        words = side.words[rows] + flat.field(name).to_numpy()
        has_letter = any_between(is_letter()[side.texts.points], side.starts, side.ends)
        linked.append((side, words, has_letter[words]))
    counted = linked[0][2] & linked[1][2]
    row = pa.array(rows[counted])
    langs = [batch.column(f"{name}_lang").take(row) for name in ("src", "tgt")]
    spelled = [_spelled(side, words[counted]) for side, words, _ in linked]
    shown = [pa.array(_shows_case(side)[words[counted]], pa.int64()) for side, words, _ in linked]
    flipped = pc.greater(*langs)
    columns = [
        column
        for a, b in (langs, spelled)
        for column in (pc.if_else(flipped, b, a), pc.if_else(flipped, a, b))
    ]
    ones = pa.array(np.ones(len(row), np.int64))
    a, b = shown
    columns += [ones, pc.if_else(flipped, b, a), pc.if_else(flipped, a, b)]
    return _summed(pa.Table.from_arrays(columns, schema=SPELLED))


def merge_counts(parts: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns the sum of link counts; the same for any order and grouping of the parts."""
    return _summed(pa.Table.from_batches(list(parts), SPELLED))


def join_spellings(counts: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the counts of words whatever their case, each in its commonest spelling.

    That is the one seen most often where no capital is due to the beginning of a sentence; among
    equals the folded one, then the first by code point. A word seen at the beginning of sentences
    alone is folded.

    Args:
        counts: columns SPELLED, merged, of whole language pairs.

    Returns:
        Columns COUNTS, sorted.
    """
    columns = {name: counts.column(name) for name in COUNTS.names}
    for side in ("src", "tgt"):
        lang = counts.column(f"{side}_lang")
        keys = pc.binary_join_element_wise(lang, counts.column(side), "\x1f").dictionary_encode()
        codes = keys.indices.to_numpy(zero_copy_only=False)
        shown = np.bincount(codes, counts.column(f"{side}_shown").to_numpy(), len(keys.dictionary))
        spelling = _commonest(keys.dictionary.to_pylist(), shown.astype(np.int64).tolist())
        columns[side] = pa.array(spelling, pa.string()).take(keys.indices)
    return _summed(pa.Table.from_pydict(columns, schema=COUNTS))


def _commonest(keys: list[str], shown: list[int]) -> list[str]:
    """Returns the spelling that stands for each language, U+001F and word."""
    folded = [fold_word(word, lang) for lang, _, word in (key.partition("\x1f") for key in keys)]
    best: dict[tuple[str, str], tuple[int, bool, str]] = {}
    for key, fold, n in zip(keys, folded, shown, strict=True):
        lang, _, word = key.partition("\x1f")
        rank = (-n, word != fold, word) if n else (0, False, fold)
        best[lang, fold] = min(best.get((lang, fold), rank), rank)
    return [best[key.partition("\x1f")[0], fold][2] for key, fold in zip(keys, folded, strict=True)]


def lexicon_rows(counts: pa.Table, *, config: LexiconConfig) -> Filtered:
    """Turns the merged counts of one or more whole language pairs into a lexicon.

    Probabilities are over all links that were counted, those of dropped entries included. Among
    equal counts the word that sorts first by code point is the better one.

    Args:
        counts: columns COUNTS, each entry once.
        config: the filters, applied in the order of its fields.

    Returns:
        Kept: rows of kind lexicon. Rejects, one for each other entry: "min_count/1" (value: its
        count), "min_probability/1" (value: p_tgt_given_src), "mutual_best/1" (value: its worse
        rank of the two sides), "top_k/1" (value: its rank among the source word's translations).
        Both sorted by entry; ranks count from 1.
    """
    counts = counts.sort_by([(name, "ascending") for name in ENTRY]).combine_chunks()
    count = counts.column("count").to_numpy()
    src, tgt = _codes(counts, "src"), _codes(counts, "tgt")
    p_tgt, p_src = count / _total(src, count), count / _total(tgt, count)
    src_rank, tgt_rank = _rank(src, count), _rank(tgt, count)
    worse_rank = np.maximum(src_rank, tgt_rank)
    rules: list[tuple[str, Bool, I64 | F64]] = [
        ("min_count/1", count < config.min_count, count),
        ("min_probability/1", p_tgt < config.min_probability, p_tgt),
        ("mutual_best/1", (worse_rank > 1) & config.mutual_best, worse_rank),
        # No rank exceeds the number of entries, so without a top_k none is dropped.
        ("top_k/1", src_rank > (config.top_k or len(count)), src_rank),
    ]
    # As with filters, an entry is rejected once, by the first rule it fails.
    kept, rejects = np.ones(len(count), bool), []
    for rule, bad, value in rules:
        rejects.append(_rejected(counts, np.flatnonzero(kept & bad), rule, value))
        kept &= ~bad
    rows = counts.append_column("p_tgt_given_src", pa.array(p_tgt, pa.float32()))
    rows = rows.append_column("p_src_given_tgt", pa.array(p_src, pa.float32()))
    lexicon = rows.filter(pa.array(kept)).cast(LEXICON.schema)
    return Filtered(_one_batch(lexicon), merge_by_row(rejects))


def _shows_case(side: SegmentedTexts) -> Bool:
    """Returns whether each word is spelt as it is anywhere: no capital due to its place."""
    capital = is_capital(side.texts.points[side.starts])
    return ~(sentence_initial(side) & capital)


def _spelled(side: SegmentedTexts, words: I64) -> pa.StringArray:
    # Distinct words only are composed in Python: a batch repeats most of its words.
    spelled = cut(side.texts, side.starts[words], side.ends[words]).dictionary_encode()
    composed = [unicodedata.normalize("NFC", word) for word in spelled.dictionary.to_pylist()]
    return pa.array(composed, pa.string()).take(spelled.indices)


def _summed(table: pa.Table) -> pa.RecordBatch:
    names = [name for name in _SUMS if name in table.column_names]
    sums = table.group_by(list(ENTRY), use_threads=False).aggregate([(n, "sum") for n in names])
    sums = sums.rename_columns([*ENTRY, *names]).cast(table.schema)
    return _one_batch(sums.sort_by([(name, "ascending") for name in ENTRY]))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _codes(counts: pa.Table, side: str) -> I64:
    """Returns a number for each word of a side within its language pair, [entries]."""
    parts = [
        counts.column(name).combine_chunks().dictionary_encode()
        for name in ("src_lang", "tgt_lang", side)
    ]
    code = np.zeros(counts.num_rows, np.int64)
    for part in parts:
        # A number in mixed radix: (source language, target language, word) as three digits.
        # np.unique then makes the numbers adjacent, which bincount needs.
        code = code * max(len(part.dictionary), 1) + part.indices.to_numpy()
    return np.unique(code, return_inverse=True)[1]


def _total(word: I64, count: I64) -> F64:
    return np.bincount(word, weights=count).astype(np.float64)[word]


def _rank(word: I64, count: I64) -> I64:
    """Returns the rank of each entry among those of its word, from 1; ties in the rows' order."""
    # Rows are sorted by entry, so ties in the rows' order are ties by code point.
    order = np.lexsort((np.arange(len(count)), -count, word))
    first = np.searchsorted(word[order], word[order], side="left")
    rank = np.empty(len(count), np.int64)
    rank[order] = np.arange(len(count)) - first + 1
    return rank


def _rejected(
    counts: pa.Table, rows: I64, rule: str, value: I64 | F64
) -> tuple[I64, pa.RecordBatch]:
    entries = counts.take(pa.array(rows))
    entry = [entries.column(name).to_pylist() for name in ENTRY]
    empty = pa.repeat("", len(rows))
    columns = {
        "id": pa.array([stable_id(*parts) for parts in zip(*entry, strict=True)], pa.string()),
        "rule": pa.repeat(rule, len(rows)),
        "value": pa.array(value[rows].astype(np.float64)),
        **dict.fromkeys(("detail", "corpus", "file"), empty),
        # An entry comes from many lines, so it names none.
        "line": pa.array(np.zeros(len(rows), np.int64)),
        **{name: pa.array(words, pa.string()) for name, words in zip(ENTRY, entry, strict=True)},
    }
    return rows, pa.RecordBatch.from_arrays(
        [columns[name] for name in REJECTS.schema.names], schema=REJECTS.schema
    )
