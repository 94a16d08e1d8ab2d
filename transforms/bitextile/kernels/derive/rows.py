"""Derived languages: a corpus in another script or word order, aligned with itself, exactly.

ALIGN-MLM's synthetic languages (arXiv 2211.08547), made of text instead of token ids:

    transliterate  each word in a script of its own: every code point moves into a private-use plane
    invert         words in reverse, the final . ! ? kept last
    permute        words shuffled by a draw on the sentence's words, the final . ! ? kept last
    syntax         dependents change to the other side of their heads (needs a parse)

    en  The dog, it runs.   -- invert -->   runs it, dog The.   links 0-5 1-3 2-2 3-1 ...

Pairs are derived in two ways:

    derive_rows       each sentence beside its derived form       en - en-inverted, de - de-inverted
    derive_aligned    aligned pairs, sides in their derived form  en-inverted - de-inverted

In the second a link between two words ties what was made of them, with its score. `undo_derive`
gives the original text back from a sentence beside its derived form, `undo_derive_aligned` from a
derived sentence alone.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, list_offsets, rows_of
from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.kernels.derive.order import fill_gaps, inverse_order
from bitextile.kernels.derive.script import transliterate_words_back
from bitextile.kernels.derive.texts import Derived, derive_texts, spans_of, undo_derive_texts
from bitextile.kernels.rejects import Filtered, join, merge_by_row, split_rejects
from bitextile.kernels.text.codepoints import to_strings
from bitextile.kernels.text.private_script import PRIVATE_SCRIPT, count_private_use
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import SegmentedTexts, segmented_side, segmented_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import RowError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, LINK, LINKS, MONO, SIDES, SPANS


def derive_rows(batch: pa.RecordBatch, *, config: DeriveConfig) -> Filtered:
    """Derives a language from sentences and aligns each with its derived form.

    Args:
        batch: [n] rows of kind mono.
        config: the transforms; `syntax` is refused, sentences have no parse.

    Returns:
        Kept: rows of kind aligned, `src` the sentence and `tgt` the derived one, every word linked
        to what was made of it, score 1, align_score 0. Rejects: "private_use/1", sentences that
        hold code points of the private script already (value: how many).

    Raises:
        ConfigError: `syntax` is among the transforms.
    """
    check_rows(batch, MONO, "derive")
    text = batch.column("text")
    # Such text could not be told from a derived one on the way back.
    keep, rejects = split_rejects(
        batch,
        (held := count_private_use(text)) == 0,
        rule="private_use/1",
        value=held.astype(float),
    )
    spans = [segment(row, str(lang)) for lang, row in _by_language(keep)]
    words = segmented_texts(keep.column("text"), pa.concat_arrays([pa.array([], SPANS), *spans]))
    derived = derive_texts(words, config=config)
    return Filtered(aligned_rows(keep, words, derived, transforms=config.transforms), rejects)


def sentences_of(batch: pa.RecordBatch, *, sides: str = "both") -> pa.RecordBatch:
    """Returns the sentences of pairs as rows of kind mono, in the order of the pairs.

    Args:
        batch: [n] rows of kind pairs or aligned.
        sides: src, tgt or both.

    Returns:
        n rows for each side; a sentence of several pairs comes as often.
    """
    parts = []
    for side in SIDES[sides]:
        langs, texts = batch.column(f"{side}_lang"), batch.column(side)
        tagged = pc.binary_join_element_wise(langs, texts, "\x1f").to_pylist()
        ids = pa.array(map(stable_id, tagged), pa.string())
        rest = [batch.column(name) for name in ("corpus", "file", "line", "split")]
        parts.append(pa.RecordBatch.from_arrays([ids, langs, texts, *rest], schema=MONO.schema))
    numbers = np.arange(batch.num_rows)
    return merge_by_row([(numbers, part) for part in parts], MONO.schema)


def derive_aligned(batch: pa.RecordBatch, *, config: DeriveConfig) -> Filtered:
    """Puts derived sentences in the place of the sentences of aligned pairs, links carried over.

    Args:
        batch: [n] rows of kind aligned.
        config: the transforms, and which sides; `syntax` is refused.

    Returns:
        Kept: rows of kind aligned with `undo_derive_aligned` as inverse; links tie what was made of
        the words they tied, with their scores. Rejects: "private_use/1" as in `derive_rows`, and
        "not_reversible/1" (value: characters), pairs that the inverse would not give back, such as
        one that holds U+2005 or a full stop that begins a word.

    Raises:
        ConfigError: `syntax` is among the transforms.
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "derive")
    sides = SIDES[config.sides]
    held = np.sum([count_private_use(batch.column(side)) for side in sides], axis=0)
    keep, private = split_rejects(
        batch, held == 0, rule="private_use/1", value=held.astype(np.float64)
    )
    made = _derive_sides(keep, config=config)
    # Done on every row and compared: cheaper than a proof of which texts can be undone.
    back = undo_derive_aligned(made, config=config)
    same = pc.and_(*(pc.equal(a, keep.column(s)) for a, s in zip(back, ("src", "tgt"))))
    same = same.to_numpy(zero_copy_only=False)
    chars = pc.utf8_length(pc.binary_join_element_wise(keep["src"], keep["tgt"], "")).to_numpy()
    _, rejects = split_rejects(keep, same, rule="not_reversible/1", value=chars.astype(np.float64))
    return Filtered(made.filter(pa.array(same)), join([private, rejects]))


