"""Word exchange: linked words of a pair change places, as vectors do in WEAM (arXiv 2106.01732).

    en  The dog runs .          The 狗 runs.
    zh  狗 在 跑 。       ->    dog 在跑。        exchanged [(1, 0)]

Texts are put together by `replace_spans`, so whatever is not exchanged stays byte for byte and
spaces beside the words follow the scripts. A row carries the original pair with its spans and
links, from which `undo_exchange` gives the original pair again, exactly.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.arrays import I64, Bool, check_share, list_offsets, offsets_of, rows_of
from bitextile.kernels.bitext.phrases import (
    AlignedBitext,
    bitext_of,
    exchangeable,
    translate,
    word_spans,
)
from bitextile.kernels.bitext.recase import match_case, recase_phrases
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.rejects import Filtered, merge_by_row, reject_rows
from bitextile.kernels.rows import takes_tables
from bitextile.kernels.text.codepoints import to_texts
from bitextile.kernels.text.replace_spans import Edits, ReplacedTexts, replace_spans
from bitextile.kernels.text.truecase import EMPTY_CASING, Casing
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, EXCHANGED, SPAN, SPANS, list_of


@dataclass(frozen=True, kw_only=True)
class ExchangeConfig:
    """Which linked words are exchanged, and how many."""

    rate: float = 0.5
    """Share of a pair's eligible links that are exchanged, 0 to 1. WEAM exchanges the vectors of
    every link; in the text itself half leaves each word a context in its own language (our
    choice)."""
    many_to_many: bool = False
    """Also exchange phrases: groups of links whose words are contiguous on both sides. Off, only
    links whose two words have no other link are eligible: one word for one, as in WEAM's figure."""
    min_score: float = 0.0
    """Lowest posterior of an exchanged link, 0 to 1. The aligner keeps likely links only."""
    variants: int = 1
    """Samples per sentence pair; each gives a row."""
    recase: bool = False
    """Truecase exchanged words: their first letter follows the position in the sentence. Off,
    because a model that reads a word out of place learns more from seeing it as written (our
    choice)."""
    seed: int = 0
    """Seed of all random draws."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        check_share("rate", self.rate)
        check_share("min_score", self.min_score)
        check_variants(self.variants)


def check_variants(variants: int) -> None:
    """Raises ConfigError unless the number of variants is 1 to 32,767, which int16 holds."""
    if not 1 <= variants <= np.iinfo(np.int16).max:
        raise ConfigError(f"variants is {variants}, expected 1 to {np.iinfo(np.int16).max}")


@takes_tables
def exchange(
    batch: pa.RecordBatch, *, config: ExchangeConfig, casing: Casing = EMPTY_CASING
) -> Filtered:
    """Swaps linked words between the two sentences of each pair.

    Each eligible link is drawn with probability `rate`. Eligible is a link (or group of links)
    whose two sides hold a letter or digit each, differ, and score at least `min_score`.

    Args:
        batch: [n] rows of kind aligned.
        config: rate, eligibility, variants, casing, seed.
        casing: with `recase`, the words that may lose their capital, as `casing_of` counts them.

    Returns:
        Kept: rows of kind exchange, by row, then variant. Rejects, one for each other (row,
        variant): "no_eligible_links/1" (value: links of the row) or "nothing_sampled/1" (value:
        eligible links), with the variant as detail. Together n * variants rows.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "exchange")
    bitext = bitext_of(batch)
    phrases = bitext.phrases
    eligible = exchangeable(bitext) & (phrases.score >= config.min_score)
    if not config.many_to_many:
        # A group of one link: one word on either side, which no other link touches.
        eligible &= phrases.n_links == 1
    # Keyed by the pair, the variant and the word's place in its sentence: the draw is the same in
    # any batch, and a link more or less elsewhere changes none of the others.
    keys = hash64(batch.column("pair_id"))[phrases.row]
    n_eligible = np.bincount(phrases.row[eligible], minlength=batch.num_rows)
    kept, rejects = [], []
    for variant in range(config.variants):
        drawn = uniform(
            keys,
            seed=config.seed,
            operation="exchange",
            variant=variant,
            position=phrases.src[:, 0] - bitext.src.words[phrases.row],
        )
        # Draws are in [0, 1), so a rate of 0 takes none and a rate of 1 takes all.
        chosen = np.flatnonzero(eligible & (drawn < config.rate))
        known = casing if config.recase else None
        kept.append(_exchanged_rows(batch, bitext, chosen=chosen, variant=variant, casing=known))
        # A pair without an exchange would be a copy of itself: a reject, with the reason.
        dropped = np.bincount(phrases.row[chosen], minlength=batch.num_rows) == 0
        rejects.extend(_rejected_rows(batch, dropped, n_eligible=n_eligible, variant=variant))
    return Filtered(merge_by_row(kept, EXCHANGE.schema), merge_by_row(rejects))


