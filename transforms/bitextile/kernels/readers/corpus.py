"""Corpus files into record batches: text, TSV, TMX, JSON lines and Parquet, plain or compressed.

Files are untrusted: a line has a size limit, XML entities and external references are refused, and
a row that cannot be read becomes a reject with its file and line; a file that is not what it is
said to be (cut short, of another length than its partner) ends the run.
"""

import bz2
import codecs
import contextlib
import gzip
import itertools
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bitextile.kernels.rejects import Filtered, join
from bitextile.schema.errors import InputError
from bitextile.schema.ids import stable_id
from bitextile.schema.kinds import MONO, PAIRS, REJECTS
from bitextile.schema.storage import filesystem

BATCH_ROWS = 8_192
MAX_LINE_BYTES = 1 << 20
"""A longer line is no sentence; it becomes a reject, and memory stays bounded."""

_BLOCK_BYTES = 1 << 20
_DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError)
FORMATS = ("lines", "tsv", "tmx", "jsonl", "parquet")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One corpus file (or two line-aligned ones) to read.

    Attributes:
        corpus: the name the recipe gives it.
        languages: BCP-47 tags: two of a bitext, one of monolingual text.
        files: paths; `archive.zip#member` names a member of a zip file.
        names: the same files as the recipe names them; what rows keep as their `file`.
        format: one of FORMATS.
        columns: of a TSV 0-based numbers, of JSON lines and Parquet names; one per language.
        header: whether the first line of a TSV holds names.
        split: given to every row; empty to let it be drawn.
    """

    corpus: str
    languages: tuple[str, ...]
    files: tuple[str, ...]
    names: tuple[str, ...]
    format: str
    columns: tuple[str, ...] = ()
    header: bool = False
    split: str = ""


class UnreadableRow(NamedTuple):
    """A row that cannot be read: the rule, what it measured, what was got, and the raw text."""

    rule: str
    value: float
    detail: str
    raw: str


Row = tuple[str, ...] | UnreadableRow


def read_source(source: Source, *, batch_rows: int = BATCH_ROWS) -> Iterator[Filtered]:
    """Yields a source's rows, as kind PAIRS or MONO, and those that cannot be read, as REJECTS.

    Ids are left empty: they are taken over the normalised text.

    Args:
        source: what to read.
        batch_rows: rows read for each batch.

    Raises:
        InputError: a file is missing, cut short, damaged, or not of its format; two line-aligned
            files differ in length.
    """
    rows = enumerate(_rows(source), start=1 + source.header)
    while chunk := list(itertools.islice(rows, batch_rows)):
        yield _batch(source, chunk)


def _rows(source: Source) -> Iterator[Row]:
    readers = {"lines": _lines, "tsv": _tsv, "tmx": _tmx, "jsonl": _jsonl, "parquet": _parquet}
    return readers[source.format](source)


def _batch(source: Source, chunk: list[tuple[int, Row]]) -> Filtered:
    good = [(line, row) for line, row in chunk if not isinstance(row, UnreadableRow)]
    bad = [(line, row) for line, row in chunk if isinstance(row, UnreadableRow)]
    sides: Iterable[Any] = zip(*(row for _, row in good)) if good else [()] * len(source.languages)
    text = [pa.array(side, pa.string()) for side in sides]
    n = len(good)
    languages = [pa.repeat(lang, n) for lang in source.languages]
    lines = pa.array([line for line, _ in good], pa.int64())
    place = [pa.repeat(source.corpus, n), pa.repeat(source.names[0], n), lines]
    kind = PAIRS if len(source.languages) == 2 else MONO
    columns = [pa.repeat("", n), *languages, *text, *place, pa.repeat(source.split, n)]
    kept = pa.RecordBatch.from_arrays(columns, schema=kind.schema)
    return Filtered(kept, join([_reject(source, line, row) for line, row in bad]))


def _reject(source: Source, line: int, bad: UnreadableRow) -> pa.RecordBatch:
    pair = len(source.languages) == 2
    row = {
        "id": stable_id(source.corpus, source.names[0], str(line)),
        "rule": bad.rule,
        "value": float(bad.value),
        "detail": bad.detail,
        "corpus": source.corpus,
        "file": source.names[0],
        "line": line,
        "src_lang": source.languages[0],
        "tgt_lang": source.languages[1] if pair else None,
        "src": bad.raw,
        "tgt": "" if pair else None,
    }
    return pa.RecordBatch.from_pylist([row], schema=REJECTS.schema)


# --- formats ------------------------------------------------------------------------------------


def _lines(source: Source) -> Iterator[Row]:
    """Reads one text file, or two of which line n translates line n."""
    columns = [_text_lines(file) for file in source.files]
    missing = object()
    for line, sides in enumerate(itertools.zip_longest(*columns, fillvalue=missing), start=1):
        if missing in sides:
            raise _unequal(source, line, sides.index(missing))
        yield _joined(sides)


def _joined(sides: tuple[Any, ...]) -> Row:
    bad = [side for side in sides if isinstance(side, UnreadableRow)]
    if not bad:
        return sides
    raw = "\t".join(side.raw if isinstance(side, UnreadableRow) else side for side in sides)
    return bad[0]._replace(raw=raw)


def _unequal(source: Source, line: int, short: int) -> InputError:
    longer = sum(1 for _ in _text_lines(source.files[1 - short]))
    return InputError(
        f"{source.names[short]} has {line - 1} lines, {source.names[1 - short]} has {longer}; "
        "line n of one must translate line n of the other: "
        "find the missing lines, or leave these files out"
    )


def _tsv(source: Source) -> Iterator[Row]:
    wanted = [int(column) for column in source.columns]
    least = max(wanted) + 1
    for line in itertools.islice(_text_lines(source.files[0]), int(source.header), None):
        cells = [] if isinstance(line, UnreadableRow) else line.split("\t")
        if isinstance(line, UnreadableRow):
            yield line
        elif len(cells) < least:
            got = f"{len(cells)} columns, expected at least {least}"
            yield UnreadableRow("columns/1", len(cells), got, line)
        else:
            yield tuple(cells[column] for column in wanted)


def _jsonl(source: Source) -> Iterator[Row]:
    for line in _text_lines(source.files[0]):
        yield line if isinstance(line, UnreadableRow) else _json_row(line, source.columns)


def _json_row(line: str, columns: tuple[str, ...]) -> Row:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return UnreadableRow("json/1", 0.0, f"not JSON: {error}", line)
    found = [record.get(name) for name in columns] if isinstance(record, dict) else []
    cells = [cell for cell in found if isinstance(cell, str)]
    if len(cells) < len(columns):
        return UnreadableRow(
            "columns/1", len(cells), f"expected text in {' and '.join(columns)}", line
        )
    try:
        "".join(cells).encode()
    except UnicodeEncodeError as error:
        return UnreadableRow("utf8/1", error.start, f"a lone surrogate at {error.start}", line)
    return tuple(cells)


def _parquet(source: Source) -> Iterator[Row]:
    file = source.files[0]
    try:
        filesystem_, path = filesystem(file)
        with pq.ParquetFile(filesystem_.open_input_file(path)) as parquet:
            missing = [c for c in source.columns if c not in parquet.schema_arrow.names]
            if missing:
                raise InputError(
                    f"{file}: no column {missing[0]!r}; it has "
                    f"{', '.join(parquet.schema_arrow.names)}: name those that hold the text"
                )
            for batch in parquet.iter_batches(BATCH_ROWS, columns=list(source.columns)):
                for row in zip(*(_cells(batch.column(c)) for c in source.columns)):
                    yield _parquet_row(row)
    except (pa.ArrowInvalid, FileNotFoundError, OSError) as error:
        raise InputError(f"{file}: not readable as Parquet ({error})") from error


def _cells(column: pa.Array) -> list[Any]:
    """Returns a column's values; where its strings are not all UTF-8, each one by itself."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [cell if cell is None else _decoded(cell) for cell in raw]


