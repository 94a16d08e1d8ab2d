"""Corpus files: every format and compression, and every kind of damage, told by file and line."""

import bz2
import gzip
import json
import lzma
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.readers import corpus as corpora
from bitextile.kernels.readers.corpus import MAX_LINE_BYTES, Source, read_source
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import MONO, PAIRS, REJECTS

EN = ["The dog runs.", "A cat sleeps.", "", "We eat."]
AR = ["الكلب يركض.", "قطة نائمة.", "", "نحن نأكل."]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


def zipped(path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.txt", content)


COMPRESSED = {
    ".txt": lambda c: c,
    ".txt.gz": gzip.compress,
    ".txt.bz2": bz2.compress,
    ".txt.xz": lzma.compress,
    ".txt.zst": zstd,
}


def source(tmp_path, *names: str, **fields) -> Source:
    files = tuple(str(tmp_path / name) for name in names)
    defaults = {"corpus": "c", "languages": ("en", "ar"), "format": "lines", "names": names}
    return Source(files=files, **defaults | fields)


def read(src: Source, **options) -> tuple[list[dict], list[dict]]:
    """Returns the rows kept and the rejects, checked to be of their kinds."""
    kept, rejects = [], []
    for part in read_source(src, **options):
        assert part.kept.schema == (PAIRS if len(src.languages) == 2 else MONO).schema
        assert part.rejects.schema == REJECTS.schema
        kept += part.kept.to_pylist()
        rejects += part.rejects.to_pylist()
    return kept, rejects


def texts(rows: list[dict]) -> list[tuple]:
    return [(r["line"], *(r[c] for c in ("src", "tgt", "text") if c in r)) for r in rows]


def mono(tmp_path, content: bytes, name: str = "m.txt", **fields) -> tuple[list[dict], list[dict]]:
    (tmp_path / name).write_bytes(content)
    return read(source(tmp_path, name, **{"languages": ("en",)} | fields))


# --- lines and compression ----------------------------------------------------------------------


@pytest.mark.parametrize("ending", COMPRESSED)
def test_two_line_aligned_files_of_any_compression(tmp_path, ending: str) -> None:
    for name, lines in (("a", EN), ("b", AR)):
        content = "".join(line + "\n" for line in lines).encode()
        (tmp_path / f"{name}{ending}").write_bytes(COMPRESSED[ending](content))
    kept, rejects = read(source(tmp_path, f"a{ending}", f"b{ending}", split="valid"))
    assert texts(kept) == list(zip(range(1, 5), EN, AR))
    assert not rejects
    assert kept[0] == {
        "pair_id": "",
        "src_lang": "en",
        "tgt_lang": "ar",
        "src": EN[0],
        "tgt": AR[0],
        "corpus": "c",
        "file": f"a{ending}",
        "line": 1,
        "split": "valid",
    }


@pytest.mark.parametrize("ending", [e for e in COMPRESSED if e != ".txt"])
def test_members_compressed_one_after_another_are_one_file(tmp_path, ending: str) -> None:
    content = COMPRESSED[ending](b"one\ntw") + COMPRESSED[ending](b"o\n")
    assert texts(mono(tmp_path, content, f"m{ending}")[0]) == [(1, "one"), (2, "two")]


def test_a_member_of_a_zip_file(tmp_path) -> None:
    zipped(tmp_path / "z.zip", a=b"one\n", b="犬\n".encode())
    kept, _ = read(source(tmp_path, "z.zip#b.txt", languages=("zh",)))
    assert (kept[0]["text"], kept[0]["file"]) == ("犬", "z.zip#b.txt")
    for name in ("z.zip", "z.zip#c.txt"):
        with pytest.raises(
            InputError, match=r"no member .*; write .*z\.zip#NAME with one of .*a\.txt"
        ):
            read(source(tmp_path, name, languages=("zh",)))


def test_a_number_sign_in_a_path_is_a_letter_like_any_other(tmp_path) -> None:
    (tmp_path / "c#1").mkdir()
    assert texts(mono(tmp_path, b"one\n", "c#1/a#b.txt")[0]) == [(1, "one")]
    zipped(tmp_path / "c#1" / "z.zip", a=b"two\n")
    assert texts(read(source(tmp_path, "c#1/z.zip#a.txt", languages=("en",)))[0]) == [(1, "two")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\n\r\nb", ["a", "", "b"]),
        (b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbf\n", [""]),
        (b"a\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        ("a\u2028b\x85c\x0bd\n".encode(), ["a\u2028b\x85c\x0bd"]),  # only a newline ends a line
    ],
)
@pytest.mark.parametrize("ending", COMPRESSED)
def test_line_ends_marks_and_blank_lines(tmp_path, content: bytes, expected, ending: str) -> None:
    kept, rejects = mono(tmp_path, COMPRESSED[ending](content), f"m{ending}")
    assert texts(kept) == list(enumerate(expected, start=1))
    assert not rejects


LINE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff"), max_size=9
)


@settings(max_examples=80)
@given(st.lists(LINE, max_size=12), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_blocks_and_batches_of_any_size_give_the_same_lines(
    tmp_path_factory, lines, block: int, batch_rows: int, last: bool
) -> None:
    content = "\n".join(lines) + ("\n" if last and lines else "")
    expected = content.removesuffix("\n").split("\n") if content else []
    path = tmp_path_factory.mktemp("lines")
    (path / "m.txt").write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "_BLOCK_BYTES", block)
        kept, _ = read(source(path, "m.txt", languages=("en",)), batch_rows=batch_rows)
    assert texts(kept) == list(enumerate(expected, start=1))


@pytest.mark.parametrize("ending", COMPRESSED)
def test_a_line_of_three_megabytes_is_a_reject_and_the_rest_is_read(tmp_path, ending: str) -> None:
    long = b"x" * (3 << 20)
    content = COMPRESSED[ending](b"a\n" + long + b"\nb\n" + long)
    kept, rejects = mono(tmp_path, content, f"m{ending}")
    assert texts(kept) == [(1, "a"), (3, "b")]
    assert [(r["rule"], r["line"], r["value"]) for r in rejects] == [
        ("line_bytes/1", 2, 3 << 20),
        ("line_bytes/1", 4, 3 << 20),
    ]
    assert rejects[0]["src"] == "x" * 1000
    assert "more than 1048576 bytes" in rejects[0]["detail"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_longest_line_allowed_is_read(tmp_path, end: bytes) -> None:
    kept, rejects = mono(tmp_path, b"x" * MAX_LINE_BYTES + end + b"x" * (MAX_LINE_BYTES + 1) + end)
    if end:
        assert (len(kept), [r["value"] for r in rejects]) == (1, [MAX_LINE_BYTES + 1])
    else:
        assert [r["value"] for r in rejects] == [2 * MAX_LINE_BYTES + 1]


def test_invalid_utf8_is_a_reject_with_its_bytes_and_place(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"one\ncaf\xe9 noir\nthree\n")
    (tmp_path / "b").write_bytes("واحد\nاثنان\nثلاثة\n".encode())
    kept, [reject] = read(source(tmp_path, "a", "b"))
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["file"], reject["line"], reject["value"]) == (
        "utf8/1",
        "a",
        2,
        3,
    )
    assert reject["detail"] == "byte 0xe9 at 3"
    assert reject["src"] == "caf\\xe9 noir\tاثنان"
    assert (reject["src_lang"], reject["tgt_lang"], reject["corpus"]) == ("en", "ar", "c")


def test_a_reject_of_one_sentence_has_no_other_side(tmp_path) -> None:
    _, [reject] = mono(tmp_path, b"\xff\n")
    assert (reject["tgt_lang"], reject["tgt"]) == (None, None)


def test_rejects_at_different_places_have_different_ids(tmp_path) -> None:
    _, rejects = mono(tmp_path, b"\xff\n\xff\n")
    assert len({r["id"] for r in rejects}) == 2


@pytest.mark.parametrize(("a", "b"), [(3, 5), (5, 3), (0, 2), (9000, 8192)])
def test_files_of_unlike_length_are_refused_with_both_counts(tmp_path, a: int, b: int) -> None:
    (tmp_path / "x.en").write_bytes(b"l\n" * a)
    (tmp_path / "x.ar").write_bytes(b"l\n" * b)
    short, long = ("x.en", "x.ar") if a < b else ("x.ar", "x.en")
    message = rf"^{short} has {min(a, b)} lines, {long} has {max(a, b)}; line n of one must"
    with pytest.raises(InputError, match=message):
        read(source(tmp_path, "x.en", "x.ar"))


@pytest.mark.parametrize("ending", [e for e in COMPRESSED if e != ".txt"])
@pytest.mark.parametrize("cut", [-1, -9, 30])
def test_a_compressed_file_that_was_cut_is_refused(tmp_path, ending: str, cut: int) -> None:
    lines = "".join(f"line {i} {i * 7919}\n" for i in range(3000)).encode()
    with pytest.raises(InputError, match=rf"m{ending}: cannot be (read to its end|opened) "):
        mono(tmp_path, COMPRESSED[ending](lines)[:cut], f"m{ending}")


@pytest.mark.parametrize("ending", [e for e in COMPRESSED if e != ".txt"])
def test_a_file_that_is_not_what_its_ending_says_is_refused(tmp_path, ending: str) -> None:
    with pytest.raises(InputError, match=rf"m{ending}: cannot be (read to its end|opened) "):
        mono(tmp_path, b"just some text\n" * 9, f"m{ending}")


def test_a_damaged_zip_member_and_an_encrypted_one_are_refused(tmp_path) -> None:
    zipped(tmp_path / "z.zip", a=b"one two three\n" * 99)
    content = bytearray((tmp_path / "z.zip").read_bytes())
    content[40] ^= 0xFF
    (tmp_path / "z.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"z\.zip.*: cannot be"):
        read(source(tmp_path, "z.zip#a.txt", languages=("en",)))
    content[40] ^= 0xFF
    at = content.index(b"PK\x01\x02") + 8
    content[6] |= 1
    content[at] |= 1
    (tmp_path / "z.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"z\.zip: cannot be opened .*encrypted"):
        read(source(tmp_path, "z.zip#a.txt", languages=("en",)))


@pytest.mark.parametrize("name", ["no.txt", "no.txt.gz", "no.zip#a"])
def test_a_missing_file_is_named(tmp_path, name: str) -> None:
    with pytest.raises(InputError, match=r"no\.\S+: no such file; check its name"):
        read(source(tmp_path, name, languages=("en",)))


# --- TSV ----------------------------------------------------------------------------------------


def tsv(tmp_path, content: str, **fields) -> tuple[list[dict], list[dict]]:
    (tmp_path / "t.tsv").write_text(content, encoding="utf-8", newline="")
    return read(source(tmp_path, "t.tsv", **{"format": "tsv", "columns": ("0", "1")} | fields))


def test_a_tsv_by_column_with_and_without_a_header(tmp_path) -> None:
    kept, _ = tsv(tmp_path, "7\tDog\tكلب\tCC-BY\n8\tCat\tقطة\r\n", columns=("1", "2"))
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "Cat", "قطة")]
    kept, _ = tsv(tmp_path, "en\tar\nDog\tكلب\n", header=True)
    assert texts(kept) == [(2, "Dog", "كلب")]


def test_a_row_with_too_few_columns_is_a_reject(tmp_path) -> None:
    kept, [reject] = tsv(tmp_path, "Dog\tكلب\nonly one\nCat\tقطة\n")
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"], reject["value"]) == ("columns/1", 2, 1)
    assert reject["detail"] == "1 columns, expected at least 2"
    assert reject["src"] == "only one"


def test_quotes_in_a_tsv_are_text(tmp_path) -> None:
    kept, _ = tsv(tmp_path, '"Dog\tكلب"\n')
    assert texts(kept) == [(1, '"Dog', 'كلب"')]


# --- JSON lines ---------------------------------------------------------------------------------


def jsonl(tmp_path, *lines: str | bytes) -> tuple[list[dict], list[dict]]:
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    (tmp_path / "j.jsonl").write_bytes(content)
    return read(source(tmp_path, "j.jsonl", format="jsonl", columns=("en", "ar")))


GOOD = json.dumps({"en": "Dog", "ar": "كلب", "more": [1]})


def test_json_lines_with_a_byte_order_mark(tmp_path) -> None:
    kept, rejects = jsonl(tmp_path, b"\xef\xbb\xbf" + GOOD.encode(), GOOD + "\r")
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "Dog", "كلب")]
    assert not rejects