@takes_tables
def undo_exchange(batch: pa.RecordBatch) -> tuple[pa.StringArray, pa.StringArray]:
    """Exchanges the same links again and returns the original pair, exactly, for each row.

    Args:
        batch: [n] rows of kind exchange.

    Returns:
        The sources and the targets before the exchange.

    Raises:
        RowError: `exchanged` names a link that the row has not, or the exchanged texts are not
            what exchanging these links gives.
    """
    back = []
    for name, (view, order, new) in zip(("src", "tgt"), _again(batch), strict=True):
        words = word_spans(view.src, view.phrases.src[order])
        # The way back is a replacement as well: the exchanged spans by the words that stood there,
        # and the spaces that were set beside them taken away again.
        edits = Edits(view.phrases.row[order], new.start, new.end, *words)
        host = to_texts(batch.column(f"{name}_exchanged"))
        back.append(
            replace_spans(
                host, edits, view.src.texts.points, boundary_spaces=-new.boundary_spaces
            ).strings
        )
    return back[0], back[1]


@takes_tables
def exchanged_spans(batch: pa.RecordBatch) -> tuple[pa.ListArray, pa.ListArray]:
    """Returns where the exchanged words stand in `src_exchanged` and in `tgt_exchanged`.

    Args:
        batch: [n] rows of kind exchange.

    Returns:
        Two columns of spans in code points, sorted by start, one span for each exchanged link or
        group of links.

    Raises:
        RowError: as in `undo_exchange`.
    """
    lists = []
    for view, order, new in _again(batch):
        counts = np.bincount(view.phrases.row[order], minlength=batch.num_rows)
        places = [pa.array(new.start, pa.int32()), pa.array(new.end, pa.int32())]
        spans = pa.StructArray.from_arrays(places, fields=list(SPAN))
        offsets = pa.array(offsets_of(counts), pa.int32())
        lists.append(pa.ListArray.from_arrays(offsets, spans, type=SPANS))
    return lists[0], lists[1]


def _again(batch: pa.RecordBatch) -> list[tuple[AlignedBitext, I64, ReplacedTexts]]:
    """Returns the exchange of a batch done once more, for each side; see `translate`."""
    check_rows(batch, EXCHANGE, "exchange")
    bitext = bitext_of(batch)
    links, exchanged = _places(batch.column("links")), _places(batch.column("exchanged"))
    # `exchanged` names links, of which a phrase may have several; each phrase once.
    chosen = np.unique(bitext.phrases.of_link[np.isin(links, exchanged)])
    # A link of no phrase cannot have been exchanged; the texts below will differ then.
    chosen = chosen[chosen >= 0]
    again = [
        (view, *_cased_as(view, chosen, batch.column(f"{side}_exchanged"), batch[f"{other}_lang"]))
        for view, side, other in ((bitext, "src", "tgt"), (bitext.flip(), "tgt", "src"))
    ]
    wrong = np.zeros(batch.num_rows, bool)
    # The row is in the upper half of the number; see `_places`.
    wrong[exchanged[~np.isin(exchanged, links)] >> 32] = True
    for name, (_, _, new) in zip(("src", "tgt"), again, strict=True):
        same = pc.equal(new.strings, batch.column(f"{name}_exchanged"))
        wrong |= ~same.to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RowError(
            f"exchange: exchanging the links named in `exchanged` does not give the exchanged "
            f"texts in the row with pair_id {batch.column('pair_id')[row].as_py()!r}, variant "
            f"{batch.column('variant')[row].as_py()}; write the dataset again with this version"
        )
    return again