def _parquet_row(row: tuple[Any, ...]) -> Row:
    if all(isinstance(cell, str | UnreadableRow) for cell in row):
        return _joined(row)
    found = sum(isinstance(cell, str) for cell in row)
    return UnreadableRow("columns/1", found, "a null or no text", str(row))


def _tmx(source: Source) -> Iterator[Row]:
    """Reads the translation units that have both languages; entities are refused."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    file = source.files[0]
    with _opened(file) as stream:
        try:
            events = ElementTree.iterparse(stream, events=("start", "end"), forbid_external=True)
            _, root = next(events)
            if root.tag != "tmx":
                raise InputError(f"{file}: the root is <{root.tag}>, expected <tmx>; is it TMX?")
            for event, element in events:
                if event == "end" and element.tag == "tu":
                    yield _unit(element, source.languages)
                    for child in list(root):
                        child.clear()
        except DefusedXmlException as error:
            raise InputError(
                f"{file}: the XML declares an entity ({type(error).__name__}), which could read "
                "other files or exhaust memory; remove the declaration"
            ) from error
        except (ElementTree.ParseError, *_DAMAGED) as error:
            raise InputError(f"{file}: not well-formed TMX ({error}); is it complete?") from error


def _unit(element: Any, languages: tuple[str, ...]) -> Row:
    exact: dict[str, str] = {}
    for variant in element.iter("tuv"):
        tag = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang") or ""
        exact.setdefault(tag.lower(), _segment_text(variant.find("seg")))
    regional = {tag.split("-")[0]: text for tag, text in reversed(exact.items())}
    sides = [(regional | exact).get(lang.lower()) for lang in languages]
    if None in sides:
        missing = languages[sides.index(None)]
        return UnreadableRow(
            "columns/1", len(exact), f"no <tuv> in {missing}", "\t".join(exact.values())
        )
    return tuple(str(side) for side in sides)


def _segment_text(segment: Any) -> str:
    """Returns a segment's text without the codes of its markup (TMX 1.4b, content markup)."""
    if segment is None:
        return ""
    for code in [e for e in segment.iter() if e.tag in ("bpt", "ept", "it", "ph", "ut")]:
        tail = code.tail
        code.clear()
        code.tail = tail
    return "".join(segment.itertext())