@pytest.mark.parametrize(
    ("line", "rule", "value"),
    [
        ("{", "json/1", 0),
        ("", "json/1", 0),
        ("[" * 100_000, "json/1", 0),
        ("9" * 5_000, "json/1", 0),
        ("[]", "columns/1", 0),
        ("null", "columns/1", 0),
        ('{"en": "Dog"}', "columns/1", 1),
        ('{"en": "Dog", "ar": null}', "columns/1", 1),
        ('{"en": 7, "ar": ["x"]}', "columns/1", 0),
        ('{"en": "Dog \\ud800", "ar": "x"}', "utf8/1", 4),
        (b'{"en": "\xff"}', "utf8/1", 8),
    ],
)
def test_what_is_no_record_of_two_texts_is_a_reject(
    tmp_path, line, rule: str, value: float
) -> None:
    kept, [reject] = jsonl(tmp_path, GOOD, line, GOOD)
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"], reject["value"]) == (rule, 2, value)
    assert reject["detail"]
    reject["src"].encode()


def test_a_surrogate_pair_written_as_two_escapes_is_one_character(tmp_path) -> None:
    kept, _ = jsonl(tmp_path, '{"en": "\\ud83d\\udc36", "ar": "x"}')
    assert kept[0]["src"] == "🐶"