def undo_derive_aligned(
    batch: pa.RecordBatch, *, config: DeriveConfig
) -> tuple[pa.StringArray, pa.StringArray]:
    """Returns the sentences that pairs were derived from, both sides.

    Args:
        batch: [n] rows that `derive_aligned` made.
        config: what it was called with.
    """
    check_rows(batch, ALIGNED, "derive")
    texts = {side: batch.column(side) for side in ("src", "tgt")}
    for side in SIDES[config.sides]:
        texts[side] = undo_derive_texts(segmented_side(batch, side), config=config)
    return texts["src"], texts["tgt"]


def undo_derive(batch: pa.RecordBatch) -> pa.StringArray:
    """Returns the original sentences, put together again from the derived ones.

    Words, their spelling and order come from `tgt` and the links, the spaces between them from
    their places in `src`, since the derived text may have one more where words would have joined.

    Args:
        batch: [n] rows of kind aligned that `derive_rows` made.

    Raises:
        RowError: the links do not tie each word to one.
    """
    check_rows(batch, ALIGNED, "derive")
    src, tgt = segmented_side(batch, "src"), _in_first_script(batch)
    links = batch.column("links")
    rows, flat = rows_of(list_offsets(links)), links.flatten()
    a = src.words[rows] + flat.field("src").to_numpy()
    b = tgt.words[rows] + flat.field("tgt").to_numpy()
    n = len(src.starts)
    if not np.array_equal(np.sort(a), np.arange(n)) or not np.array_equal(np.sort(b), np.arange(n)):
        raise RowError(
            "derive: not every word is linked to one word; undo_derive takes derived rows"
        )
    # derived[w]: the word of `tgt` that was made from word w of `src`.
    derived = np.empty(n, np.int64)
    derived[a] = b
    return to_strings(fill_gaps(src, tgt, derived))


def _by_language(batch: pa.RecordBatch) -> list[tuple[str, pa.StringArray]]:
    """Returns the texts in runs of one language, so that their order is kept."""
    langs = np.array(batch.column("lang").to_pylist(), dtype=object)
    if not len(langs):
        return []
    # A shard holds one language, so this is mostly one run; callers of their own may mix languages.
    starts = np.flatnonzero(np.append(True, langs[1:] != langs[:-1]))
    ends = np.append(starts[1:], len(langs))
    return [(langs[s], batch.column("text").slice(s, e - s)) for s, e in zip(starts, ends)]


