"""Files of task data, read whole: they fit in memory."""

from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.readers.source import CorpusSource
from bitextile.schema.errors import InputError
from bitextile.schema.storage import filesystem

MAX_JSON_BYTES = 1 << 29
"""SQuAD's training part, the largest in use, has 30 MB; untrusted files get no more than this."""


def read_lines(path: str) -> list[str]:
    """Returns the lines of a text file, which may be compressed.

    Raises:
        InputError: the file is missing or damaged, or a line is not UTF-8 or too long.
    """
    # Through the corpus reader: compression, encodings and the limits on lines are the same as for
    # corpora, and are tested there.
    source = CorpusSource(
        corpus="task", languages=("und",), files=(path,), names=(path,), format="lines"
    )
    lines: list[str] = []
    for kept, rejects in read_corpus(source):
        if rejects.num_rows:
            bad = rejects.slice(0, 1).to_pylist()[0]
            raise InputError(f"{path}, line {bad['line']}: {bad['rule']}, {bad['detail']}")
        lines += kept.column("text").to_pylist()
    return lines


def read_bytes(path: str) -> bytes:
    """Returns a whole file, unpacked; JSON may be one line of any length.

    Raises:
        InputError: it is missing, damaged or larger than MAX_JSON_BYTES.
    """
    filesystem_, place = filesystem(path)
    try:
        with filesystem_.open_input_stream(place, compression="detect") as stream:
            # One byte more than allowed, so that a file that is too large shows without its size
            # being known; of a compressed one the file system does not tell it.
            content = stream.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if len(content) > MAX_JSON_BYTES:
        raise InputError(f"{path}: more than {MAX_JSON_BYTES >> 20} MiB; split it into parts")
    return content