# --- Parquet ------------------------------------------------------------------------------------


def parquet(tmp_path, table: pa.Table, **fields) -> tuple[list[dict], list[dict]]:
    pq.write_table(table, tmp_path / "p.parquet")
    fields = {"format": "parquet", "columns": ("en", "ar")} | fields
    return read(source(tmp_path, "p.parquet", **fields))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_a_parquet_file_by_column_names(tmp_path, kind: pa.DataType) -> None:
    table = pa.table({"ar": pa.array(AR).cast(kind), "id": range(4), "en": pa.array(EN).cast(kind)})
    kept, rejects = parquet(tmp_path, table)
    assert texts(kept) == list(zip(range(1, 5), EN, AR))
    assert not rejects


def test_nulls_and_other_types_in_a_parquet_file_are_rejects(tmp_path) -> None:
    kept, [reject] = parquet(tmp_path, pa.table({"en": ["Dog", None], "ar": ["كلب", "قطة"]}))
    assert len(kept) == 1
    assert (reject["rule"], reject["line"]) == ("columns/1", 2)
    kept, rejects = parquet(tmp_path, pa.table({"en": [1, 2], "ar": ["كلب", "قطة"]}))
    assert (len(kept), len(rejects)) == (0, 2)


def test_bytes_in_a_parquet_file_that_are_no_text_are_rejects(tmp_path) -> None:
    raw = pa.array([b"Dog", b"caf\xe9", b"Cat"], pa.binary())
    broken = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    kept, [reject] = parquet(tmp_path, pa.table({"en": broken, "ar": ["كلب", "x", "قطة"]}))
    assert [r["line"] for r in kept] == [1, 3]
    assert (reject["rule"], reject["line"]) == ("utf8/1", 2)
    assert "caf\\xe9" in reject["src"]


