"""eflomal (Östling and Tiedemann 2016) as an engine beside ours: its programs, run as processes.

eflomal is under the GPL, so nothing of it is imported or needed by bitextile: text files go to the
programs `eflomal-align` and `eflomal-makepriors`, text files come back. Train once, apply
everywhere: a sample is aligned, its links are counted into priors, and batches are aligned with
these. What eflomal cannot take it never gets: pairs with an empty side have no links, longer
sentences are cut into windows as our own aligner cuts them. It seeds itself from the system, so two
runs differ.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.corpus import Corpus, Windows, folded_words, windowed
from bitextile.kernels.align.encoder import WordLinks, alignment_of
from bitextile.kernels.align.hmm.apply import MOST_WORDS, Alignment
from bitextile.kernels.align.symmetrize import Method, method_named, symmetrized_all
from bitextile.kernels.arrays import I32, I64, offsets_of
from bitextile.schema.errors import BitextileError, ConfigError, DatasetError, InputError
from bitextile.schema.storage import write_atomically

FORMAT = "bitextile-eflomal/1"
WINDOW_WORDS = 250
"""Longer sentences are cut. eflomal gives no link beyond 1,024 words, and its time grows with the
product of the lengths: one pair of 1,000 words took 34 s on two cores, among three."""
LINES_AT_ONCE = 10_000
"""Symmetrised together: at most 600 MB of cells, where every sentence fills its window."""
PRIORS = pa.schema(
    [("kind", pa.string()), ("first", pa.string()), ("second", pa.string()), ("alpha", pa.string())]
)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How eflomal is run; the defaults are its own.

    Attributes:
        programs: folder with eflomal-align and eflomal-makepriors; empty looks on PATH.
        model: 1 is IBM-1, 2 adds an HMM, 3 fertilities.
        length: how many rounds of sampling, relative to its choice by the number of pairs.
        null_prior: probability that a word has no link.
    """

    programs: str = ""
    model: int = 3
    length: float = 1.0
    null_prior: float = 0.2


@dataclass(frozen=True)
class Sampled:
    """One run of eflomal: what it was given and the links it drew, in both directions.

    Attributes:
        windows: the sentence pairs, cut.
        sent: int64 [lines], the pieces that eflomal was given: those with words on both sides.
        texts: the lines of both sides.
        links: its lines `i-j` of both directions; forward gives each target word one link or none.
        n_pairs: sentence pairs.
    """

    windows: Windows
    sent: I64
    texts: tuple[str, str]
    links: tuple[str, str]
    n_pairs: int

    @property
    def statistics(self) -> dict[str, int]:
        """Counts of the pairs: all, those without words on both sides, those cut into windows."""
        whole = len(np.unique(self.windows.row[self.sent]))
        return {
            "pairs": self.n_pairs,
            "pairs_with_an_empty_side": self.n_pairs - whole,
            "pairs_in_windows": self.windows.n_long,
        }


