"""From words to eflomal's text files, and from its links to word alignment.

Pairs with an empty side are not sent to it and get no links; sentences too long for it are cut into
windows, as the HMM aligner cuts them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bitextile.kernels.align.alignment import MAX_WORDS, Alignment, WordLinks, to_alignment
from bitextile.kernels.align.corpus import Corpus, Windows, cut_windows, lower_words
from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.kernels.align.eflomal.model import EflomalModel, parse_priors
from bitextile.kernels.align.eflomal.programs import run_align, run_make_priors
from bitextile.kernels.align.symmetrize import Method, get_method, symmetrize_corpus
from bitextile.kernels.arrays import I32, I64, offsets_of
from bitextile.schema.errors import BitextileError, ConfigError, InputError

WINDOW_WORDS = 250
"""Longer sentences are cut. eflomal gives no link beyond 1,024 words, and its time grows with the
product of the lengths: one pair of 1,000 words took 34 s on two cores, among three."""
LINES_PER_BATCH = 10_000
"""Symmetrised together: at most 600 MB of cells, where every sentence fills its window."""


@dataclass(frozen=True)
class EflomalOutput:
    """One run of eflomal: what it was given and the links it drew, in both directions.

    Attributes:
        windows: the sentence pairs, cut.
        line_window: int64 [lines], the window each line is of: those with words on both sides.
        texts: the lines of both sides.
        links: its lines `i-j` of both directions; forward gives each target word one link or none.
        n_pairs: sentence pairs.
    """

    windows: Windows
    line_window: I64
    texts: tuple[str, str]
    links: tuple[str, str]
    n_pairs: int

    @property
    def statistics(self) -> dict[str, int]:
        """Counts of the pairs: all, those without words on both sides, those cut into windows."""
        n_nonempty = len(np.unique(self.windows.row[self.line_window]))
        return {
            "pairs": self.n_pairs,
            "pairs_with_an_empty_side": self.n_pairs - n_nonempty,
            "pairs_in_windows": self.windows.n_long,
        }


def run_eflomal(
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    options: EflomalOptions,
    model: EflomalModel | None = None,
    n_threads: int | None = None,
) -> EflomalOutput:
    """Runs eflomal on sentence pairs.

    Args:
        src: list<string> [pairs], words of the first side.
        tgt: list<string> [pairs], words of the second side.
        options: how it is run.
        model: whose priors are used; without it the links are those of training on these pairs.
        n_threads: of eflomal; None leaves the choice to it.

    Raises:
        ConfigError: eflomal is not there.
        InputError: the sides differ in length, or have more words than a link can number.
        BitextileError: eflomal failed, or did not write one line per pair.
    """
    windows, words = _cut(src, tgt)
    corpus = windows.corpus
    lines = np.flatnonzero((np.diff(corpus.src_at) > 0) & (np.diff(corpus.tgt_at) > 0))
    texts = (
        _text(corpus.src, corpus.src_at, lines, words[0]),
        _text(corpus.tgt, corpus.tgt_at, lines, words[1]),
    )
    links = ("", "")
    if len(lines):  # without a line it divides by zero
        priors = "" if model is None else model.priors_of(*words)
        links = run_align(texts, priors, options=options, n_threads=n_threads)
    return EflomalOutput(windows, lines, texts, links, len(src))


def symmetrize_output(output: EflomalOutput, *, symmetrize: str) -> Alignment:
    """Returns the alignment of each pair; a link's score is the share of directions that drew it.

    Args:
        output: of `run_eflomal`.
        symmetrize: intersect, union, grow-diag, grow-diag-final or grow-diag-final-and.

    Raises:
        ConfigError: symmetrize is another.
        BitextileError: a link of eflomal lies outside its sentence.
    """
    method = _heuristic(symmetrize)
    windows = output.windows
    n_src = np.diff(windows.corpus.src_at)[output.line_window]
    n_tgt = np.diff(windows.corpus.tgt_at)[output.line_window]
    src_at = offsets_of(n_src)
    tgt_at = offsets_of(n_tgt)
    # eflomal's forward links have one source word per target word, its reverse links the other way
    # round: just what the heuristics start from.
    best_src = np.full(tgt_at[-1], -1, np.int32)
    best_tgt = np.full(src_at[-1], -1, np.int32)
    line, i, j = _parse_links(output.links[0], n_src, n_tgt)
    best_src[tgt_at[line] + j] = i
    line, i, j = _parse_links(output.links[1], n_src, n_tgt)
    best_tgt[src_at[line] + i] = j
    line, i, j = _symmetrize(best_src, best_tgt, src_at, tgt_at, method)
    agreed = (best_src[tgt_at[line] + j] == i) & (best_tgt[src_at[line] + i] == j)
    # eflomal gives no probabilities: 1 where both directions drew the link, 0.5 where one did.
    score = np.where(agreed, 1.0, 0.5)
    links = WordLinks(output.line_window[line], i, j, score)
    return to_alignment(windows.to_pairs(links), output.n_pairs)


def make_model(output: EflomalOutput, *, options: EflomalOptions) -> EflomalModel:
    """Returns the priors that the links of a run make, counted by eflomal-makepriors.

    Args:
        output: of `run_eflomal`, without a model.
        options: how it was run.

    Raises:
        ConfigError: eflomal is not there.
        BitextileError: it failed.
    """
    lines: list[str] = []
    if len(output.line_window):
        lines = run_make_priors(output.texts, output.links, options=options)
    return EflomalModel(options=options, priors=parse_priors(lines), statistics=output.statistics)


def _heuristic(symmetrize: str) -> Method:
    method = get_method(symmetrize)
    if method is Method.POSTERIOR:
        raise ConfigError(
            "symmetrize is 'posterior', but eflomal gives no posteriors; take grow-diag"
        )
    return method


def _cut(src: pa.ListArray, tgt: pa.ListArray) -> tuple[Windows, tuple[list[str], list[str]]]:
    """Returns the pairs as ids in windows, and the words of the ids of both sides."""
    if len(src) != len(tgt):
        raise InputError(f"eflomal got {len(src)} source and {len(tgt)} target sentences")
    columns: list[Any] = []
    words = []
    for side in (src, tgt):
        flat, at = lower_words(side)
        if (longest := int(np.diff(at).max(initial=0))) > MAX_WORDS:
            raise InputError(f"a sentence has {longest} words, links number {MAX_WORDS}; split it")
        encoded = flat.dictionary_encode()
        columns += [np.array(encoded.indices, np.int32), at]
        # eflomal cuts at any white space and would see no word in an empty one.
        words.append(["_".join(word.split()) or "_" for word in encoded.dictionary.to_pylist()])
    return cut_windows(Corpus(*columns), WINDOW_WORDS), (words[0], words[1])


def _text(ids: I32, at: I64, sentences: I64, words: list[str]) -> str:
    names = np.array(words, dtype=object)
    return "".join(" ".join(names[ids[at[s] : at[s + 1]]]) + "\n" for s in sentences)


def _parse_links(links: str, n_src: I64, n_tgt: I64) -> tuple[I64, I64, I64]:
    """Returns line, source and target word of each link."""
    # "0-0 1-2" / "" / "0-1"   ->   line [0 0 2]   flat [0 0 1 2 0 1]
    counts = [line.count("-") for line in links.splitlines()]
    line = np.repeat(np.arange(len(n_src)), np.array(counts, np.int64))
    try:
        flat = np.array(links.replace("-", " ").split(), np.int64)
        i, j = flat.reshape(len(line), 2).T
    except ValueError as error:
        raise BitextileError(f"eflomal wrote malformed links, expected `i-j`: {error}") from error
    if ((i < 0) | (j < 0) | (i >= n_src[line]) | (j >= n_tgt[line])).any():
        raise BitextileError("eflomal wrote a link outside its sentence; is it eflomal 2?")
    return line, i, j


def _symmetrize(
    best_src: I32, best_tgt: I32, src_at: I64, tgt_at: I64, method: Method
) -> tuple[I64, I64, I64]:
    """Returns line, source and target word of each link of both directions symmetrised."""
    found = [(np.zeros(0, np.int64),) * 3]
    n_lines = len(src_at) - 1
    for first in range(0, n_lines, LINES_PER_BATCH):
        lines = slice(first, min(first + LINES_PER_BATCH, n_lines) + 1)
        src, tgt = src_at[lines], tgt_at[lines]
        best = best_src[tgt[0] : tgt[-1]], best_tgt[src[0] : src[-1]]
        corpus = Corpus(best[1], src - src[0], best[0], tgt - tgt[0])
        cells = np.flatnonzero(symmetrize_corpus(corpus, *best, int(method)))
        n_columns = np.diff(tgt)
        cell_at = offsets_of(np.diff(src) * n_columns)
        line = np.searchsorted(cell_at, cells, side="right") - 1
        i, j = np.divmod(cells - cell_at[line], n_columns[line])
        found.append((line + first, i, j))
    line, i, j = (np.concatenate(column) for column in zip(*found))
    return line, i, j