def test_a_missing_column_and_a_file_that_is_no_parquet_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"p\.parquet: no column 'ar'; it has en, de: name"):
        parquet(tmp_path, pa.table({"en": ["a"], "de": ["b"]}))
    (tmp_path / "p.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(InputError, match=r"p\.parquet: not readable as Parquet"):
        read(source(tmp_path, "p.parquet", format="parquet", columns=("en", "ar")))


# --- TMX ----------------------------------------------------------------------------------------


def tu(**sides: str) -> str:
    variants = "".join(
        f'<tuv xml:lang="{lang.replace("_", "-")}"><seg>{text}</seg></tuv>'
        for lang, text in sides.items()
    )
    return f"<tu>{variants}</tu>"


def tmx(tmp_path, *units: str, head: str = "", name: str = "t.tmx", **fields):
    text = f'<?xml version="1.0" encoding="UTF-8"?>{head}<tmx version="1.4"><header/><body>'
    text += "\n".join(units) + "</body></tmx>"
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return read(source(tmp_path, name, format="tmx", **fields))


@pytest.mark.parametrize("name", ["t.tmx", "t.tmx.gz"])
def test_units_of_a_tmx_in_the_order_of_the_languages_asked_for(tmp_path, name: str) -> None:
    units = [tu(ar="كلب", en="Dog"), tu(en="R&amp;D &#x1F436;", ar="&lt;ب&gt;", de="x")]
    kept, rejects = tmx(tmp_path, *units, name=name)
    assert texts(kept) == [(1, "Dog", "كلب"), (2, "R&D 🐶", "<ب>")]
    assert not rejects


def test_a_regional_tag_answers_for_its_language_and_not_the_reverse(tmp_path) -> None:
    kept, _ = tmx(tmp_path, tu(en_US="Color", AR="لون"), tu(en_GB="Colour", ar_EG="لون"))
    assert [r["src"] for r in kept] == ["Color", "Colour"]
    assert {r["src_lang"] for r in kept} == {"en"}
    unit = tu(en="Colour", ar="لون")
    kept, [reject] = tmx(tmp_path, unit, languages=("en-US", "ar"))
    assert not kept
    assert (reject["rule"], reject["detail"]) == ("columns/1", "no <tuv> in en-US")


def test_the_exact_tag_is_preferred(tmp_path) -> None:
    units = tu(en_US="Color", en="Colour", ar="لون"), tu(zh_TW="貓", zh_CN="猫", ar="قطة")
    kept, _ = tmx(tmp_path, units[0])
    assert kept[0]["src"] == "Colour"
    kept, _ = tmx(tmp_path, units[1], languages=("zh-CN", "ar"))
    assert kept[0]["src"] == "猫"


def test_codes_of_the_markup_are_no_text(tmp_path) -> None:
    seg = 'Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept><ph>%s</ph> <hi>now</hi>.'
    kept, _ = tmx(tmp_path, tu(en=seg, ar="x"))
    assert kept[0]["src"] == "Press OK now."


def test_units_without_one_of_the_languages_are_rejects(tmp_path) -> None:
    kept, [reject] = tmx(tmp_path, tu(en="Dog", ar="كلب"), tu(en="Cat", de="Katze"))
    assert len(kept) == 1
    assert (reject["line"], reject["detail"], reject["src"]) == (2, "no <tuv> in ar", "Cat\tKatze")


def test_an_empty_segment_is_an_empty_text(tmp_path) -> None:
    kept, _ = tmx(tmp_path, tu(en="", ar="كلب"), '<tu><tuv xml:lang="en"/>' + tu(ar="ق")[4:])
    assert [r["src"] for r in kept] == ["", ""]


def test_many_units_are_read_whole(tmp_path) -> None:
    kept, _ = tmx(tmp_path, *(tu(en=f"Dog {i}", ar=f"كلب {i}") for i in range(3000)))
    assert texts(kept) == [(i + 1, f"Dog {i}", f"كلب {i}") for i in range(3000)]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE tmx SYSTEM "tmx14.dtd">',
        '<!DOCTYPE tmx PUBLIC "-//LISA" "tmx14.dtd">',
        "<!DOCTYPE tmx>",
    ],
)
def test_a_harmless_doctype_is_no_reason_to_refuse(tmp_path, head: str) -> None:
    kept, _ = tmx(tmp_path, tu(en="Dog", ar="كلب"), head=head)
    assert len(kept) == 1


