"""Derived languages: a corpus in another script or word order, aligned with itself, exactly.

ALIGN-MLM's synthetic languages (arXiv 2211.08547, methods.md 4) at text level:

    transliterate  each word in a script of its own: every code point moves into a private-use plane
    invert         words in reverse, the final . ! ? kept last
    permute        words shuffled by a draw on the sentence's words, the final . ! ? kept last
    syntax         dependents change to the other side of their heads (needs a parse)

    en  The dog, it runs.   -- invert -->   runs it, dog The.   links 0-5 1-3 2-2 3-1 ...

A text of several sentences is reordered sentence by sentence. Spaces keep their places, except that
one, U+2005, is set where two words would join; it is white space as any other, and tells the
inverse that nothing stood there. `restore` gives the original text back from a sentence beside its
derived form, `restore_aligned` from a derived sentence alone.

Pairs are derived in two ways:

    derive_rows       each sentence beside its derived form       en - en-inverted, de - de-inverted
    derive_aligned    aligned pairs, sides in their derived form  en-inverted - de-inverted

In the second a link between two words ties what was made of them, with its score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, U64, Bool, list_offsets, offsets_of, rows_of
from bitextile.kernels.bitext.sides import Sides, check_sides
from bitextile.kernels.randomness import bits, mix64, uniform
from bitextile.kernels.rejects import Filtered, join, merge_by_row, split_rejects
from bitextile.kernels.text.codepoints import (
    DIGIT,
    SPACED,
    Texts,
    char_classes,
    gather,
    is_grapheme_extend,
    to_strings,
)
from bitextile.kernels.text.private_script import (
    PRIVATE_SCRIPT,
    count_private_use,
    transliterate,
    transliterate_back,
)
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.sentences import sentence_ends
from bitextile.kernels.text.words import SegmentedTexts, segmented_side, segmented_texts
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import ALIGNED, LINK, LINKS, MONO, SIDES, SPAN, SPANS

Transform = Literal["transliterate", "invert", "permute", "syntax"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)

_SEAM = 0x2005
"""FOUR-PER-EM SPACE: white space to every tokenizer, U+0020 after NFKC, and rare in corpora."""


@dataclass(frozen=True, kw_only=True)
class DeriveConfig:
    """Which language is derived."""

    transforms: tuple[Transform, ...] = ("transliterate",)
    """Transforms, in this order: transliterate, invert, permute, syntax (needs a parse).
    Transliteration alone keeps word order, as the easiest of ALIGN-MLM's languages."""
    sides: Sides = "both"
    """Which sentences of a pair are derived. Both, so that neither language is the harder."""
    seed: int = 0
    """Seed of the permutations."""

    def __post_init__(self) -> None:
        """Raises ConfigError for an unknown transform, none, or one named twice, or other sides."""
        check_sides(self.sides)
        for name in self.transforms:
            if name not in TRANSFORMS:
                raise ConfigError(
                    f"transform {name!r}: expected one or several of {', '.join(TRANSFORMS)}"
                )
        if not self.transforms or len(set(self.transforms)) < len(self.transforms):
            raise ConfigError(
                f"transforms are {', '.join(self.transforms) or 'none'}; name one or several, "
                "each once"
            )


class Derived(NamedTuple):
    """Texts of a derived language.

    Attributes:
        texts: [n].
        spans: [n] their words, SPANS.
        order: [all words] for each word of the derived texts, in order, the number of the word it
            was made from, absolute in all words of the batch.
    """

    texts: pa.StringArray
    spans: pa.ListArray
    order: I64


