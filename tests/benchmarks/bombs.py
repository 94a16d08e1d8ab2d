#!/usr/bin/env python
"""Peak memory and time of commands on small files that unpack to, or claim, very much.

    python tests/benchmarks/bombs.py                        # all, about ten minutes, one core
    python tests/benchmarks/bombs.py --only tmx --scale 10  # a tenth of the size, by name

Each file is made here, then one command reads it in a process of its own, whose peak resident
memory is `ru_maxrss`. The first row is the command on a file of one line: what Python, Beam and
Arrow take by themselves. A command may keep what is within the limits and reject the rest, or
refuse the file in one sentence; the last column shows which. The exit status tells whether any took
more than 600 MB.
"""

import argparse
import bz2
import gzip
import json
import multiprocessing
import os
import subprocess
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

GOAL_MB = 600
MB = 1_000_000
PATTERN = "Die Katze sitzt auf der Matte. "

Maker = Callable[[Path, int], list[str]]


@dataclass(frozen=True)
class Bomb:
    """A file that is small on disk.

    Attributes:
        name: of the row.
        what: it holds.
        make: writes it into a folder, with its size divided by a number; returns the command that
            reads it.
    """

    name: str
    what: str
    make: Maker


def _ingest(folder: Path, **corpus: object) -> list[str]:
    kind = "bitext" if "languages" in corpus else "mono"
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps({kind: [{"corpus": "bomb"} | corpus]}), encoding="utf-8")
    return ["ingest", str(recipe), "--out", str(folder / "out")]


