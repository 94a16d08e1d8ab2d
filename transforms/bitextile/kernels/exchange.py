"""Word exchange at text level: linked words of a sentence pair change places (WEAM, methods.md 1).

    en  The dog runs .          The 狗 runs.
    zh  狗 在 跑 。       ->    dog 在跑。        exchanged [(1, 0)]

Texts are put together by `spelling`, so whatever is not exchanged stays byte for byte and spaces
at the seams follow the scripts. A row carries the original pair with its spans and links, from
which `exchange_back` gives the original pair again, exactly.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.codepoints import Ints, list_offsets, offsets_of, rows_of, to_texts
from bitextile.kernels.phrases import Phrases, Side, exchangeable, phrases_of, side_of, stretches
from bitextile.kernels.randomness import hash64, uniform
from bitextile.kernels.sift import Sifted, in_row_order, reject_rows
from bitextile.kernels.spelling import Edits, Respelled, respell
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, RowError
from bitextile.schema.kinds import ALIGNED, EXCHANGE, EXCHANGED, SPAN, SPANS, list_of


@dataclass(frozen=True, kw_only=True)
class ExchangeConfig:
    """How much of a pair is exchanged."""

    rate: float = 0.5
    """Share of a pair's eligible links that change places, 0 to 1. WEAM exchanges the vectors of
    every link; in the text itself half leaves each word a context in its own language (ours)."""
    one_to_one: bool = True
    """Only links whose two words have no other link; else whole groups of links too, where their
    words stand together on both sides. One word for one is what WEAM's figure shows."""
    min_score: float = 0.0
    """Lowest posterior of a link, 0 to 1; 0 because the aligner keeps likely links only."""
    variants: int = 1
    """Draws per pair; each gives a row."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        """Raises ConfigError for values out of range."""
        check_share("rate", self.rate)
        check_share("min_score", self.min_score)
        check_variants(self.variants)


def check_share(name: str, value: float) -> None:
    """Raises ConfigError unless option `name` lies in 0 to 1."""
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value}, expected a share from 0 to 1")


def check_variants(variants: int) -> None:
    """Raises ConfigError unless the number of variants is 1 to 32,767, which int16 holds."""
    if not 1 <= variants <= np.iinfo(np.int16).max:
        raise ConfigError(f"variants is {variants}, expected 1 to {np.iinfo(np.int16).max}")


def exchange(batch: pa.RecordBatch, *, config: ExchangeConfig) -> Sifted:
    """Swaps linked words between the two sentences of each pair.

    Each eligible link is drawn with probability `rate`. Eligible is a link (or group of links)
    whose two sides hold a letter or digit each, differ, and score at least `min_score`.

    Args:
        batch: [n] rows of kind aligned.
        config: rate, eligibility, variants, seed.

    Returns:
        Kept: rows of kind exchange, by row, then variant. Rejects, one for each other (row,
        variant): "no_eligible_links/1" (value: links of the row) or "no_link_drawn/1" (value:
        eligible links), with the variant as detail. Together n * variants rows.

    Raises:
        RowError: a span or a link lies outside its text, or spans overlap.
    """
    check_rows(batch, ALIGNED, "exchange")
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    phrases = phrases_of(batch, src, tgt)
    eligible = exchangeable(src, tgt, phrases) & (phrases.score >= config.min_score)
    if config.one_to_one:
        eligible &= phrases.n_links == 1
    drawn = draws(batch, src, phrases, config) & eligible
    n_links = list_offsets(batch.column("links"))
    counts = np.bincount(phrases.row[eligible], minlength=batch.num_rows), np.diff(n_links)
    kept, rejects = [], []
    for variant in range(config.variants):
        chosen = np.flatnonzero(drawn[variant])
        kept.append(_exchanged_rows(batch, (src, tgt), phrases, chosen, variant))
        rejects.extend(_rejected_rows(batch, phrases.row[chosen], *counts, variant))
    return Sifted(in_row_order(kept, EXCHANGE.schema), in_row_order(rejects))


def exchange_back(batch: pa.RecordBatch) -> tuple[pa.StringArray, pa.StringArray]:
    """Exchanges the same links again and returns the original pair, exactly, for each row.

    Args:
        batch: [n] rows of kind exchange.

    Returns:
        The sources and the targets before the exchange.

    Raises:
        RowError: `exchanged` names a link that the row has not, or the exchanged texts are not
            what exchanging these links gives.
    """
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    phrases, chosen, new = _again(batch, src, tgt)
    back = []
    for name, side, words, respelled in zip(
        ("src", "tgt"), (src, tgt), (phrases.src, phrases.tgt), new, strict=True
    ):
        order = _by_place(phrases.row, words, chosen)
        starts, ends = stretches(side, words[order])
        host = to_texts(batch.column(f"{name}_exchanged"))
        edits = Edits(phrases.row[order], respelled.start, respelled.end, starts, ends)
        back.append(respell(host, edits, side.texts.points, seams=-respelled.seams).strings)
    return back[0], back[1]


def exchanged_spans(batch: pa.RecordBatch) -> tuple[pa.ListArray, pa.ListArray]:
    """Returns where the exchanged words stand in `src_exchanged` and in `tgt_exchanged`.

    Args:
        batch: [n] rows of kind exchange.

    Returns:
        Two columns of spans in code points, sorted by start, one span for each exchanged link or
        group of links.

    Raises:
        RowError: as in `exchange_back`.
    """
    src, tgt = side_of(batch, "src"), side_of(batch, "tgt")
    phrases, chosen, new = _again(batch, src, tgt)
    offsets = offsets_of(np.bincount(phrases.row[chosen], minlength=batch.num_rows))
    lists = [
        pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()),
            pa.StructArray.from_arrays(
                [pa.array(side.start, pa.int32()), pa.array(side.end, pa.int32())],
                fields=list(SPAN),
            ),
            type=SPANS,
        )
        for side in new
    ]
    return lists[0], lists[1]


def draws(
    batch: pa.RecordBatch, src: Side, phrases: Phrases, config: ExchangeConfig
) -> npt.NDArray[np.bool_]:
    """Returns which phrases are drawn, [variants, p]; by pair, variant and first source word."""
    keys = hash64(batch.column("pair_id"))[phrases.row]
    position = phrases.src[:, 0] - src.words[phrases.row]
    drawn = [
        uniform(keys, seed=config.seed, operation="exchange", variant=v, position=position)
        for v in range(config.variants)
    ]
    return np.stack(drawn) < config.rate


def _by_place(row: Ints, words: Ints, chosen: Ints) -> Ints:
    """Returns the chosen phrases by row, then by their place on the side of `words`."""
    return chosen[np.lexsort((words[chosen, 0], row[chosen]))]


def _swap(src: Side, tgt: Side, phrases: Phrases, chosen: Ints) -> tuple[Respelled, Respelled]:
    new = []
    for host, words, other, other_words in (
        (src, phrases.src, tgt, phrases.tgt),
        (tgt, phrases.tgt, src, phrases.src),
    ):
        order = _by_place(phrases.row, words, chosen)
        row = phrases.row[order]
        base = host.texts.offsets[row]
        starts, ends = stretches(host, words[order])
        pool = stretches(other, other_words[order])
        new.append(
            respell(host.texts, Edits(row, starts - base, ends - base, *pool), other.texts.points)
        )
    return new[0], new[1]


def _again(
    batch: pa.RecordBatch, src: Side, tgt: Side
) -> tuple[Phrases, Ints, tuple[Respelled, Respelled]]:
    """Returns phrases, which of them were exchanged, and the exchange done once more."""
    phrases = phrases_of(batch, src, tgt)
    links, exchanged = _places(batch.column("links")), _places(batch.column("exchanged"))
    swapped = phrases.of_link[np.isin(links, exchanged)]
    new = _swap(src, tgt, phrases, np.unique(swapped[swapped >= 0]))
    wrong = np.zeros(batch.num_rows, bool)
    wrong[exchanged[~np.isin(exchanged, links)] >> 32] = True
    for name, side in zip(("src", "tgt"), new, strict=True):
        same = pc.equal(side.strings, batch.column(f"{name}_exchanged"))
        wrong |= ~same.to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RowError(
            f"pair_id {batch.column('pair_id')[row].as_py()!r}, variant "
            f"{batch.column('variant')[row].as_py()}: exchanging the links named in `exchanged` "
            "does not give its exchanged texts; write the dataset again with this version"
        )
    return phrases, np.unique(swapped[swapped >= 0]), new


def _places(links: pa.ListArray) -> Ints:
    flat = links.flatten()
    src, tgt = (flat.field(side).to_numpy().astype(np.int64) for side in ("src", "tgt"))
    return (rows_of(list_offsets(links)) << 32) | (src << 16) | tgt


def _exchanged_rows(
    batch: pa.RecordBatch, sides: tuple[Side, Side], phrases: Phrases, chosen: Ints, variant: int
) -> tuple[Ints, pa.RecordBatch]:
    """Returns the rows with an exchange, by number, and as rows of kind exchange."""
    rows = np.unique(phrases.row[chosen])
    new = _swap(*sides, phrases, chosen)
    batch = pa.RecordBatch.from_arrays(
        [
            *(batch.column(name) for name in ALIGNED.schema.names),
            pa.repeat(pa.scalar(variant, pa.int16()), batch.num_rows),
            *(side.strings for side in new),
            _swapped_links(batch.column("links"), phrases, chosen),
        ],
        schema=EXCHANGE.schema,
    )
    return rows, batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))


def _swapped_links(links: pa.ListArray, phrases: Phrases, chosen: Ints) -> pa.ListArray:
    member = np.append(np.zeros(len(phrases.row), bool), False)  # the last stands for "no phrase"
    member[chosen] = True
    swapped = member[phrases.of_link]
    flat = links.flatten().filter(pa.array(swapped))
    counts = np.bincount(rows_of(list_offsets(links))[swapped], minlength=len(links))
    items = pa.StructArray.from_arrays(
        [flat.field("src"), flat.field("tgt")], fields=list(EXCHANGED)
    )
    return pa.ListArray.from_arrays(
        pa.array(offsets_of(counts), pa.int32()), items, type=list_of(EXCHANGED)
    )


def _rejected_rows(
    batch: pa.RecordBatch, kept: Ints, n_eligible: Ints, n_links: Ints, variant: int
) -> list[tuple[Ints, pa.RecordBatch]]:
    dropped = np.ones(batch.num_rows, bool)
    dropped[kept] = False
    parts = []
    for rule, rows, value in (
        ("no_eligible_links/1", dropped & (n_eligible == 0), n_links),
        ("no_link_drawn/1", dropped & (n_eligible > 0), n_eligible),
    ):
        numbers = np.flatnonzero(rows)
        rejects = reject_rows(
            batch.take(pa.array(numbers)),
            rule=rule,
            value=value[numbers].astype(np.float64),
            detail=f"variant {variant}",
        )
        parts.append((numbers, rejects))
    return parts