# --- lines --------------------------------------------------------------------------------------


def _text_lines(file: str) -> Iterator[str | UnreadableRow]:
    """Yields each line without its end, or a UnreadableRow where it is not UTF-8 or too long."""
    for lines, cut in _byte_lines(file):
        try:
            if cut + max(map(len, lines)) <= MAX_LINE_BYTES:
                yield from b"\n".join(lines).decode().split("\n")
                continue
        except UnicodeDecodeError:
            pass
        yield _decoded(lines[0], cut)
        yield from map(_decoded, lines[1:])


def _decoded(line: bytes, cut: int = 0) -> str | UnreadableRow:
    size = len(line) + cut
    if size > MAX_LINE_BYTES:
        shown = line[:1000].decode(errors="backslashreplace")
        return UnreadableRow(
            "line_bytes/1", size, f"a line of more than {MAX_LINE_BYTES} bytes", shown
        )
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raw = line.decode(errors="backslashreplace")
        return UnreadableRow(
            "utf8/1", error.start, f"byte 0x{line[error.start]:02x} at {error.start}", raw
        )


def _byte_lines(file: str) -> Iterator[tuple[list[bytes], int]]:
    """Yields the lines of each block, and how many bytes were cut out of the first of them.

    Of a line that is too long only the beginning is held in memory.
    """
    rest, cut, mark = b"", 0, codecs.BOM_UTF8
    with _opened(file) as stream:
        while block := _read(stream, file):
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                lines[0] = lines[0].removeprefix(mark)
                yield [_without_return(line) for line in lines], cut
                cut, mark = 0, b""
            cut += max(0, len(rest) - MAX_LINE_BYTES - 1)
            rest = rest[: MAX_LINE_BYTES + 1]
    if rest := rest.removeprefix(mark):
        yield [_without_return(rest)], cut


def _without_return(line: bytes) -> bytes:
    # A carriage return before the newline is Windows' line end, not text.
    return line[:-1] if line.endswith(b"\r") else line


def _read(stream: IO[bytes], file: str) -> bytes:
    try:
        return stream.read(_BLOCK_BYTES)
    except _DAMAGED as error:
        raise InputError(
            f"{file}: cannot be read to its end ({error}); "
            "it is cut short or damaged: fetch it again"
        ) from error


@contextlib.contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """Opens a file as bytes, uncompressed by its ending; closes all that it opened."""
    path, member = archive_member(file)
    with contextlib.ExitStack() as stack:
        try:
            filesystem_, place = filesystem(path)
            raw = stack.enter_context(filesystem_.open_input_file(place))
            stream: Any = raw
            if PurePath(path).suffix == ".zip":
                stream = stack.enter_context(zipfile.ZipFile(raw).open(_member(raw, path, member)))
            else:
                stream = stack.enter_context(_decompressed(raw, PurePath(path).suffix))
        except FileNotFoundError as error:
            raise InputError(f"{path}: no such file; check its name") from error
        except (*_DAMAGED, RuntimeError) as error:  # zipfile's, for an encrypted member
            raise InputError(f"{path}: cannot be opened ({error}); fetch it again") from error
        yield stream


def _decompressed(raw: Any, suffix: str) -> Any:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".bz2":
        return bz2.BZ2File(raw)
    if suffix == ".xz":
        return lzma.LZMAFile(raw)
    if suffix == ".zst":
        return pa.CompressedInputStream(raw, "zstd")
    return raw


def archive_member(file: str) -> tuple[str, str]:
    """Returns the path of a file, and which member of it is meant, if it is a zip file.

    >>> archive_member("a/web.zip#de.txt"), archive_member("c#1/de.txt")
    (('a/web.zip', 'de.txt'), ('c#1/de.txt', ''))
    """
    path, mark, member = file.partition(".zip#")
    return (f"{path}.zip", member) if mark else (file, "")


def _member(raw: Any, path: str, member: str) -> str:
    names = zipfile.ZipFile(raw).namelist()
    if member not in names:
        raise InputError(f"{path}: no member {member!r}; write {path}#NAME with one of {names}")
    return member