def derived_tag(lang: str, transforms: Sequence[str]) -> str:
    """Returns the tag of a derived language: Qaaa, a private script, and variants for the order.

    >>> derived_tag("en", ["transliterate", "invert"]), derived_tag("pt-BR", ["permute"])
    ('en-Qaaa-inverted', 'pt-BR-permuted')
    """
    parts = lang.split("-")
    if "transliterate" in transforms:
        script = [p for p in parts[1:] if len(p) == 4 and p.isalpha()]
        parts = [p for p in parts if p not in script]
        parts.insert(1, PRIVATE_SCRIPT)
    names = {"invert": "inverted", "permute": "permuted", "syntax": "headswap"}
    return "-".join([*parts, *(names[t] for t in transforms if t in names)])


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
    keep, rejects = split_rejects(
        batch,
        (held := count_private_use(text)) == 0,
        rule="private_use/1",
        value=held.astype(float),
    )
    spans = [segment(row, str(lang)) for lang, row in _by_language(keep)]
    words = segmented_texts(keep.column("text"), pa.concat_arrays(spans) if spans else _no_spans())
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
        Kept: rows of kind aligned with `restore_aligned` as inverse; links tie what was made of
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
    made = _with_derived_sides(keep, config=config)
    back = restore_aligned(made, config=config)
    same = pc.and_(*(pc.equal(a, keep.column(s)) for a, s in zip(back, ("src", "tgt"))))
    same = same.to_numpy(zero_copy_only=False)
    chars = pc.utf8_length(pc.binary_join_element_wise(keep["src"], keep["tgt"], "")).to_numpy()
    _, rejects = split_rejects(keep, same, rule="not_reversible/1", value=chars.astype(np.float64))
    return Filtered(made.filter(pa.array(same)), join([private, rejects]))


def restore_aligned(
    batch: pa.RecordBatch, *, config: DeriveConfig
) -> tuple[pa.StringArray, pa.StringArray]:
    """Returns the sentences that pairs were derived from, both sides.

    Args:
        batch: [n] rows that `derive_aligned` made.
        config: what it was called with.
    """
    check_rows(batch, ALIGNED, "derive")
    texts = []
    for side in ("src", "tgt"):
        text = batch.column(side)
        texts.append(
            _underived(batch, side, config=config) if side in SIDES[config.sides] else text
        )
    return texts[0], texts[1]


def derive_texts(words: SegmentedTexts, *, config: DeriveConfig) -> Derived:
    """Derives texts from texts with known words.

    Args:
        words: [n] texts and their words.
        config: the transforms.

    Raises:
        ConfigError: `syntax` is among the transforms.
    """
    return arrange(
        words, _order(words, config=config), transliterated="transliterate" in config.transforms
    )


def _order(words: SegmentedTexts, *, config: DeriveConfig) -> I64:
    """Returns which word comes next, for all places; the same for words that are in that order."""
    order = np.arange(len(words.starts))
    for name in config.transforms:
        if name == "syntax":
            raise ConfigError(
                "transform syntax: needs a dependency parse; give CoNLL-U files, "
                "or leave it out for plain text"
            )
        if name != "transliterate":
            order = order[_reordered(words, order, name=name, seed=config.seed)]
    return order


def arrange(
    words: SegmentedTexts, order: I64, *, transliterated: bool = False, apart: bool = True
) -> Derived:
    """Puts words of texts in another order, spaces staying where they are.

    Args:
        words: [n] texts and their words.
        order: [all words] which word comes next; only words of one text change places.
        transliterated: whether they also change their script.
        apart: whether U+2005 keeps words apart that would join.
    """
    base = words.texts.offsets
    row = rows_of(words.words)
    starts, lengths = words.starts[order], (words.ends - words.starts)[order]
    gap_start, gap_length = _gaps(words)
    padded = np.append(words.texts.points, np.uint32(_SEAM))
    joins = apart & _would_join(words, order, gap_length[: len(row)] == 0)
    # Pieces of a row: gap, space if words would join, word, ...; then what follows its last word.
    place = 3 * np.arange(len(row)) + row
    tail = 3 * words.words[1:] + np.arange(len(base) - 1)
    piece_start = np.full(3 * len(row) + len(base) - 1, len(padded) - 1, np.int64)
    piece_length = np.zeros_like(piece_start)
    piece_start[place], piece_length[place] = gap_start[: len(row)], gap_length[: len(row)]
    piece_length[place + 1] = joins
    piece_start[place + 2], piece_length[place + 2] = starts, lengths
    piece_start[tail], piece_length[tail] = gap_start[len(row) :], gap_length[len(row) :]
    points = gather(padded, piece_start, piece_length)
    reached = offsets_of(piece_length)
    offsets = np.append(0, reached[tail + 1])
    start, end = reached[place + 2], reached[place + 3]
    if transliterated:
        points, moved = transliterate(points)
        offsets, start, end = moved[offsets], moved[start], moved[end]
    spans = np.stack([start, end], axis=1) - offsets[row][:, None]
    flat = pa.StructArray.from_arrays(
        [pa.array(spans[:, side], pa.int32()) for side in (0, 1)], fields=list(SPAN)
    )
    lists = pa.ListArray.from_arrays(pa.array(words.words, pa.int32()), flat, type=SPANS)
    return Derived(to_strings(Texts(points, offsets)), lists, order)