@dataclass(frozen=True, kw_only=True)
class EflomalModel:
    """What is kept of a run to align other pairs with: the priors made of its links.

    Attributes:
        sampling: how eflomal was run.
        priors: PRIORS [priors], lines of eflomal's file: kind LEX, FERF, FERR, HMMF or HMMR; the
            word, pair of words, fertility or jump; the weight. `second` is "" for jumps.
        statistics: counts of the sample.
    """

    sampling: Sampling
    priors: pa.Table
    statistics: Mapping[str, int]

    @cached_property
    def digest(self) -> str:
        """A sha256 over all content."""
        return str(self._head()["digest"])

    def save(self, folder: str | PathLike[str]) -> str:
        """Writes the model to a local folder and returns its digest; `model.json` comes last.

        Args:
            folder: made if need be.
        """
        head = self._head()
        write_atomically(f"{fspath(folder)}/priors.arrow", _ipc(self.priors))
        text = json.dumps(head, indent=1, sort_keys=True)
        write_atomically(f"{fspath(folder)}/model.json", text.encode())
        return str(head["digest"])

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "EflomalModel":
        """Reads a model that `save` wrote.

        Raises:
            DatasetError: a file is missing or not as it was written, or of another format.
        """
        place = Path(folder)
        try:
            head = json.loads((place / "model.json").read_bytes())
            if head["format"] != FORMAT:
                raise DatasetError(
                    f"{place}: format is {head['format']!r}, expected {FORMAT!r}; "
                    "which --aligner fitted it?"
                )
            content = (place / "priors.arrow").read_bytes()
            priors = pa.ipc.open_file(pa.py_buffer(content)).read_all()
            sampling = Sampling(**head["sampling"])
            model = cls(sampling=sampling, priors=priors, statistics=head["statistics"])
            if model.digest != head["digest"]:
                raise DatasetError(
                    f"{place}: content is {model.digest}, model.json says {head['digest']}; "
                    "fit and save it again"
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{place}: not a whole model of eflomal ({error!r})") from error
        return model

    def _head(self) -> dict[str, Any]:
        head = {
            "format": FORMAT,
            "sampling": asdict(self.sampling),
            "statistics": dict(self.statistics),
            "priors": sha256(_ipc(self.priors)).hexdigest(),
        }
        digest = sha256(json.dumps(head, sort_keys=True).encode()).hexdigest()
        return {**head, "digest": f"sha256:{digest}"}


def find_program(name: str, sampling: Sampling) -> str:
    """Returns the path of one of eflomal's programs.

    Args:
        name: eflomal-align or eflomal-makepriors.
        sampling: names the folder to look in.

    Raises:
        ConfigError: it is not there; eflomal is never installed along with bitextile.
    """
    found = shutil.which(name, path=sampling.programs or None)
    if found is None:
        where = sampling.programs or "the folders of PATH"
        raise ConfigError(
            f"{name} is not in {where}; aligner eflomal runs the programs of eflomal 2, which is "
            "installed apart: python3 -m venv VENV && VENV/bin/pip install eflomal, then name "
            "VENV/bin by --eflomal, or by `programs` in a recipe"
        )
    return os.path.abspath(found)


def sample_links(
    src: pa.ListArray,
    tgt: pa.ListArray,
    *,
    sampling: Sampling,
    model: EflomalModel | None = None,
    n_threads: int | None = None,
) -> Sampled:
    """Runs eflomal on sentence pairs.

    Args:
        src: list<string> [pairs], words of the first side.
        tgt: list<string> [pairs], words of the second side.
        sampling: how.
        model: whose priors help; without it the links are those of training on these pairs alone.
        n_threads: of eflomal; None leaves the choice to it.

    Raises:
        ConfigError: eflomal is not there.
        InputError: the sides differ in length, or have more words than a link can number.
        BitextileError: eflomal failed, or its answer does not fit the question.
    """
    program = find_program("eflomal-align", sampling)
    windows, words = _cut(src, tgt)
    pieces = windows.corpus
    sent = np.flatnonzero((np.diff(pieces.src_at) > 0) & (np.diff(pieces.tgt_at) > 0))
    texts = (
        _text(pieces.src, pieces.src_at, sent, words[0]),
        _text(pieces.tgt, pieces.tgt_at, sent, words[1]),
    )
    links = ("", "")
    if len(sent):  # without a line it divides by zero
        priors = "" if model is None else _lines(_priors_for(model.priors, words))
        links = _aligned(program, texts, priors, sampling, n_threads)
    return Sampled(windows, sent, texts, links, len(src))


def alignment_of_sampled(sampled: Sampled, *, symmetrize: str) -> Alignment:
    """Returns the links of each pair; a link's score is the share of directions that drew it.

    Args:
        sampled: of `sample_links`.
        symmetrize: intersect, union, grow-diag, grow-diag-final or grow-diag-final-and.

    Raises:
        ConfigError: symmetrize is another.
        BitextileError: a link of eflomal lies outside its sentence.
    """
    method = heuristic_named(symmetrize)
    windows = sampled.windows
    n_src = np.diff(windows.corpus.src_at)[sampled.sent]
    n_tgt = np.diff(windows.corpus.tgt_at)[sampled.sent]
    src_at = offsets_of(n_src)
    tgt_at = offsets_of(n_tgt)
    best_src = np.full(tgt_at[-1], -1, np.int32)
    best_tgt = np.full(src_at[-1], -1, np.int32)
    line, i, j = _points(sampled.links[0], n_src, n_tgt)
    best_src[tgt_at[line] + j] = i
    line, i, j = _points(sampled.links[1], n_src, n_tgt)
    best_tgt[src_at[line] + i] = j
    line, i, j = _linked(best_src, best_tgt, src_at, tgt_at, method)
    agreed = (best_src[tgt_at[line] + j] == i) & (best_tgt[src_at[line] + i] == j)
    piece = sampled.sent[line]
    i, j = i + windows.src_from[piece], j + windows.tgt_from[piece]
    own = (i >= windows.own_from[piece]) & (i < windows.own_to[piece])
    score = np.where(agreed, 1.0, 0.5)
    links = WordLinks(windows.row[piece][own], i[own], j[own], score[own])
    return alignment_of(links, sampled.n_pairs)


def model_of_sampled(sampled: Sampled, *, sampling: Sampling) -> EflomalModel:
    """Returns the model that the links of a run make, counted by eflomal-makepriors.

    Args:
        sampled: of `sample_links`, without a model.
        sampling: how it was run.

    Raises:
        ConfigError: eflomal is not there.
        BitextileError: it failed.
    """
    rows: list[list[str]] = []
    if len(sampled.sent):
        program = find_program("eflomal-makepriors", sampling)
        with TemporaryDirectory(prefix="eflomal-") as folder:
            for name, text in zip("stfr", (*sampled.texts, *sampled.links)):
                _write(folder, name, text)
            given = [argument for name in "stfr" for argument in (f"-{name}", name)]
            _run([program, *given, "-p", "priors"], folder, None)
            rows = [_prior(line.rstrip("\n")) for line in _read(folder, "priors")]
    columns: list[Any] = [list(column) for column in zip(*rows)] or [[], [], [], []]
    priors = pa.table(columns, schema=PRIORS)
    return EflomalModel(sampling=sampling, priors=priors, statistics=sampled.statistics)


def heuristic_named(symmetrize: str) -> Method:
    """Returns the method of that name, of those that need no posteriors.

    Raises:
        ConfigError: there is none.
    """
    method = method_named(symmetrize)
    if method is Method.POSTERIOR:
        raise ConfigError("symmetrize is 'posterior', but eflomal tells none; take grow-diag")
    return method


def _cut(src: pa.ListArray, tgt: pa.ListArray) -> tuple[Windows, tuple[list[str], list[str]]]:
    """Returns the pairs as ids in windows, and the words of the ids of both sides."""
    if len(src) != len(tgt):
        raise InputError(f"eflomal got {len(src)} source and {len(tgt)} target sentences")
    columns: list[Any] = []
    words = []
    for side in (src, tgt):
        flat, at = folded_words(side)
        if (longest := int(np.diff(at).max(initial=0))) > MOST_WORDS:
            raise InputError(f"a sentence has {longest} words, links number {MOST_WORDS}; split it")
        encoded = flat.dictionary_encode()
        columns += [np.array(encoded.indices, np.int32), at]
        # eflomal cuts at any white space and would see no word in an empty one.
        words.append(["_".join(word.split()) or "_" for word in encoded.dictionary.to_pylist()])
    return windowed(Corpus(*columns), WINDOW_WORDS), (words[0], words[1])


def _text(ids: I32, at: I64, sent: I64, words: list[str]) -> str:
    names = np.array(words, dtype=object)
    return "".join(" ".join(names[ids[at[s] : at[s + 1]]]) + "\n" for s in sent)


def _priors_for(priors: pa.Table, words: tuple[list[str], list[str]]) -> pa.Table:
    """Returns the priors that bear on these words.

    eflomal would pass over the others, too, but take longer to read them than to align a batch.
    """
    kind = priors["kind"]
    src, tgt = (pa.array(sorted(set(side)), pa.string()) for side in words)
    first_src = pc.is_in(priors["first"], src)
    lexical = pc.and_(first_src, pc.is_in(priors["second"], tgt))
    wanted = pc.and_(pc.equal(kind, "LEX"), lexical)
    wanted = pc.or_(wanted, pc.and_(pc.equal(kind, "FERF"), first_src))
    wanted = pc.or_(wanted, pc.and_(pc.equal(kind, "FERR"), pc.is_in(priors["first"], tgt)))
    return priors.filter(pc.or_(wanted, pc.equal(priors["second"], "")))


def _lines(priors: pa.Table) -> str:
    rows = zip(*(priors[name].to_pylist() for name in PRIORS.names))
    return "".join("\t".join(field for field in row if field) + "\n" for row in rows)


def _prior(line: str) -> list[str]:
    fields = line.split("\t")
    if len(fields) not in (3, 4):
        raise BitextileError(f"eflomal-makepriors wrote {line!r}, expected eflomal 2's priors")
    return [*fields[:-1], *[""] * (4 - len(fields)), fields[-1]]


def _aligned(
    program: str, texts: tuple[str, str], priors: str, sampling: Sampling, n_threads: int | None
) -> tuple[str, str]:
    with TemporaryDirectory(prefix="eflomal-") as folder:
        _write(folder, "s", texts[0])
        _write(folder, "t", texts[1])
        given = ["-s", "s", "-t", "t", "-f", "f", "-r", "r", "-m", str(sampling.model)]
        given += ["--length", str(sampling.length), "--null-prior", str(sampling.null_prior)]
        if priors:
            _write(folder, "p", priors)
            given += ["-p", "p"]
        _run([program, *given], folder, n_threads)
        expected = texts[0].count("\n")
        forward, reverse = (list(_read(folder, name)) for name in "fr")
    for lines in (forward, reverse):
        if len(lines) != expected:
            raise BitextileError(f"eflomal wrote {len(lines)} lines of links for {expected} pairs")
    return "".join(forward), "".join(reverse)


def _run(command: list[str], folder: str, n_threads: int | None) -> None:
    threads = {} if n_threads is None else {"OMP_NUM_THREADS": str(n_threads)}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **threads},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error}; install eflomal again") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing said"]
        raise BitextileError(
            f"{command[0]} ended with {done.returncode}: {said[-1]}; run it by hand to see why"
        )


