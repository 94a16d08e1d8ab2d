"""Aligning `source words ||| target words` lines, as fast_align and eflomal users know them.

One line out for every line in, whatever the line: a line that cannot be aligned gives an empty line
and is counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.alignment import MAX_WORDS, Alignment
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.corpus import split_words
from bitextile.kernels.align.engine import Aligner, Runtime
from bitextile.kernels.align.hmm.config import HmmConfig

SEPARATOR = "|||"
LINES_PER_BATCH = 2_000
"""Lines cut into words, and written, at a time: 32,767 links in each would still fit a string
array, which holds 2 GB."""
CHARS_PER_BATCH = 8 << 20
"""Characters after which no further line is cut into words with those before it."""


@dataclass
class TextSummary:
    """What became of the lines: lines = aligned + every other count but no_links.

    Attributes:
        lines: read, and written.
        aligned: with words on both sides.
        no_separator: without `|||`, or with more than one.
        empty_side: with no word on one side or on both.
        too_long: with more words on a side than a link can number, or more bytes than are read.
        no_links: aligned lines that came out empty because no link is likely enough.
        links: written.
        model: digest of the model.
    """

    lines: int = 0
    aligned: int = 0
    no_separator: int = 0
    empty_side: int = 0
    too_long: int = 0
    no_links: int = 0
    links: int = 0
    model: str = ""

    def to_json(self) -> dict[str, int | str]:
        """Returns the counts by name."""
        return asdict(self)


def align_text(
    lines_in: Iterable[str | None],
    lines_out: TextIO,
    *,
    config: AlignerConfig | None = None,
    runtime: Runtime | None = None,
    model: str | None = None,
    save_model: str | None = None,
    scores_out: TextIO | None = None,
    lexicon: pa.Table | None = None,
) -> TextSummary:
    """Writes one line of links (`0-0 1-2`, source-target, 0-based) per input line.

    Args:
        lines_in: an open file or any lines; words are separated by spaces. None stands for a line
            that is too long to be held.
        lines_out: where the Pharaoh lines go.
        config: of the aligner, HmmConfig() by default; its samples and segmenters are not used.
        runtime: threads, encoders, progress.
        model: folder of a saved model to apply; without it, one is fitted on these lines.
        save_model: folder the model is saved to.
        scores_out: where a line with the mean log score of each line's links goes.
        lexicon: known translations, as for `Aligner.fit`; not with `model`.

    Raises:
        ConfigError: the aligner needs what is not installed.
        DatasetError: `model` is not a complete model.

    >>> import io
    >>> out = io.StringIO()
    >>> lines = ["das haus ||| 这 房子", "das buch ||| 这 书", "no separator", "ein buch ||| 一 书"]
    >>> align_text(lines, out).no_separator, out.getvalue().splitlines()
    (1, ['0-0 1-1', '0-0 1-1', '', '0-0 1-1'])
    """
    config, runtime = config or HmmConfig(), runtime or Runtime()
    config.check_installed()
    summary = TextSummary()
    src, tgt = read_sides(lines_in, summary)
    aligner: Aligner
    if model is not None:
        aligner = config.aligner_class().load(model, config=config, runtime=runtime)
    else:
        aligner = config.aligner_class().fit(
            src, tgt, config=config, runtime=runtime, lexicon=lexicon
        )
    if save_model is not None:
        aligner.save(save_model)
    summary.model = aligner.digest
    n_written = 0
    for alignment in _alignments(aligner, src, tgt):
        write_links(alignment, lines_out, scores_out, summary)
        n_written += len(alignment.links)
        runtime.progress(f"aligned {n_written:,} of {summary.lines:,} lines")
    # `write_links` counts every line without links, those that could not be aligned among them.
    summary.no_links -= summary.lines - summary.aligned
    return summary


def _alignments(
    aligner: Aligner, src: pa.ChunkedArray, tgt: pa.ChunkedArray
) -> Iterator[Alignment]:
    """Yields the alignment of consecutive pairs, as many at a time as the aligner asks for."""
    # Aligning once more would draw other links, and take as long again (eflomal).
    if (alignment := aligner.training_alignment()) is not None:
        yield alignment
        return
    size = aligner.pairs_per_call or max(len(src), 1)
    for first in range(0, len(src), size):
        yield aligner.align(src.slice(first, size), tgt.slice(first, size))


def read_sides(
    lines: Iterable[str | None], summary: TextSummary
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Returns the words of both sides of lines; both are empty where a line cannot be aligned.

    Args:
        lines: `source ||| target`, with or without a line end; None is one that is too long.
        summary: counts them, each by what became of it.

    Returns:
        Two of list<string> [lines].
    """
    sides = [_split_lines([], summary)]  # gives the columns a type where there is no line
    some: list[str | None] = []
    chars = 0
    for line in lines:
        some.append(line)
        chars += len(line or "")
        if len(some) == LINES_PER_BATCH or chars >= CHARS_PER_BATCH:
            sides.append(_split_lines(some, summary))
            some, chars = [], 0
    sides.append(_split_lines(some, summary))
    src, tgt = (pa.chunked_array(side) for side in zip(*sides))
    return src, tgt