def restore(batch: pa.RecordBatch) -> pa.StringArray:
    """Returns the original sentences, put together again from the derived ones.

    Words, their spelling and order come from `tgt` and the links, the spaces between them from
    their places in `src`, since the derived text may have one more where words would have joined.

    Args:
        batch: [n] rows of kind aligned that `derive_rows` made.

    Raises:
        RowError: the links do not tie each word to one.
    """
    check_rows(batch, ALIGNED, "derive")
    src, tgt = segmented_side(batch, "src"), _back(batch)
    links = batch.column("links")
    rows, flat = rows_of(list_offsets(links)), links.flatten()
    a = src.words[rows] + flat.field("src").to_numpy()
    b = tgt.words[rows] + flat.field("tgt").to_numpy()
    n = len(src.starts)
    if not np.array_equal(np.sort(a), np.arange(n)) or not np.array_equal(np.sort(b), np.arange(n)):
        raise RowError("derive: not every word is linked to one word; restore takes derived rows")
    found = np.empty(n, np.int64)
    found[a] = b
    gap_start, gap_length = _gaps(src)
    row, base = rows_of(src.words), len(src.texts.points)
    place = 2 * np.arange(n) + row
    tail = 2 * src.words[1:] + np.arange(batch.num_rows)
    starts = np.zeros(2 * n + batch.num_rows, np.int64)
    lengths = np.zeros_like(starts)
    starts[place], lengths[place] = gap_start[:n], gap_length[:n]
    starts[place + 1] = base + tgt.starts[found]
    lengths[place + 1] = (tgt.ends - tgt.starts)[found]
    starts[tail], lengths[tail] = gap_start[n:], gap_length[n:]
    points = gather(np.concatenate([src.texts.points, tgt.texts.points]), starts, lengths)
    return to_strings(Texts(points, np.append(0, offsets_of(lengths)[tail + 1])))


# --- script -------------------------------------------------------------------------------------


# --- order --------------------------------------------------------------------------------------


def _reordered(words: SegmentedTexts, order: I64, *, name: str, seed: int) -> I64:
    """Returns places of `order` in a new order, the ends of sentences staying last."""
    ends, sentence = sentence_ends(words)
    # Sentences keep their places, and so does what ends them, so `sentence` holds for any order.
    place = np.arange(len(order))
    if name == "invert":
        rank = -place.astype(np.float64)
    else:
        keys, row = _bags(words), rows_of(words.words)
        position = place - words.words[row]
        rank = uniform(keys[row], seed=seed, operation="derive/permute", position=position)
    return np.lexsort((rank, ends[order], sentence[order]))


def _bags(words: SegmentedTexts) -> U64:
    """Returns 64 bits for each text, [n], the same for its words in any order.

    So the draw that shuffled a sentence can be drawn again from the shuffled one.
    """
    lengths = words.ends - words.starts
    offsets = offsets_of(lengths)
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    letters = bits(
        gather(words.texts.points, words.starts, lengths).astype(np.uint64),
        seed=0,
        operation="derive/letter",
        position=place,
    )
    return _sums(mix64(_sums(letters, offsets)), words.words)


