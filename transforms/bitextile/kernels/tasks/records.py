"""The way back from derived task files: the text and the words that each text was made from.

A derived file alone does not say where its words begin and which spaces stood there before, so a
record of each text is kept beside it, with which any order and script is undone. What a derived
file cannot hold does not come back: word ranges, empty nodes and enhanced dependencies of CoNLL-U,
and questions that were left out.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bitextile.kernels.arrays import rows_of
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.texts import Derived, derive_texts
from bitextile.kernels.tasks.files import read_lines
from bitextile.kernels.text.private_script import count_private_use, transliterate_text_back
from bitextile.kernels.text.segment import segment
from bitextile.kernels.text.words import SegmentedTexts, segmented_texts
from bitextile.schema.errors import InputError
from bitextile.schema.json_file import parse_json

Records = dict[str, dict[str, Any]]
"""Name of a text in its file to its record; see `to_records`."""


class OriginalText(NamedTuple):
    """A text as it was before it was derived.

    Attributes:
        text: itself.
        starts: where each of its words begins, in code points.
        ends: where each ends.
        derived_index: number of each word in the derived text.
    """

    text: str
    starts: list[int]
    ends: list[int]
    derived_index: list[int]


class DerivedTexts(NamedTuple):
    """Texts of a file: their words, and what was derived from them."""

    words: SegmentedTexts
    derived: Derived

    def source_indices(self) -> list[list[int]]:
        """Returns for each word of each derived text the number of the word it was made from."""
        words = self.words
        # From numbers in the whole batch to numbers in the text; words never leave their text.
        local = self.derived.order - words.words[rows_of(words.words)]
        bounds = zip(words.words[:-1].tolist(), words.words[1:].tolist())
        return [local[low:high].tolist() for low, high in bounds]


def segment_task_texts(texts: list[str], path: str, *, lang: str) -> SegmentedTexts:
    """Returns texts of a file with their words, by the segmenter of the language.

    Raises:
        InputError: as in `task_texts`.
    """
    column = pa.array(texts, pa.string())
    return task_texts(column, segment(column, lang), path)


def task_texts(texts: pa.StringArray, spans: pa.ListArray, path: str) -> SegmentedTexts:
    """Returns texts of a file with known words.

    Raises:
        InputError: a text uses the private script already.
    """
    held = np.flatnonzero(count_private_use(texts))
    if len(held):
        raise InputError(
            f"{path}: text {int(held[0]) + 1} holds code points of the private-use planes, where "
            "derived languages are written; take them out first"
        )
    return segmented_texts(texts, spans)


def derive_task_texts(texts: list[str], path: str, lang: str, config: DeriveConfig) -> DerivedTexts:
    """Derives plain texts of a file; arguments and errors as in `segment_task_texts`."""
    words = segment_task_texts(texts, path, lang=lang)
    return DerivedTexts(words, derive_texts(words, config=config))


def to_records(
    texts: DerivedTexts, names: Iterable[str], tags: list[list[str]] | None = None
) -> list[str]:
    """Returns the way back for each text, as JSON lines.

    Each has the `name` of the text in its file, its `words` as spans of the derived text, for each
    the number of the word it was made from (`source_index`), the `gaps` around the words as they
    were, and the `tags` of named entities.
    """
    words, derived = texts
    spans, records = derived.spans.to_pylist(), []
    named = zip(names, texts.source_indices(), spans, strict=True)
    for row, (name, source_index, places) in enumerate(named):
        record: dict[str, Any] = {"name": name, "source_index": source_index}
        record["gaps"] = _gaps(words, row)
        record["words"] = [[place["start"], place["end"]] for place in places]
        if tags is not None:
            record["tags"] = tags[row]
        records.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    return records


def _gaps(words: SegmentedTexts, row: int) -> list[str]:
    """Returns what stands before, between and behind the words of a text."""
    low, high = words.words[row : row + 2].tolist()
    base, end = words.texts.offsets[row : row + 2].tolist()
    # "F" reads the two rows column by column, so starts and ends alternate:
    #
    #     base | s0 e0 | s1 e1 | end     ->     gaps [base, s0) [e0, s1) [e1, end)
    edges = [base, *np.ravel([words.starts[low:high], words.ends[low:high]], "F").tolist(), end]
    text = words.texts.points[base:end].tobytes().decode("utf-32-le")
    return [text[a - base : b - base] for a, b in zip(edges[::2], edges[1::2])]


def read_records(path: str) -> Records:
    """Returns the records of a file, by name.

    Raises:
        InputError: it is missing, damaged, or no JSON lines.
    """
    try:
        return {record["name"]: record for record in map(parse_json, read_lines(path))}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no records of a derived file ({type(error).__name__}: {error}); expected the "
            "derive.jsonl that stands beside it"
        ) from error


def original_text(text: str, name: str, records: Records, config: DeriveConfig) -> OriginalText:
    """Returns a text as it was before it was derived.

    Raises:
        InputError: there is no record of this name, or it is that of another text.
    """
    if (record := records.get(name)) is None:
        raise InputError(f"no record named {name!r}: these records belong to another file")
    spans, source_index, gaps = record["words"], record["source_index"], record["gaps"]
    # Records come from a file that may have been changed, or belong to another one.
    fits = sorted(source_index) == list(range(len(spans)))
    if not fits or any(end > len(text) for _, end in spans):
        raise InputError(f"record {name!r} does not fit its text; it belongs to another file")
    # The inverse of a permutation is what sorts it.
    derived_index = np.argsort(source_index).tolist()
    before, starts, ends = gaps[0], [], []
    for place, gap in zip(derived_index, gaps[1:], strict=True):
        starts.append(len(before))
        before += in_first_script(text[slice(*spans[place])], config)
        ends.append(len(before))
        before += gap
    return OriginalText(before, starts, ends, derived_index)


def in_first_script(text: str, config: DeriveConfig) -> str:
    """Returns a piece of a derived text in the script it had before."""
    return transliterate_text_back(text) if "transliterate" in config.transforms else text