def _split_lines(
    lines: list[str | None], summary: TextSummary
) -> tuple[pa.ListArray, pa.ListArray]:
    texts = pa.array(lines, pa.string())
    too_long = texts.null_count
    cut = pc.split_pattern(pc.fill_null(texts, ""), SEPARATOR)
    two = pc.equal(pc.list_value_length(cut), 2)
    # A line without, or with two, separators has an empty side, which is what aligners pass over.
    if two.true_count < len(lines):
        cut = pc.if_else(two, cut, pa.scalar(["", ""], cut.type))
    src, tgt = (split_words(pc.list_element(cut, side)) for side in (0, 1))
    n_src, n_tgt = (pc.list_value_length(side).to_numpy() for side in (src, tgt))
    whole = (n_src > 0) & (n_tgt > 0)
    fits = np.maximum(n_src, n_tgt) <= MAX_WORDS
    separated, aligned = two.true_count, int((whole & fits).sum())
    summary.lines += len(lines)
    summary.aligned += aligned
    summary.no_separator += len(lines) - separated - too_long
    summary.empty_side += separated - int(whole.sum())
    summary.too_long += int((whole & ~fits).sum()) + too_long
    if aligned == len(lines):
        return src, tgt
    kept, none = pa.array(whole & fits), pa.scalar([], src.type)
    return pc.if_else(kept, src, none), pc.if_else(kept, tgt, none)


def write_links(
    alignment: Alignment, lines_out: TextIO, scores_out: TextIO | None, summary: TextSummary
) -> None:
    """Writes a line of links per pair, and of its score if it is asked for.

    Args:
        alignment: of some pairs.
        lines_out: for the links.
        scores_out: for the scores, or None.
        summary: counts links and pairs without any.
    """
    for first in range(0, len(alignment.links), LINES_PER_BATCH):
        lines_out.write(_pharaoh(alignment.links.slice(first, LINES_PER_BATCH)))
    n_links = pc.list_value_length(alignment.links).to_numpy()
    summary.no_links += int((n_links == 0).sum())
    summary.links += int(n_links.sum())
    if scores_out is not None:
        scores_out.writelines(f"{score:.6f}\n" for score in alignment.score.to_pylist())


def _pharaoh(links: pa.ListArray) -> str:
    """Returns the lines, each with its end."""
    pairs = links.flatten()
    numbers = (pairs.field(name).cast(pa.string()) for name in ("src", "tgt"))
    points = pc.binary_join_element_wise(*numbers, "-")
    # A slice's offsets begin anywhere, its flattened values at its first link.
    offsets = pc.subtract(links.offsets, links.offsets[0])
    rows = pc.binary_join(pa.ListArray.from_arrays(offsets, points), " ")
    whole = pa.ListArray.from_arrays([0, len(rows)], rows)
    return pc.binary_join(whole, "\n")[0].as_py() + "\n"
