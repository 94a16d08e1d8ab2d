"""Gold word alignments: JSON lines with words as spans and links that are sure or only possible."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import UnreadableRow
from bitextile.kernels.readers.whole import limited
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import language_tag, pair_ids
from bitextile.schema.json_file import parse_json
from bitextile.schema.storage import exists

Links = frozenset[tuple[int, int]]
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class GoldPair:
    """A sentence pair aligned by hand.

    Attributes:
        pair_id: as a dataset would call it.
        src_lang: BCP-47.
        tgt_lang: BCP-47.
        src: first sentence.
        tgt: second sentence.
        src_spans: its words, code points.
        tgt_spans: likewise.
        sure: links (source word, target word) that must be found.
        possible: links that may be found, the sure ones included.
    """

    pair_id: str
    src_lang: str
    tgt_lang: str
    src: str
    tgt: str
    src_spans: Spans
    tgt_spans: Spans
    sure: Links
    possible: Links


def read_gold(path: str) -> list[GoldPair]:
    """Reads a gold file.

    Args:
        path: JSON lines with src_lang, tgt_lang, src, tgt, src_spans, tgt_spans, sure, possible;
            `possible` may or may not repeat the sure links.

    Raises:
        InputError: no such file, one that is too large, a line that is not such an object, or a
            link to no word.
    """
    if not exists(path):
        raise InputError(f"{path}: the gold alignments cannot be read; there is no such file")
    lines = enumerate(limited(text_lines(path), path), 1)
    pairs = [
        _pair(path, n, line) for n, line in lines if isinstance(line, UnreadableRow) or line.strip()
    ]
    if not pairs:
        raise InputError(f"{path}: no gold pair in it; expected one JSON object per line")
    return pairs


def _pair(path: str, number: int, line: str | UnreadableRow) -> GoldPair:
    if isinstance(line, UnreadableRow):
        raise InputError(f"{path}, line {number}: cannot be read ({line.detail})")
    try:
        row: dict[str, Any] = parse_json(line)
        texts = [pa.array([row[side]], pa.string()) for side in ("src", "tgt")]
        src_lang, tgt_lang = (language_tag(row[f"{side}_lang"]) for side in ("src", "tgt"))
        sure = frozenset((int(i), int(j)) for i, j in row["sure"])
        pair = GoldPair(
            # As `ingest` makes them: by texts and languages, so a gold file needs no ids of ours.
            pair_ids(src_lang, texts[0], tgt_lang, texts[1])[0].as_py(),
            src_lang,
            tgt_lang,
            row["src"],
            row["tgt"],
            tuple((int(s), int(e)) for s, e in row["src_spans"]),
            tuple((int(s), int(e)) for s, e in row["tgt_spans"]),
            sure,
            sure | frozenset((int(i), int(j)) for i, j in row.get("possible", [])),
        )
    except (
        ConfigError,
        ValueError,
        KeyError,
        TypeError,
        pa.ArrowInvalid,
        pa.ArrowTypeError,
    ) as error:
        raise InputError(
            f"{path}, line {number}: not a gold pair ({type(error).__name__}: {error}); expected "
            "src_lang, tgt_lang, src, tgt, src_spans, tgt_spans, sure, possible"
        ) from error
    for i, j in pair.possible:
        if not (0 <= i < len(pair.src_spans) and 0 <= j < len(pair.tgt_spans)):
            raise InputError(f"{path}, line {number}: link {i}-{j} points to no word")
    return pair