def _sums(values: U64, offsets: I64) -> U64:
    reached = np.append(np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64))
    return reached[offsets[1:]] - reached[offsets[:-1]]


def _gaps(words: SegmentedTexts) -> tuple[I64, I64]:
    """Returns start and length of what stands before each word, then after each text's last."""
    base, row = words.texts.offsets, rows_of(words.words)
    before = np.append(0, words.ends)[:-1] if len(row) else words.ends
    first = np.append(True, row[1:] != row[:-1])[: len(row)]
    start = np.where(first, base[row], before)
    last = np.maximum(words.words[1:] - 1, 0)
    filled = np.diff(words.words) > 0
    ends = words.ends[last] if len(row) else base[:-1]
    tail = np.where(filled, ends, base[:-1])
    return np.append(start, tail), np.append(words.starts - start, base[1:] - tail)


def _would_join(words: SegmentedTexts, order: I64, touches: Bool) -> Bool:
    """Returns which words of a new order would run into the one before them.

    Args:
        words: of texts.
        order: which word comes next.
        touches: whether nothing stands before a place. Two words that touched and still do, side
            by side as they were, stay as they were.
    """
    points, code, row = words.texts.points, char_classes(), rows_of(words.words)
    if not len(order):
        return np.zeros(0, bool)
    left = np.append(order[0], order[:-1])
    a, b = points[words.ends[left] - 1], points[words.starts[order]]
    letters = np.isin(code[a], (SPACED, DIGIT)) & np.isin(code[b], (SPACED, DIGIT))
    as_they_were = (order == left + 1) & touches[order]
    joins = (letters | is_grapheme_extend()[b]) & touches & ~as_they_were
    return joins & np.append(False, row[1:] == row[:-1])


# --- rows ---------------------------------------------------------------------------------------


def _by_language(batch: pa.RecordBatch) -> list[tuple[str, pa.StringArray]]:
    """Returns the texts in runs of one language, so that their order is kept."""
    langs = np.array(batch.column("lang").to_pylist(), dtype=object)
    if not len(langs):
        return []
    starts = np.flatnonzero(np.append(True, langs[1:] != langs[:-1]))
    ends = np.append(starts[1:], len(langs))
    return [(langs[s], batch.column("text").slice(s, e - s)) for s, e in zip(starts, ends)]


def _no_spans() -> pa.ListArray:
    return pa.array([], SPANS)


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
    became = _places(words.words, derived.order)
    columns = {
        "pair_id": _ids(batch.column("lang"), batch.column("text"), tgt_lang, derived.texts),
        "src_lang": batch.column("lang"),
        "tgt_lang": tgt_lang,
        "src": batch.column("text"),
        "tgt": derived.texts,
        **{name: batch.column(name) for name in ("corpus", "file", "line", "split")},
        "src_spans": _spans(words),
        "tgt_spans": derived.spans,
        "links": _links(words.words, became),
        "align_score": pa.array(np.zeros(batch.num_rows, np.float32)),
    }
    arrays = [columns[name] for name in ALIGNED.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=ALIGNED.schema)


def _ids(
    src_lang: pa.StringArray, src: pa.StringArray, tgt_lang: pa.StringArray, tgt: pa.StringArray
) -> pa.Array:
    rows = zip(*(column.to_pylist() for column in (src_lang, src, tgt_lang, tgt)), strict=True)
    return pa.array([stable_id(*sorted((f"{a}\x1f{s}", f"{b}\x1f{t}"))) for a, s, b, t in rows])


def _spans(words: SegmentedTexts) -> pa.ListArray:
    base = words.texts.offsets[rows_of(words.words)]
    places = [pa.array(side - base, pa.int32()) for side in (words.starts, words.ends)]
    flat = pa.StructArray.from_arrays(places, fields=list(SPAN))
    return pa.ListArray.from_arrays(pa.array(words.words, pa.int32()), flat, type=SPANS)