def aligned_rows(
    batch: pa.RecordBatch, words: SegmentedTexts, derived: Derived, *, transforms: Sequence[str]
) -> pa.RecordBatch:
    """Returns sentences and their derived forms as rows of kind aligned.

    Args:
        batch: [n] rows of kind mono.
        words: theirs.
        derived: from these words.
        transforms: what was done.
    """
    tgt_lang = _derived_tags(batch.column("lang"), transforms)
    target = _target_words(words.words, derived.order)
    columns = {
        "pair_id": _pair_ids(batch.column("lang"), batch.column("text"), tgt_lang, derived.texts),
        "src_lang": batch.column("lang"),
        "tgt_lang": tgt_lang,
        "src": batch.column("text"),
        "tgt": derived.texts,
        **{name: batch.column(name) for name in ("corpus", "file", "line", "split")},
        "src_spans": spans_of(words),
        "tgt_spans": derived.spans,
        "links": _links(words.words, target),
        "align_score": pa.array(np.zeros(batch.num_rows, np.float32)),
    }
    return pa.RecordBatch.from_pydict(columns, schema=ALIGNED.schema)


def _pair_ids(
    src_lang: pa.StringArray, src: pa.StringArray, tgt_lang: pa.StringArray, tgt: pa.StringArray
) -> pa.Array:
    # Sorted sides, as for any pair: the id is the same whichever side comes first.
    rows = zip(*(column.to_pylist() for column in (src_lang, src, tgt_lang, tgt)), strict=True)
    return pa.array([stable_id(*sorted((f"{a}\x1f{s}", f"{b}\x1f{t}"))) for a, s, b, t in rows])


def _links(offsets: I64, target: I64) -> pa.ListArray:
    """Returns each word's link to what was made of it, sorted by the source word."""
    src = np.arange(len(target)) - offsets[rows_of(offsets)]
    items = [pa.array(src, pa.int16()), pa.array(target, pa.int16())]
    items.append(pa.array(np.ones(len(target), np.float32)))
    flat = pa.StructArray.from_arrays(items, fields=list(LINK))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat, type=LINKS)


def _in_first_script(batch: pa.RecordBatch) -> SegmentedTexts:
    """Returns the derived sentences in their first script, with their words."""
    tgt = segmented_side(batch, "tgt")
    scripts = pc.match_substring(batch.column("tgt_lang"), f"-{PRIVATE_SCRIPT}")
    return transliterate_words_back(tgt) if pc.any(scripts).as_py() else tgt


def _derive_sides(batch: pa.RecordBatch, *, config: DeriveConfig) -> pa.RecordBatch:
    """Returns aligned pairs with derived sentences in the place of some."""
    columns = {name: batch.column(name) for name in ALIGNED.schema.names}
    links, flat = batch.column("links"), batch.column("links").flatten()
    row = rows_of(list_offsets(links))
    ends = {side: flat.field(side).to_numpy().astype(np.int64) for side in ("src", "tgt")}
    for side in SIDES[config.sides]:
        words = segmented_side(batch, side)
        derived = derive_texts(words, config=config)
        target = _target_words(words.words, derived.order)
        # A link's end follows its word to where that now stands.
        ends[side] = target[words.words[row] + ends[side]]
        columns |= {side: derived.texts, f"{side}_spans": derived.spans}
        columns[f"{side}_lang"] = _derived_tags(batch.column(f"{side}_lang"), config.transforms)
    # Words moved, so links are sorted anew: the contract is (src, tgt) within a row.
    order = np.lexsort((ends["tgt"], ends["src"], row))
    items = [pa.array(ends[side][order], pa.int16()) for side in ("src", "tgt")]
    items.append(flat.field("score").take(pa.array(order)))
    lists = pa.StructArray.from_arrays(items, fields=list(LINK))
    offsets = pa.array(list_offsets(links), pa.int32())
    columns["links"] = pa.ListArray.from_arrays(offsets, lists, type=LINKS)
    sides = (columns[name] for name in ("src_lang", "src", "tgt_lang", "tgt"))
    columns["pair_id"] = _pair_ids(*sides)
    return pa.RecordBatch.from_pydict(columns, schema=ALIGNED.schema)


def _derived_tags(langs: pa.StringArray, transforms: Sequence[str]) -> pa.StringArray:
    encoded = langs.dictionary_encode()
    tags = [derived_tag(lang, transforms) for lang in encoded.dictionary.to_pylist()]
    return pa.array(tags, pa.string()).take(encoded.indices)


def _target_words(offsets: I64, order: I64) -> I64:
    """Returns the number in its derived text of what was made of each word, [all words]."""
    return inverse_order(order) - offsets[rows_of(offsets)]