def _long_text(number: int, size: int) -> str:
    """Text of about `size` characters that differs from that of every other number."""
    return f"Satz {number}. " + PATTERN * (size // len(PATTERN))


def _long_lines(scale: int, *, before: str = "", behind: str = "\n") -> Iterator[bytes]:
    for number in range(1_000 // scale):
        yield (before + _long_text(number, MB) + behind).encode()


def _write(path: Path, blocks: Iterator[bytes], opener: Callable = gzip.open) -> str:
    with opener(path, "wb") as file:
        for block in blocks:
            file.write(block)
    return path.name


def _one_line(folder: Path, scale: int) -> list[str]:
    name = _write(folder / "m.txt.gz", iter([b"Ein Satz.\n"]))
    return _ingest(folder, language="de", files=[name])


def _lines(folder: Path, scale: int) -> list[str]:
    name = _write(folder / "m.txt.gz", _long_lines(scale))
    return _ingest(folder, language="de", files=[name])


def _kept_lines(folder: Path, scale: int) -> list[str]:
    """Lines just within the filters' limit, which are kept."""
    lines = (f"Satz {n}. {PATTERN * 150}\n".encode() for n in range(200_000 // scale))
    name = _write(folder / "m.txt.gz", lines)
    return _ingest(folder, language="de", files=[name])


def _bitext(folder: Path, scale: int) -> list[str]:
    names = [_write(folder / f"{side}.gz", _long_lines(scale)) for side in ("de", "en")]
    return _ingest(folder, languages=["de", "en"], files=names)


def _tsv(folder: Path, scale: int) -> list[str]:
    half = _long_lines(scale, behind="\t" + PATTERN * 1_000 + "\n")
    return _ingest(folder, languages=["de", "en"], files=[_write(folder / "p.tsv.gz", half)])


def _csv(folder: Path, scale: int) -> list[str]:
    rows = _long_lines(scale, before='"', behind='\nzweite Zeile",zwei\n')
    head = iter([b"de,en\n"])
    name = _write(folder / "p.csv.gz", (block for part in (head, rows) for block in part))
    return _ingest(folder, languages=["de", "en"], files=[name])


def _open_quotes(folder: Path, scale: int) -> list[str]:
    """Each line opens a quote that ends nowhere, so that each is the start of a row of many."""
    lines = (b'"' + PATTERN.encode() * 10 + b"\n" for _ in range(1_000_000 // scale))
    name = _write(folder / "p.csv.gz", lines)
    return _ingest(folder, languages=["de", "en"], files=[name], columns=[0, 1])


def _jsonl(folder: Path, scale: int) -> list[str]:
    rows = _long_lines(scale, before='{"text": "', behind='"}\n')
    return _ingest(folder, language="de", files=[_write(folder / "m.jsonl.gz", rows)])


def _invalid(folder: Path, scale: int) -> list[str]:
    lines = (b"\xff" * MB + b"%d\n" % n for n in range(1_000 // scale))
    return _ingest(folder, language="de", files=[_write(folder / "m.txt.gz", lines)])


def _empty(folder: Path, scale: int) -> list[str]:
    lines = (b"\n" * 52_000 for _ in range(100 // scale))
    return _ingest(folder, language="de", files=[_write(folder / "m.txt.gz", lines)])


def _equal(folder: Path, scale: int) -> list[str]:
    lines = (b"Ein Satz.\n" * 52_000 for _ in range(100 // scale))
    return _ingest(folder, language="de", files=[_write(folder / "m.txt.gz", lines)])


def _short(folder: Path, scale: int) -> list[str]:
    lines = (b"Satz %d.\n" % n for n in range(5_200_000 // scale))
    return _ingest(folder, language="de", files=[_write(folder / "m.txt.gz", lines)])


def _bzip2(folder: Path, scale: int) -> list[str]:
    blocks = (b"\n" * MB for _ in range(200 // scale))
    return _ingest(folder, language="de", files=[_write(folder / "m.txt.bz2", blocks, bz2.open)])


def _zip(folder: Path, scale: int) -> list[str]:
    zipped = zipfile.ZipFile(folder / "z.zip", "w", zipfile.ZIP_DEFLATED)
    with zipped as archive, archive.open("m.txt", "w") as member:
        for line in _long_lines(scale):
            member.write(line)
    return _ingest(folder, language="de", files=["z.zip#m.txt"])


def _tar(folder: Path, scale: int) -> list[str]:
    _write(folder / "m.txt", _long_lines(scale), open)
    with tarfile.open(folder / "t.tar.gz", "w:gz") as archive:
        archive.add(folder / "m.txt", "m.txt")
    (folder / "m.txt").unlink()
    return _ingest(folder, language="de", files=["t.tar.gz#m.txt"])


def _tmx(before: bytes, behind: bytes, folder: Path, scale: int, **corpus: object) -> list[str]:
    def blocks() -> Iterator[bytes]:
        yield b'<tmx version="1.4"><body><tu><tuv xml:lang="de">' + before
        for _ in range(700 // scale):
            yield (PATTERN * (MB // len(PATTERN))).encode()
        yield behind + b'</tuv><tuv xml:lang="en"><seg>One.</seg></tuv></tu>'
        yield b'<tu><tuv xml:lang="de"><seg>Zwei.</seg></tuv>'
        yield b'<tuv xml:lang="en"><seg>Two.</seg></tuv></tu></body></tmx>'

    name = _write(folder / "u.tmx.gz", blocks())
    return _ingest(folder, languages=["de", "en"], files=[name], **corpus)


def _tmx_segments(folder: Path, scale: int) -> list[str]:
    def blocks() -> Iterator[bytes]:
        yield b'<tmx version="1.4"><body><tu><tuv xml:lang="de">'
        for _ in range(1_000 // scale):
            yield b"<seg>a</seg>" * 30_000
        yield b'</tuv><tuv xml:lang="en"><seg>One.</seg></tuv></tu></body></tmx>'

    name = _write(folder / "u.tmx.gz", blocks())
    return _ingest(folder, languages=["de", "en"], files=[name])


def _tmx_units(unit: bytes, folder: Path, scale: int, **corpus: object) -> list[str]:
    blocks = [b'<tmx version="1.4">', *(unit % n for n in range(400_000 // scale)), b"</tmx>"]
    name = _write(folder / "u.tmx.gz", iter(blocks))
    return _ingest(folder, languages=["de", "en"], files=[name], **corpus)


def _parquet(folder: Path, table: pa.Table, **how: object) -> list[str]:
    pq.write_table(table, folder / "p.parquet", compression="zstd", store_schema=False, **how)
    return _ingest(folder, language="de", files=["p.parquet"])


def _parquet_rows(folder: Path, scale: int) -> list[str]:
    """Rows of a few bytes of run lengths, all of which stand for the one text of a dictionary."""
    numbers = pa.array([0] * (10_000 // scale), pa.int32())
    column = pa.DictionaryArray.from_arrays(numbers, pa.array([PATTERN * 10_000]))
    return _parquet(folder, pa.table({"text": column}), dictionary_pagesize_limit=1 << 30)


def _parquet_nulls(folder: Path, scale: int) -> list[str]:
    rows = 100 * MB // scale
    return _parquet(folder, pa.table({"text": pa.nulls(rows, pa.string())}), row_group_size=rows)


def _parquet_plain(encoding: str, folder: Path, scale: int) -> list[str]:
    texts = [PATTERN * 33_000 + str(number) for number in range(1_000 // scale)]
    how = {"use_dictionary": False, "column_encoding": {"text": encoding}}
    return _parquet(folder, pa.table({"text": texts}), **how)


def _parquet_cell(folder: Path, scale: int) -> list[str]:
    cell = PATTERN * (700 * MB // scale // len(PATTERN))
    return _parquet(folder, pa.table({"text": [cell, "Zwei."]}), use_dictionary=False)


def _align(folder: Path, *given: str) -> list[str]:
    return ["align-text", "-i", str(folder / "in.txt"), "-o", str(folder / "out.txt"), *given]


def _align_text(folder: Path, scale: int) -> list[str]:
    _write(folder / "in.txt", _long_lines(scale, behind=" ||| a b\n"), open)
    return _align(folder)


def _align_text_empty(folder: Path, scale: int) -> list[str]:
    _write(folder / "in.txt", (b"\n" * 52_000 for _ in range(100 // scale)), open)
    return _align(folder)


def _with_lexicon(folder: Path, name: str) -> list[str]:
    (folder / "in.txt").write_text("ein Haus ||| a house\n", encoding="utf-8")
    return _align(folder, "--lexicon", str(folder / name))


def _dictionary(folder: Path, scale: int) -> list[str]:
    return _with_lexicon(folder, _write(folder / "d.txt.gz", _long_lines(scale)))


def _dictionary_short(folder: Path, scale: int) -> list[str]:
    entries = (b"w%d t%d\n" % (n, n) for n in range(5_200_000 // scale))
    return _with_lexicon(folder, _write(folder / "d.txt.gz", entries))


def _derive(folder: Path, name: str, task: str) -> list[str]:
    return ["derive", str(folder / name), "--task", task, "--out", str(folder / "out")]


def _task(folder: Path, scale: int) -> list[str]:
    return _derive(
        folder, _write(folder / "t.tsv.gz", _long_lines(scale, behind="\tb\tc\n")), "nli"
    )


def _qa(folder: Path, scale: int) -> list[str]:
    def blocks() -> Iterator[bytes]:
        yield b'{"data": [{"paragraphs": [{"qas": [], "context": "'
        yield from (PATTERN.encode() * (MB // len(PATTERN)) for _ in range(700 // scale))
        yield b'"}]}]}'

    return _derive(folder, _write(folder / "q.json.gz", blocks()), "qa")


GOOD = (
    b'<tu><tuv xml:lang="de"><seg>Satz %d.</seg></tuv><tuv xml:lang="en"><seg>S.</seg></tuv></tu>'
)
BAD = b'<tu><tuv xml:lang="de"><seg>Satz %d & mehr</seg></tuv></tu>'
OPEN = b'<tu><tuv xml:lang="de"><seg><![CDATA[Satz %d</seg></tuv></tu>'

BOMBS = (
    Bomb("one line", "one sentence", _one_line),
    Bomb("lines", "1,000 lines of 1 MB, gzip", _lines),
    Bomb("kept lines", "200,000 different lines of 4,650 characters, gzip", _kept_lines),
    Bomb("bitext", "two files of 1,000 lines of 1 MB", _bitext),
    Bomb("tsv", "1,000 rows, cells of 1 MB and 31 kB", _tsv),
    Bomb("csv", "1,000 quoted cells of 1 MB over two lines", _csv),
    Bomb("open quotes", "1,000,000 lines that open a quote", _open_quotes),
    Bomb("jsonl", "1,000 texts of 1 MB", _jsonl),
    Bomb("invalid", "1,000 lines of 1 MB that are not UTF-8", _invalid),
    Bomb("empty", "5.2 M empty lines, gzip", _empty),
    Bomb("equal", "5.2 M times one sentence, gzip", _equal),
    Bomb("short", "5.2 M different short lines, gzip", _short),
    Bomb("bzip2", "200 M empty lines, bzip2", _bzip2),
    Bomb("zip", "a member of 1,000 lines of 1 MB", _zip),
    Bomb("tar", "a member of 1,000 lines of 1 MB, gzip", _tar),
    Bomb("tmx segment", "a segment of 700 MB", partial(_tmx, b"<seg>", b"</seg>")),
    Bomb("tmx CDATA", "the same as CDATA", partial(_tmx, b"<seg><![CDATA[", b"]]></seg>")),
    Bomb("tmx code", "a code of 700 MB", partial(_tmx, b"<seg><ph>", b"</ph>Eins.</seg>")),
    Bomb("tmx comment", "a comment of 700 MB", partial(_tmx, b"<!--", b"-->")),
    Bomb("tmx attribute", "an attribute of 700 MB", partial(_tmx, b'<seg a="', b'">Eins.</seg>')),
    Bomb(
        "tmx reject",
        "a segment of 700 MB, on_error: reject",
        partial(_tmx, b"<seg>", b"</seg>", on_error="reject"),
    ),
    Bomb("tmx segments", "30 M empty segments in a unit", _tmx_segments),
    Bomb("tmx units", "400,000 units under the root", partial(_tmx_units, GOOD)),
    Bomb(
        "tmx units reject",
        "the same, on_error: reject",
        partial(_tmx_units, GOOD, on_error="reject"),
    ),
    Bomb("tmx bad", "400,000 units that are no XML", partial(_tmx_units, BAD, on_error="reject")),
    Bomb("tmx open", "400,000 units of open CDATA", partial(_tmx_units, OPEN, on_error="reject")),
    Bomb("parquet rows", "10,000 rows that repeat 300 kB", _parquet_rows),
    Bomb("parquet nulls", "100 M nulls", _parquet_nulls),
    Bomb("parquet cells", "1,000 cells of 1 MB", partial(_parquet_plain, "PLAIN")),
    Bomb(
        "parquet beginnings",
        "1,000 cells that share a beginning of 1 MB (DELTA_BYTE_ARRAY)",
        partial(_parquet_plain, "DELTA_BYTE_ARRAY"),
    ),
    Bomb("parquet cell", "a cell of 700 MB", _parquet_cell),
    Bomb("align-text", "1,000 lines of 1 MB", _align_text),
    Bomb("align-text empty", "5.2 M empty lines", _align_text_empty),
    Bomb("dictionary", "1,000 lines of 1 MB", _dictionary),
    Bomb("dictionary short", "5.2 M entries", _dictionary_short),
    Bomb("nli", "task file with 1,000 lines of 1 MB", _task),
    Bomb("qa", "SQuAD's JSON of 700 MB", _qa),
)


def _run(bomb: Bomb, scale: int) -> tuple[list[str], bool]:
    """Makes a bomb and runs its command; returns its row, and whether it met the goal."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        # In a process of its own: the peak that Linux tells of a command begins with the memory of
        # the process that started it.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            call = pool.apply(bomb.make, (folder, scale))
        size = sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".yaml")
        status, peak, seconds, said = _peak(["bitextile", *call])
        said = said.replace(f"{folder}/", "").replace("|", "\\|")
        row = [bomb.name, bomb.what, f"{size:,}", f"{peak:,.0f}", f"{seconds:.1f}", str(status)]
        return [*row, _kept(folder) if status == 0 else said[:200]], peak <= GOAL_MB


def _kept(folder: Path) -> str:
    """Returns what a dataset's manifest counts."""
    found = list((folder / "out").glob("*/manifest.json"))
    if not found:
        return "done"
    counts = json.loads(found[0].read_text(encoding="utf-8"))["counts"]
    rules = ", ".join(f"{rows:,} {rule}" for rule, rows in counts["rejected"].items())
    return f"kept {counts['kept']:,}; rejected {rules or 'none'}"


def _peak(call: list[str]) -> tuple[int, float, float, str]:
    """Runs a command; returns its exit status, its peak in MB, its seconds and what it said."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(call, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().strip().splitlines() or [""]
    seconds = time.perf_counter() - start
    return process.returncode, usage.ru_maxrss * 1024 / MB, seconds, lines[-1]


def main() -> None:
    """Runs the bombs and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="parts of names")
    parser.add_argument("--scale", type=int, default=1, help="divides all sizes")
    args = parser.parse_args()
    print("| file | holds | bytes | peak MB | s | status | what became of it |")
    print("|---|---|---:|---:|---:|---:|---|")
    missed = []
    for bomb in BOMBS:
        if not args.only or any(part in bomb.name for part in args.only):
            row, is_met = _run(bomb, args.scale)
            print(f"| {' | '.join(row)} |", flush=True)
            missed += [] if is_met else [bomb.name]
    if missed:
        raise SystemExit(f"more than {GOAL_MB} MB: {', '.join(missed)}")


if __name__ == "__main__":
    main()
