"""Files that unpack to, or hold, far more than a corpus does: rejects, refusals, small batches.

The limits are set low here; tests/benchmarks/bombs.py measures files of full size.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import time
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitextile.kernels.readers import archives, corpus, expansion, lines, parquet, tmx, tmx_units
from bitextile.kernels.readers.corpus import read_corpus
from bitextile.kernels.rejects import SHOWN_CHARS
from bitextile.schema.errors import InputError
from corpus_files import read, source, zstd

TEXTS = ["Die Katze sitzt. ", "القطة جالسة. ", "猫は座っている。"]


# --- batches ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("format", ["lines", "tsv", "csv", "jsonl", "parquet", "tmx"])
def test_a_batch_of_long_texts_has_few_rows(tmp_path, text: str, format: str) -> None:
    texts = [f"{n} {text * 50}" for n in range(40)]
    corpus_source = in_format(tmp_path, format, texts)
    whole, limit = len(texts[0]), 2_000
    batches = [part.kept for part in read_corpus(corpus_source, batch_chars=limit)]
    assert [t for batch in batches for t in batch["src"].to_pylist()] == [t.strip() for t in texts]
    for batch in batches:
        assert sum(map(len, batch["src"].to_pylist())) < limit + whole + 50
    assert len(batches) > 4


def in_format(tmp_path, format: str, texts: list[str], **fields):
    """Writes texts, each beside «x», in a format; returns how to read them."""
    texts = [text.strip() for text in texts]
    rows = [(text, "x") for text in texts]
    how = {"format": format, "columns": ("en", "ar")} | fields
    if format == "lines":
        (tmp_path / "a").write_text("".join(f"{text}\n" for text in texts), "utf-8")
        (tmp_path / "b").write_text("x\n" * len(texts), "utf-8")
        return source(tmp_path, "a", "b", **how)
    if format == "parquet":
        pq.write_table(pa.table({"en": texts, "ar": ["x"] * len(texts)}), tmp_path / "f")
    elif format == "tsv":
        how["columns"] = (0, 1)
        (tmp_path / "f").write_text("".join(f"{a}\t{b}\n" for a, b in rows), "utf-8")
    elif format == "csv":
        how |= {"columns": (0, 1)}
        (tmp_path / "f").write_text("".join(f'"{a}",{b}\n' for a, b in rows), "utf-8")
    elif format == "jsonl":
        made = "".join(f'{{"en": "{a}", "ar": "{b}"}}\n' for a, b in rows)
        (tmp_path / "f").write_text(made, "utf-8")
    else:
        made = "".join(unit(a, b) for a, b in rows)
        (tmp_path / "f").write_text(f"<tmx>{made}</tmx>", "utf-8")
    return source(tmp_path, "f", **how)


def unit(en: str, ar: str) -> str:
    return (
        f'<tu><tuv xml:lang="en"><seg>{en}</seg></tuv>'
        f'<tuv xml:lang="ar"><seg>{ar}</seg></tuv></tu>\n'
    )


# --- long texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("format", ["lines", "tsv", "csv", "jsonl", "parquet", "tmx"])
def test_a_text_over_the_limit_is_a_named_reject_with_its_beginning(
    tmp_path, monkeypatch, text: str, format: str
) -> None:
    for module, name in (
        (lines, "MAX_LINE_BYTES"),
        (corpus, "MAX_TEXT_BYTES"),
        (parquet, "_MAX_CELL_BYTES"),
    ):
        monkeypatch.setattr(module, name, 9_000)
    monkeypatch.setattr(tmx_units, "MAX_UNIT_CHARS", 9_000)
    monkeypatch.setattr(tmx, "MAX_UNIT_CHARS", 9_000)
    long = "".join(f"{n} {text}" for n in range(800))
    kept, [reject] = read(in_format(tmp_path, format, ["Eins.", long, "Drei."]))
    assert [row["src"] for row in kept] == ["Eins.", "Drei."]
    assert [row["line"] for row in kept] == [1, 3]
    assert reject["rule"] in ("line_bytes/1", "cell_bytes/1")
    assert reject["value"] > 9_000
    assert "more than 9000" in reject["detail"]
    assert reject["line"] == 2
    assert long[:300] in reject["src"]
    assert len(reject["src"]) < SHOWN_CHARS + 60


@pytest.mark.parametrize("format", ["tsv", "csv", "jsonl"])
def test_what_cannot_be_read_is_shown_by_its_beginning(tmp_path, format: str) -> None:
    row = {"tsv": "a" * 5_000, "csv": '"' + "a" * 5_000, "jsonl": "[" + "a" * 5_000}[format]
    (tmp_path / "f").write_text(f"{row}\n", "utf-8")
    columns = ("en", "ar") if format == "jsonl" else (0, 1)
    made = source(tmp_path, "f", format=format, columns=columns)
    if format == "jsonl":
        (tmp_path / "f").write_text('{"en": "' + "a" * 5_000 + '"}\n', "utf-8")
    _, [reject] = read(made)
    assert reject["src"].endswith(f"… ({len((tmp_path / 'f').read_text()) - 1:,} characters)")
    assert len(reject["src"]) == SHOWN_CHARS + len("… (5,000 characters)")


def test_names_in_a_detail_are_shown_by_their_beginning(tmp_path) -> None:
    (tmp_path / "f").write_text('{"' + "a" * 50_000 + '": 1}\n', "utf-8")
    _, [reject] = read(source(tmp_path, "f", format="jsonl", columns=("en", "ar")))
    assert len(reject["detail"]) < SHOWN_CHARS + 60


def test_a_cell_of_many_long_lines_is_a_reject_that_says_so(tmp_path) -> None:
    made = 'en,ar\n"' + "\n".join(["a b " * 20_000] * 3) + '",x\nDog,كلب\n'
    (tmp_path / "f").write_text(made, "utf-8")
    fields = {"format": "csv", "columns": ("en", "ar"), "header": True}
    kept, rejects = read(source(tmp_path, "f", **fields))
    assert kept[-1]["src"] == "Dog"
    assert (rejects[0]["rule"], rejects[0]["line"]) == ("cell_chars/1", 2)
    assert "a cell in quotes of more than 131072 characters" in rejects[0]["detail"]


def test_segments_without_text_count(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tmx_units, "MAX_UNIT_CHARS", 1_000)
    many = '<tuv xml:lang="en">' + "<seg/>" * 5_000 + "</tuv>"
    made = f'<tmx><tu>{many}<tuv xml:lang="ar"><seg>x</seg></tuv></tu>{unit("a", "b")}</tmx>'
    (tmp_path / "f").write_text(made, "utf-8")
    kept, [reject] = read(source(tmp_path, "f", format="tmx"))
    assert [row["src"] for row in kept] == ["a"]
    assert reject["rule"] == "line_bytes/1"


# --- files that unpack to far more than they are ------------------------------------------------

PLAIN = b"a\n" * 20_000


def tarred(opener, name: str):
    def write(path) -> str:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            entry = tarfile.TarInfo("m.txt")
            entry.size = len(PLAIN)
            archive.addfile(entry, io.BytesIO(PLAIN))
        (path / name).write_bytes(opener(packed.getvalue()))
        return f"{name}#m.txt"

    return write


def plain(opener, name: str):
    def write(path) -> str:
        (path / name).write_bytes(opener(PLAIN))
        return name

    return write


def zipped(method: int):
    def write(path) -> str:
        with zipfile.ZipFile(path / "m.zip", "w", method) as archive:
            archive.writestr("m.txt", PLAIN)
        return "m.zip#m.txt"

    return write


PACKED = {
    "gz": plain(gzip.compress, "m.txt.gz"),
    "bz2": plain(bz2.compress, "m.txt.bz2"),
    "xz": plain(lzma.compress, "m.txt.xz"),
    "zst": plain(zstd, "m.txt.zst"),
    "twice": tarred(gzip.compress, "m.tar.gz"),
    "tar.xz": tarred(lzma.compress, "m.tar.xz"),
    "zip": zipped(zipfile.ZIP_DEFLATED),
    "zip lzma": zipped(zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("write", PACKED.values(), ids=PACKED)
def test_a_file_that_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path, monkeypatch, write
) -> None:
    name = write(tmp_path)
    wanted = source(tmp_path, name, languages=("en",))
    monkeypatch.setattr(archives, "_BLOCK_BYTES", 1 << 12)
    assert len(read(wanted)[0]) == 20_000
    monkeypatch.setattr(expansion, "FREE_BYTES", 10_000)
    monkeypatch.setattr(expansion, "MAX_RATIO", 10)
    with pytest.raises(InputError, match=r"m\.\S+: [\d,]+ bytes unpack to .* over 10 times"):
        read(wanted)


@pytest.mark.parametrize(
    ("format", "row"),
    [("lines", "\n"), ("tsv", "\t\n"), ("csv", ",\n"), ("jsonl", "{}\n"), ("tmx", "<tu/>")],
)
def test_rows_by_the_thousand_in_a_byte_are_refused(tmp_path, monkeypatch, format, row) -> None:
    content = f"<tmx>{row * 9_000}</tmx>" if format == "tmx" else row * 9_000
    (tmp_path / "f.gz").write_bytes(gzip.compress(content.encode()))
    columns = ("en",) if format == "jsonl" else (0,)
    wanted = source(tmp_path, "f.gz", languages=("en",), format=format, columns=columns)
    kept, rejects = read(wanted, batch_rows=1_000)
    assert len(kept) + len(rejects) == 9_000
    monkeypatch.setattr(expansion, "FREE_ROWS", 3_000)
    with pytest.raises(InputError, match=r"f\.gz: more than 3,\d\d\d rows in \d+ bytes"):
        read(wanted, batch_rows=1_000)
    (tmp_path / "f.gz").write_bytes(gzip.compress(content.encode(), compresslevel=0))
    assert sum(map(len, read(wanted, batch_rows=1_000))) == 9_000


def test_an_xz_file_that_asks_for_much_memory_is_refused(tmp_path, monkeypatch) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 32 << 20}]
    packed = lzma.compress(b"one\n", filters=filters) + lzma.compress(b"two\n")
    (tmp_path / "m.xz").write_bytes(packed)
    wanted = source(tmp_path, "m.xz", languages=("en",))
    assert [row["text"] for row in read(wanted)[0]] == ["one", "two"]
    monkeypatch.setattr(archives, "_XZ_MEMORY", 16 << 20)
    with pytest.raises(InputError, match=r"m\.xz: cannot be .*[Mm]emory"):
        read(wanted)


@pytest.mark.parametrize("nuls", [0, 4, 3 << 20])
def test_streams_of_xz_with_padding_between_them_are_one_file(tmp_path, nuls: int) -> None:
    (tmp_path / "m.xz").write_bytes(lzma.compress(b"one\ntw") + bytes(nuls) + lzma.compress(b"o\n"))
    kept, _ = read(source(tmp_path, "m.xz", languages=("en",)))
    assert [row["text"] for row in kept] == ["one", "two"]


# --- Parquet ------------------------------------------------------------------------------------


def parquet_file(tmp_path, column: pa.Array, **how):
    pq.write_table(pa.table({"text": column}), tmp_path / "p.parquet", store_schema=False, **how)
    return source(tmp_path, "p.parquet", languages=("en",), format="parquet", columns=("text",))


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_rows_that_repeat_a_long_text_are_refused_before_they_are_read(
    tmp_path, monkeypatch, codec: str, version: str
) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 100_000)
    monkeypatch.setattr(expansion, "MAX_RATIO", 20)
    numbers = pa.array([0] * 100_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(numbers, pa.array(["Die Katze sitzt. " * 60]))
    wanted = parquet_file(tmp_path, column, compression=codec, data_page_version=version)
    assert (tmp_path / "p.parquet").stat().st_size < 20_000
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(
        InputError, match=r"p\.parquet: column text: .* bytes unpack to 102,[04]00,000"
    ):
        read(wanted)


def test_a_million_nulls_in_a_few_bytes_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(expansion, "FREE_BYTES", 100_000)
    wanted = parquet_file(tmp_path, pa.nulls(1_000_000, pa.string()))
    with pytest.raises(InputError, match=r"p\.parquet: column text: .* bytes unpack to 8,000,000"):
        read(wanted)


def test_a_page_that_is_too_large_to_be_unpacked_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parquet, "_MAX_PAGE_BYTES", 50_000)
    small = parquet_file(tmp_path, pa.array(["a"] * 9), use_dictionary=False)
    assert len(read(small)[0]) == 9
    large = parquet_file(tmp_path, pa.array(["a" * 60_000, "b"]), use_dictionary=False)
    with pytest.raises(
        InputError, match=r"column text has a page of 60,0\d\d bytes.* at most 50,0"
    ):
        read(large)


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", None])
@pytest.mark.parametrize("nested", [False, True])
def test_long_cells_of_parquet_are_read_a_few_at_a_time(
    tmp_path, monkeypatch, encoding: str | None, nested: bool
) -> None:
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 100_000)
    sizes = []
    inner = parquet._inner

    def noted(batch, path):
        sizes.append(batch.get_total_buffer_size())
        return inner(batch, path)

    monkeypatch.setattr(parquet, "_inner", noted)
    texts = ["ab" * 5_000 + str(n) for n in range(200)]
    column, name = pa.array(texts), "text"
    if nested:
        column, name = pa.StructArray.from_arrays([column], ["en"]), "text.en"
    how = {"use_dictionary": not encoding, "data_page_size": 20_000}
    if encoding:
        how["column_encoding"] = {name: encoding}
    wanted = parquet_file(tmp_path, column, **how)
    wanted = (
        source(tmp_path, "p.parquet", languages=("en",), format="parquet", columns=(name,))
        if nested
        else wanted
    )
    kept, rejects = read(wanted)
    assert [row["text"] for row in kept] == texts
    assert not rejects
    assert max(sizes) < 300_000


def test_damaged_pages_are_named(tmp_path) -> None:
    wanted = parquet_file(tmp_path, pa.array(["Die Katze", "sitzt"]))
    content = bytearray((tmp_path / "p.parquet").read_bytes())
    content[4:24] = b"\xff" * 20
    (tmp_path / "p.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.parquet: not readable as Parquet"):
        read(wanted)


# --- time ---------------------------------------------------------------------------------------

BAD_UNITS = {
    "good": unit("a", "b"),
    "not closed": "<tu>",
    "no XML": "<tu>&</tu>",
    "CDATA without an end": "<tu><![CDATA[</tu>",
    "a comment without an end": "<tu><!--</tu>",
}


@pytest.mark.parametrize("on_error", ["fail", "reject"])
@pytest.mark.parametrize("bad", BAD_UNITS.values(), ids=BAD_UNITS)
def test_units_under_the_root_take_linear_time(tmp_path, bad: str, on_error: str) -> None:
    if on_error == "fail" and bad != BAD_UNITS["good"]:
        pytest.skip("the first one ends the run")

    def seconds(units: int) -> float:
        (tmp_path / "f").write_text(f"<tmx>{bad * units}</tmx>", "utf-8")
        start = time.process_time()
        kept, rejects = read(source(tmp_path, "f", format="tmx", on_error=on_error))
        assert len(kept) + len(rejects) >= units
        return time.process_time() - start

    few, many = (min(seconds(units) for _ in range(3)) for units in (1_000, 8_000))
    # Quadratic time would be 64 times as much.
    assert many < 32 * few