def _links(offsets: I64, became: I64) -> pa.ListArray:
    """Returns each word's link to its place in the derived text, sorted by the source word."""
    src = np.arange(len(became)) - offsets[rows_of(offsets)]
    items = [pa.array(src, pa.int16()), pa.array(became, pa.int16())]
    items.append(pa.array(np.ones(len(became), np.float32)))
    flat = pa.StructArray.from_arrays(items, fields=list(LINK))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat, type=LINKS)


def _back(batch: pa.RecordBatch) -> SegmentedTexts:
    """Returns the derived sentences in their first script, with their words."""
    tgt = segmented_side(batch, "tgt")
    scripts = pc.match_substring(batch.column("tgt_lang"), f"-{PRIVATE_SCRIPT}")
    return _transliterated_back(tgt) if pc.any(scripts).as_py() else tgt


def _transliterated_back(words: SegmentedTexts) -> SegmentedTexts:
    points, places = transliterate_back(words.texts.points)
    texts = Texts(points, places[words.texts.offsets])
    return SegmentedTexts(texts, words.words, places[words.starts], places[words.ends])


def _with_derived_sides(batch: pa.RecordBatch, *, config: DeriveConfig) -> pa.RecordBatch:
    """Returns aligned pairs with derived sentences in the place of some."""
    columns = {name: batch.column(name) for name in ALIGNED.schema.names}
    links, flat = batch.column("links"), batch.column("links").flatten()
    row = rows_of(list_offsets(links))
    ends = {side: flat.field(side).to_numpy().astype(np.int64) for side in ("src", "tgt")}
    for side in SIDES[config.sides]:
        words = segmented_side(batch, side)
        derived = derive_texts(words, config=config)
        became = _places(words.words, derived.order)
        ends[side] = became[words.words[row] + ends[side]]
        columns |= {side: derived.texts, f"{side}_spans": derived.spans}
        columns[f"{side}_lang"] = _derived_tags(batch.column(f"{side}_lang"), config.transforms)
    order = np.lexsort((ends["tgt"], ends["src"], row))
    items = [pa.array(ends[side][order], pa.int16()) for side in ("src", "tgt")]
    items.append(flat.field("score").take(pa.array(order)))
    lists = pa.StructArray.from_arrays(items, fields=list(LINK))
    offsets = pa.array(list_offsets(links), pa.int32())
    columns["links"] = pa.ListArray.from_arrays(offsets, lists, type=LINKS)
    sides = [columns[name] for name in ("src_lang", "src", "tgt_lang", "tgt")]
    columns["pair_id"] = _ids(*sides)
    arrays = [columns[name] for name in ALIGNED.schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=ALIGNED.schema)


def _underived(batch: pa.RecordBatch, side: str, *, config: DeriveConfig) -> pa.StringArray:
    """Returns one side's sentences as they were: first script, first order, no seams."""
    words = segmented_side(batch, side)
    words = _transliterated_back(words) if "transliterate" in config.transforms else words
    back = np.empty(len(words.starts), np.int64)
    # `_order` reads only what no transform changes: the bag of words and where sentences end.
    back[_order(words, config=config)] = np.arange(len(back))
    texts = arrange(words, back, apart=False).texts
    return pc.replace_substring(texts, chr(_SEAM), "")


def _derived_tags(langs: pa.StringArray, transforms: Sequence[str]) -> pa.StringArray:
    encoded = langs.dictionary_encode()
    tags = [derived_tag(lang, transforms) for lang in encoded.dictionary.to_pylist()]
    return pa.array(tags, pa.string()).take(encoded.indices)


def _places(offsets: I64, order: I64) -> I64:
    """Returns the place in its derived text of each word, [all words]."""
    became = np.empty(len(order), np.int64)
    became[order] = np.arange(len(became)) - offsets[rows_of(offsets)]
    return became
