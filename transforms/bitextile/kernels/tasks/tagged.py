"""Files of tagged words, a line each, an empty line between sentences; for `pos` and `ner`."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from bitextile.kernels.tasks.files import read_lines
from bitextile.kernels.text.private_script import transliterate_text
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import SPANS


@dataclass(frozen=True)
class TaggedSentence:
    """One sentence of a file of tagged words.

    Attributes:
        comments: lines that begin with "#" (CoNLL-U).
        rows: cells of each word's line; in CoNLL-U also of word ranges and empty nodes.
    """

    comments: list[str]
    rows: list[list[str]]


def read_tagged(path: str, *, n_cells: int) -> list[TaggedSentence]:
    """Reads sentences of tagged words: CoNLL-U (10 cells) or word and tag (2).

    Raises:
        InputError: a line has another number of cells.
    """
    sentences: list[TaggedSentence] = []
    comments: list[str] = []
    rows: list[list[str]] = []
    # The empty line at the end closes a last sentence that has none behind it.
    for line, text in enumerate([*read_lines(path), ""], 1):
        cells = text.split("\t")
        if not text.strip():
            if rows:
                sentences.append(TaggedSentence(comments, rows))
            comments, rows = [], []
        # Only in CoNLL-U: in a NER file a "#" may be a word, as in tweets.
        elif n_cells == 10 and text.startswith("#"):
            comments.append(text)
        elif len(cells) != n_cells:
            raise InputError(f"{path}, line {line}: {len(cells)} cells, expected {n_cells}")
        else:
            rows.append(cells)
    return sentences


def tagged_lines(sentences: list[TaggedSentence]) -> list[str]:
    """Returns sentences as the lines of their file."""
    lines: list[str] = []
    for sentence in sentences:
        lines += [*sentence.comments, *("\t".join(row) for row in sentence.rows), ""]
    return lines


def spaced_texts(
    forms: Sequence[Sequence[str]], gaps: Sequence[Sequence[str]] | None = None
) -> tuple[pa.StringArray, pa.ListArray]:
    """Returns the texts that words make, and where the words stand in them.

    Args:
        forms: of each sentence.
        gaps: what stands behind each word; spaces by default. That of the last is left out.

    >>> texts, spans = spaced_texts([["قط", "!"]], [["", " "]])
    >>> texts.to_pylist(), [(span["start"], span["end"]) for span in spans[0].as_py()]
    (['قط!'], [(0, 2), (2, 3)])
    """
    texts, spans = [], []
    for row, words in enumerate(forms):
        between = gaps[row] if gaps else [" "] * len(words)
        text, places = "", []
        for word, gap in zip(words, [*between[:-1], ""]):
            places.append({"start": len(text), "end": len(text) + len(word)})
            text += word + gap
        texts.append(text)
        spans.append(places)
    return pa.array(texts, pa.string()), pa.array(spans, SPANS)


def transliterate_cell(cell: str) -> str:
    """Returns a word or lemma in the private script; "_" stays, which stands for none."""
    return cell if cell == "_" else transliterate_text(cell)
