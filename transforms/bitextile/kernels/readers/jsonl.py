"""JSON lines: one object a line, texts by name."""

import json
from collections.abc import Iterator

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow


def read_jsonl(source: CorpusSource) -> Iterator[Row]:
    """Reads the members of each line's object that hold the texts."""
    for line in text_lines(source.files[0]):
        yield line if isinstance(line, UnreadableRow) else _json_row(line, source.columns)


JSONL = Format(name="jsonl", read=read_jsonl, endings=(".jsonl", ".ndjson"), columns="names")


def _json_row(line: str, columns: tuple[str, ...]) -> Row:
    try:
        record = json.loads(line)
    # Nesting without end overflows the parser's stack, and an integer of over 4,300 digits is a
    # ValueError of its own (CPython's limit); both come from a hostile or damaged line.
    except (ValueError, RecursionError) as error:
        return UnreadableRow("invalid_json/1", 0.0, f"not JSON: {error}", line)
    found = [record.get(name) for name in columns] if isinstance(record, dict) else []
    cells = [cell for cell in found if isinstance(cell, str)]
    if len(cells) < len(columns):
        return UnreadableRow(
            "missing_columns/1", len(cells), f"expected text in {' and '.join(columns)}", line
        )
    # JSON may escape half a surrogate pair, which no UTF-8 file can hold.
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        return UnreadableRow(
            "invalid_utf8/1", error.start, f"a lone surrogate at {error.start}", line
        )
    return tuple(cells)