def laughs() -> str:
    nested = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
    return f'<!DOCTYPE tmx [<!ENTITY l0 "lol">{nested}]>'


@pytest.mark.parametrize(
    ("head", "entity"),
    [
        ('<!DOCTYPE tmx [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        ('<!DOCTYPE tmx [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>', ""),
        (laughs(), "&l8;"),
        ('<!DOCTYPE tmx [<!ENTITY x "harmless">]>', "&x;"),
    ],
)
def test_an_entity_is_refused(tmp_path, head: str, entity: str) -> None:
    with pytest.raises(
        InputError, match=r"t\.tmx: the XML declares an entity .*remove the"
    ) as caught:
        tmx(tmp_path, tu(en=f"Dog {entity}", ar="كلب"), head=head)
    assert "root:" not in str(caught.value)


def test_a_tmx_that_was_cut_or_is_none_is_refused(tmp_path) -> None:
    for content in (b"", b"<tmx><body><tu>", b"just text", b"<tmx>\xff</tmx>"):
        (tmp_path / "t.tmx").write_bytes(content)
        with pytest.raises(InputError, match=r"t\.tmx: not well-formed TMX .*is it complete"):
            read(source(tmp_path, "t.tmx", format="tmx"))
    whole = gzip.compress(("<tmx><body>" + tu(en="Dog", ar="كلب") * 99 + "</body></tmx>").encode())
    (tmp_path / "t.tmx.gz").write_bytes(whole[:-12])
    with pytest.raises(InputError, match=r"t\.tmx\.gz: not well-formed TMX|cannot be read"):
        read(source(tmp_path, "t.tmx.gz", format="tmx"))


def test_xml_that_is_no_tmx_is_refused_as_nothing_in_it_was_read(tmp_path) -> None:
    (tmp_path / "t.tmx").write_text("<html><body>Dog</body></html>")
    with pytest.raises(InputError, match=r"t\.tmx: the root is <html>, expected <tmx>"):
        read(source(tmp_path, "t.tmx", format="tmx"))