def _cased_as(
    view: AlignedBitext, chosen: I64, given: pa.StringArray, lang: pa.StringArray
) -> tuple[I64, ReplacedTexts]:
    """Translates as `translate` does, each word with its first letter cased as in `given`.

    Args:
        view: of n pairs.
        chosen: phrases.
        given: [n] new sources, recased or not.
        lang: [n] of the targets.
    """
    order, plain = translate(view, chosen)
    # Which casing was used when the row was made is not in the row, but its outcome is: the first
    # letter of each exchanged word. Casing keeps a word's place, so that is where the plain
    # exchange puts it.
    found, row = to_texts(given), view.phrases.row[order]
    place = found.offsets[row] + plain.start
    inside = place < found.offsets[row + 1]
    # A row whose texts are wrong may end too soon; it is found to differ later, and must not fail
    # here.
    first = np.append(found.points, np.uint32(0))[np.where(inside, place, len(found.points))]
    return translate(view, chosen, replacements=match_case(view, order, first, lang=lang))


def _places(links: pa.ListArray) -> I64:
    """Returns one number for each (row, source word, target word)."""
    flat = links.flatten()
    src, tgt = (flat.field(side).to_numpy().astype(np.int64) for side in ("src", "tgt"))
    #     row (32 bits) | source word (16) | target word (16); words are int16 in the schema.
    return (rows_of(list_offsets(links)) << 32) | (src << 16) | tgt


def _exchanged_rows(
    batch: pa.RecordBatch,
    bitext: AlignedBitext,
    *,
    chosen: I64,
    variant: int,
    casing: Casing | None,
) -> tuple[I64, pa.RecordBatch]:
    """Returns the rows with an exchange, by number, and as rows of kind exchange."""
    # Whole columns are cheaper than rows picked out first: all texts are put together, those
    # without an exchange are dropped at the end.
    rows = np.unique(bitext.phrases.row[chosen])
    langs, new = (batch.column("src_lang"), batch.column("tgt_lang")), []
    # Each side from the original pair, not one from the other's result, whose offsets have moved.
    for view, sides in ((bitext, langs), (bitext.flip(), langs[::-1])):
        cased = None if casing is None else recase_phrases(view, chosen, langs=sides, casing=casing)
        new.append(translate(view, chosen, replacements=cased)[1].strings)
    batch = pa.RecordBatch.from_arrays(
        [
            *(batch.column(name) for name in ALIGNED.schema.names),
            pa.repeat(pa.scalar(variant, pa.int16()), batch.num_rows),
            *new,
            _swapped_links(batch.column("links"), np.isin(bitext.phrases.of_link, chosen)),
        ],
        schema=EXCHANGE.schema,
    )
    return rows, batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))


def _swapped_links(links: pa.ListArray, swapped: Bool) -> pa.ListArray:
    flat = links.flatten().filter(pa.array(swapped))
    counts = np.bincount(rows_of(list_offsets(links))[swapped], minlength=len(links))
    items = [flat.field("src"), flat.field("tgt")]
    return pa.ListArray.from_arrays(
        pa.array(offsets_of(counts), pa.int32()),
        pa.StructArray.from_arrays(items, fields=list(EXCHANGED)),
        type=list_of(EXCHANGED),
    )


def _rejected_rows(
    batch: pa.RecordBatch, dropped: Bool, *, n_eligible: I64, variant: int
) -> list[tuple[I64, pa.RecordBatch]]:
    n_links = np.diff(list_offsets(batch.column("links")))
    parts = []
    for rule, rejected, value in (
        ("no_eligible_links/1", dropped & (n_eligible == 0), n_links),
        ("nothing_sampled/1", dropped & (n_eligible > 0), n_eligible),
    ):
        numbers = np.flatnonzero(rejected)
        rows, values = batch.take(pa.array(numbers)), value[numbers].astype(np.float64)
        detail = f"variant {variant}"
        parts.append((numbers, reject_rows(rows, rule=rule, value=values, detail=detail)))
    return parts
