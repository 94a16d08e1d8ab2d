"""JSON that describes what lies beside it, read without trust: it may be damaged, or not ours."""

import json
import os
from typing import Any

from bitextile.schema.storage import filesystem

MAX_BYTES = 64 << 20
"""Of a description. The manifest of 10,000 shards is 2 MB, and one of 100,000 corpus files 15 MB;
parsed, JSON takes some ten times as much memory."""


def parse_json(text: str | bytes) -> Any:
    """Returns what a JSON text says.

    Raises:
        ValueError: it is no JSON, or nested without end.

    >>> parse_json('{"zh": "狗", "ar": "كلب"}')
    {'zh': '狗', 'ar': 'كلب'}
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(location: str | os.PathLike[str]) -> Any:
    """Returns what a JSON file says, of which at most MAX_BYTES are read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, nested without end, or larger.
    """
    filesystem_, path = filesystem(location)
    with filesystem_.open_input_stream(path, compression=None) as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MB, as no file of this kind is")
    return parse_json(bytes(content))
