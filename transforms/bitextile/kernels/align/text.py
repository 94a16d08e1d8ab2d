"""Aligning `source words ||| target words` lines, as fast_align and eflomal users know them.

One line out for every line in, whatever the line: a line that cannot be aligned gives an empty line
and is counted.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from os import PathLike
from typing import TextIO

import pyarrow as pa

from bitextile.kernels.align.apply import MOST_WORDS, Alignment, apply
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.corpus import list_of_words
from bitextile.kernels.align.fit import fit
from bitextile.kernels.align.model import AlignerModel
from bitextile.kernels.align.symmetrize import method_named
from bitextile.kernels.align.threads import usable_threads

SEPARATOR = "|||"
PAIRS_PER_BATCH = 20_000
"""Pairs aligned and written at a time."""


@dataclass
class TextSummary:
    """What became of the lines: lines = aligned + every other count but no_links.

    Attributes:
        lines: read, and written.
        aligned: with words on both sides.
        no_separator: without `|||`, or with more than one.
        empty_side: with no word on one side or on both.
        too_long: with more words on a side than a link can number.
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
    lines_in: Iterable[str],
    lines_out: TextIO,
    *,
    model: str | PathLike[str] | None = None,
    save_model: str | PathLike[str] | None = None,
    scores_out: TextIO | None = None,
    symmetrize: str = "posterior",
    threshold: float | None = None,
    config: AlignerConfig | None = None,
    lexicon: pa.Table | None = None,
    n_threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> TextSummary:
    """Writes one line of links (`0-0 1-2`, source-target, 0-based) per input line.

    Args:
        lines_in: an open file or any lines; words are separated by spaces.
        lines_out: where the Pharaoh lines go.
        model: folder of a saved model to apply; without it, one is fitted on these lines.
        save_model: folder the model is saved to.
        scores_out: where a line with the mean log posterior of each line's links goes.
        symmetrize: as for `apply`.
        threshold: as for `apply`.
        config: as for `fit`; not with `model`.
        lexicon: as for `fit`; not with `model`.
        n_threads: as for `fit`.
        progress: called with one line of text now and then.

    Raises:
        ConfigError: symmetrize or threshold is unknown or out of range.
        DatasetError: `model` is no whole model.

    >>> import io
    >>> out = io.StringIO()
    >>> lines = ["das haus ||| 这 房子", "das buch ||| 这 书", "no separator", "ein buch ||| 一 书"]
    >>> align_text(lines, out).no_separator, out.getvalue().splitlines()
    (1, ['0-0 1-1', '0-0 1-1', '', '0-0 1-1'])
    """
    method_named(symmetrize)
    summary = TextSummary()
    src, tgt = sides_of(lines_in, summary)
    if model is not None:
        aligner = AlignerModel.load(model)
    else:
        aligner = fit(
            src, tgt, config=config, lexicon=lexicon, progress=progress, n_threads=n_threads
        )
    if save_model is not None:
        aligner.save(save_model)
    summary.model = aligner.digest
    links_of = partial(
        apply, symmetrize=symmetrize, threshold=threshold, n_threads=usable_threads(n_threads)
    )
    for first in range(0, len(src), PAIRS_PER_BATCH):
        batch = (side.slice(first, PAIRS_PER_BATCH) for side in (src, tgt))
        write_links(links_of(aligner, *batch), lines_out, scores_out, summary)
        if progress:
            progress(f"aligned {min(first + PAIRS_PER_BATCH, len(src)):,} of {len(src):,} lines")
    summary.no_links -= summary.lines - summary.aligned
    return summary


def sides_of(lines: Iterable[str], summary: TextSummary) -> tuple[pa.ListArray, pa.ListArray]:
    """Returns the words of both sides of lines; both are empty where a line cannot be aligned.

    Args:
        lines: `source ||| target`, with or without a line end.
        summary: counts them, each by what became of it.
    """
    src: list[str] = []
    tgt: list[str] = []
    for line in lines:
        summary.lines += 1
        sides = line.split(SEPARATOR)
        words = [side.split() for side in sides]
        if len(sides) != 2:
            summary.no_separator += 1
        elif not words[0] or not words[1]:
            summary.empty_side += 1
        elif max(map(len, words)) > MOST_WORDS:
            summary.too_long += 1
        else:
            summary.aligned += 1
            src.append(sides[0])
            tgt.append(sides[1])
            continue
        src.append("")
        tgt.append("")
    return list_of_words(src), list_of_words(tgt)


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
    links = alignment.links
    at = links.offsets.to_pylist()
    pairs = links.flatten()
    src, tgt = (pairs.field(name).to_pylist() for name in ("src", "tgt"))
    points = [f"{i}-{j}" for i, j in zip(src, tgt)]
    for begin, end in pairwise(at):
        lines_out.write(" ".join(points[begin - at[0] : end - at[0]]) + "\n")
        summary.no_links += begin == end
    summary.links += len(points)
    if scores_out is not None:
        scores_out.writelines(f"{score:.6f}\n" for score in alignment.score.to_pylist())
