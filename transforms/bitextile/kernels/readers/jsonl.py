"""JSON lines: one object a line, texts by name, also inside an object `translation`."""

import json
from collections.abc import Iterator
from typing import Any

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow
from bitextile.schema.errors import InputError

NESTED = "translation"
"""Where the corpora of the Hugging Face hub hold the texts of a pair, by language."""


def read_jsonl(source: CorpusSource) -> Iterator[Row]:
    """Reads the members of each line's object that hold the texts.

    A name is that of a member, a path such as `translation.de`, or of a member of `translation`.
    """
    columns = tuple(str(column) for column in source.columns)
    for number, line in enumerate(text_lines(source.files[0], source.encoding)):
        if number == 0 and isinstance(line, str) and line.lstrip().startswith("["):
            raise InputError(
                f"{source.files[0]}: begins with a JSON array, expected an object a line; "
                "write it so, as `jq -c '.[]'` does"
            )
        yield line if isinstance(line, UnreadableRow) else _json_row(line, columns)


JSONL = Format(
    name="jsonl",
    read=read_jsonl,
    endings=(".jsonl", ".ndjson", ".json"),
    columns="names",
    options=("encoding",),
)


def _json_row(line: str, columns: tuple[str, ...]) -> Row:
    try:
        record = json.loads(line)
    # Nesting without end overflows the parser's stack, and an integer of over 4,300 digits is a
    # ValueError of its own (CPython's limit); both come from a hostile or damaged line.
    except (ValueError, RecursionError) as error:
        return UnreadableRow("invalid_json/1", 0.0, f"not JSON: {error}", line)
    found = [_member(record, name) for name in columns] if isinstance(record, dict) else []
    cells = [cell for cell in found if isinstance(cell, str)]
    if len(cells) < len(columns):
        has = f"; it has {', '.join(map(repr, list(record)[:9]))}" if found else ""
        detail = f"expected text in {' and '.join(columns)}{has}"
        return UnreadableRow("missing_columns/1", len(cells), detail, line)
    # JSON may escape half a surrogate pair, which no UTF-8 file can hold.
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        return UnreadableRow(
            "invalid_utf8/1", error.start, f"a lone surrogate at {error.start}", line
        )
    return tuple(cells)


def _member(record: dict[str, Any], name: str) -> Any:
    """Returns what an object holds under a name: its own, along a path, or in `translation`."""
    if name in record:
        return record[name]
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    inner = record.get(NESTED)
    return inner.get(name) if value is None and isinstance(inner, dict) else value
