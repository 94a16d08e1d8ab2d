"""Files of task data, read whole: they fit in memory."""

from collections.abc import Iterator

from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.kernels.readers.whole import limited, most_bytes, too_large
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

MAX_JSON_VALUES = 16 << 20
"""Of a file, about: each takes 60 bytes, where `[],` are three."""


def read_lines(path: str) -> list[str]:
    """Returns the lines of a text file, which may be compressed.

    Raises:
        InputError: the file is missing, damaged or too large, or a line is not UTF-8 or too long.
    """
    return list(limited(_lines(path), path))


def _lines(path: str) -> Iterator[str]:
    # Through the corpus reader: compression, encodings and the limits on lines are the same as for
    # corpora, and are tested there.
    source = CorpusSource(
        corpus="task", languages=("und",), files=(path,), names=(path,), format="lines"
    )
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{path}, line {bad['line']}: {bad['rule']}, {bad['detail']}")
        yield from kept.column("text").to_pylist()


def read_bytes(path: str) -> bytes:
    """Returns a whole file, unpacked; JSON may be one line of any length.

    Raises:
        InputError: it is missing or damaged, or larger than `whole` allows, or holds too many
            values to be parsed.
    """
    limit = most_bytes(path)
    filesystem_, place = filesystem(path)
    try:
        with filesystem_.open_input_stream(place, compression="detect") as stream:
            # One byte more than allowed, so that a file that is too large shows without its size
            # being known; of a compressed one the file system does not tell it.
            content = stream.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if len(content) > limit:
        raise too_large(path, limit)
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise InputError(f"{path}: more than {MAX_JSON_VALUES:,} values; split it into parts")
    return content