def _write(folder: str, name: str, text: str) -> None:
    Path(folder, name).write_text(text, encoding="utf-8", newline="\n")


def _read(folder: str, name: str) -> Iterator[str]:
    try:
        with open(Path(folder, name), encoding="utf-8", newline="\n") as lines:
            yield from lines
    except OSError as error:
        raise BitextileError(f"eflomal wrote no file of {name!r}: {error}") from error


def _points(links: str, n_src: I64, n_tgt: I64) -> tuple[I64, I64, I64]:
    """Returns line, source and target word of each link."""
    counts = [line.count("-") for line in links.splitlines()]
    line = np.repeat(np.arange(len(n_src)), np.array(counts, np.int64))
    try:
        flat = np.array(links.replace("-", " ").split(), np.int64)
        i, j = flat.reshape(len(line), 2).T
    except ValueError as error:
        raise BitextileError(f"eflomal wrote what are no links `i-j`: {error}") from error
    if ((i < 0) | (j < 0) | (i >= n_src[line]) | (j >= n_tgt[line])).any():
        raise BitextileError("eflomal wrote a link outside its sentence; is it eflomal 2?")
    return line, i, j


def _linked(
    best_src: I32, best_tgt: I32, src_at: I64, tgt_at: I64, method: Method
) -> tuple[I64, I64, I64]:
    """Returns line, source and target word of each link of both directions symmetrised."""
    found = [(np.zeros(0, np.int64),) * 3]
    n_lines = len(src_at) - 1
    for first in range(0, n_lines, LINES_AT_ONCE):
        lines = slice(first, min(first + LINES_AT_ONCE, n_lines) + 1)
        src, tgt = src_at[lines], tgt_at[lines]
        best = best_src[tgt[0] : tgt[-1]], best_tgt[src[0] : src[-1]]
        corpus = Corpus(best[1], src - src[0], best[0], tgt - tgt[0])
        cells = np.flatnonzero(symmetrized_all(corpus, *best, int(method)))
        width = np.diff(tgt)
        cell_at = offsets_of(np.diff(src) * width)
        line = np.searchsorted(cell_at, cells, side="right") - 1
        i, j = np.divmod(cells - cell_at[line], width[line])
        found.append((line + first, i, j))
    line, i, j = (np.concatenate(column) for column in zip(*found))
    return line, i, j


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())
