"""Text in any encoding: byte order marks, the recipe's `encoding`, and what is no text at all."""

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.readers import archives, encodings
from bitextile.kernels.readers.encodings import check_encoding, utf8_blocks
from bitextile.schema.errors import ConfigError, InputError
from corpus_files import COMPRESSED, mono, read, source, texts

LINES = [
    "Où est mon frère ?",
    "Где мой брат?",
    "أين أخي؟",
    "मेरा भाई कहाँ है?",
    "我的弟弟在哪里？🐶",
    "",
]
TEXT = "\r\n".join(LINES) + "\r\n"
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("encoding", ["utf-8", *WIDE])
@pytest.mark.parametrize("ending", COMPRESSED)
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding: str, ending: str) -> None:
    content = COMPRESSED[ending](("\ufeff" + TEXT).encode(encoding))
    kept, rejects = mono(tmp_path, content, f"m{ending}")
    assert texts(kept) == list(enumerate(LINES, start=1))
    assert not rejects


@pytest.mark.parametrize("encoding", [*WIDE, "utf-8", "gb18030"])
def test_the_recipe_tells_the_encoding_of_a_file_without_a_mark(tmp_path, encoding: str) -> None:
    kept, rejects = mono(tmp_path, TEXT.encode(encoding), encoding=encoding.upper())
    assert texts(kept) == list(enumerate(LINES, start=1))
    assert not rejects


@pytest.mark.parametrize("written", WIDE)
def test_the_order_of_bytes_is_seen_where_neither_mark_nor_recipe_tells_it(
    tmp_path, written: str
) -> None:
    kept, _ = mono(tmp_path, TEXT.encode(written), encoding=written[:6])
    assert texts(kept) == list(enumerate(LINES, start=1))


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("windows-1251", "Где мой брат?"),
        ("cp1256", "أين أخي؟"),
        ("shift_jis", "私の弟はどこ？"),
        ("big5", "我的弟弟在哪裡？"),
        ("tis-620", "พี่ชายของฉันอยู่ไหน"),
        ("latin1", "Où est mon frère ?"),
    ],
)
def test_older_encodings(tmp_path, encoding: str, text: str) -> None:
    kept, rejects = mono(tmp_path, (text + "\n").encode(encoding) * 3, encoding=encoding)
    assert texts(kept) == [(1, text), (2, text), (3, text)]
    assert not rejects
    marked = mono(tmp_path, text.encode("utf-8-sig"), encoding=encoding)
    assert texts(marked[0]) == [(1, text)]


@pytest.mark.parametrize(
    ("format", "columns"), [("tsv", (0, 1)), ("csv", ("en", "ar")), ("jsonl", ("en", "ar"))]
)
@pytest.mark.parametrize("encoding", WIDE)
def test_every_text_format_is_decoded(tmp_path, format: str, columns, encoding: str) -> None:
    written = {
        "tsv": "Dog\tكلب\n",
        "csv": "en,ar\nDog,كلب\n",
        "jsonl": '{"en": "Dog", "ar": "كلب"}\n',
    }
    (tmp_path / "a").write_bytes(("\ufeff" + written[format]).encode(encoding))
    fields = {"format": format, "columns": columns, "header": format == "csv"}
    kept, _ = read(source(tmp_path, "a", **fields))
    assert [(r["src"], r["tgt"]) for r in kept] == [("Dog", "كلب")]


def test_two_line_aligned_files_may_differ_in_encoding(tmp_path) -> None:
    (tmp_path / "a").write_bytes("\ufeffone\ntwo\n".encode("utf-16-le"))
    (tmp_path / "b").write_bytes("واحد\nاثنان\n".encode())
    kept, _ = read(source(tmp_path, "a", "b"))
    assert texts(kept) == [(1, "one", "واحد"), (2, "two", "اثنان")]


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff")),
    st.sampled_from(WIDE),
    st.integers(1, 9),
)
def test_blocks_of_any_size_decode_to_the_same(tmp_path_factory, text, encoding, block) -> None:
    file = tmp_path_factory.mktemp("e") / "m.txt"
    file.write_bytes(("\ufeff" + text).encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "_BLOCK_BYTES", block)
        patch.setattr(encodings, "_HEAD_BYTES", 4)
        assert b"".join(utf8_blocks(str(file))).decode() == text


def test_bytes_that_an_encoding_does_not_have_are_rejects(tmp_path) -> None:
    for encoding, bad in (("cp1252", b"a\x81b"), ("shift_jis", b"a\x81\x20b"), ("ascii", b"a\xe9")):
        kept, [reject] = mono(tmp_path, b"one\n" + bad + b"\nthree\n", encoding=encoding)
        assert texts(kept) == [(1, "one"), (3, "three")]
        assert (reject["rule"], reject["line"], reject["value"]) == ("invalid_encoding/1", 2, 1)
    content = "\ufeffone\na".encode("utf-16-le") + b"\x00\xd8" + "\nthree".encode("utf-16-le")
    kept, [reject] = mono(tmp_path, content)
    assert texts(kept) == [(1, "one"), (3, "three")]
    assert (reject["rule"], reject["src"]) == ("invalid_encoding/1", "a\ufffd")


def test_wide_text_that_was_cut_inside_a_character_is_a_reject(tmp_path) -> None:
    kept, [reject] = mono(tmp_path, "\ufeffone\ntwo".encode("utf-16-le")[:-1])
    assert texts(kept) == [(1, "one")]
    assert (reject["rule"], reject["line"]) == ("invalid_encoding/1", 2)


@pytest.mark.parametrize("encoding", WIDE)
def test_wide_text_without_a_mark_is_refused(tmp_path, encoding: str) -> None:
    with pytest.raises(InputError, match=r"m\.txt: full of NUL bytes, so it is not text in utf-8"):
        mono(tmp_path, "Where is my brother?\n".encode(encoding) * 9)


@pytest.mark.parametrize("text", ["L’été à l’œil", "Где мой брат?", "أين أخي؟"])
def test_text_that_was_decoded_twice_is_refused(tmp_path, text: str) -> None:
    twice = text.encode().decode("latin1").encode()
    with pytest.raises(InputError, match=r"m\.txt: full of control characters U\+0080 to U\+009F"):
        mono(tmp_path, twice * 9)


def test_a_few_control_characters_are_no_reason_to_refuse(tmp_path) -> None:
    content = ("x" * 99 + "\n").encode() * 99
    kept, _ = mono(tmp_path, content + b"a long line with one \0 byte\n" + "don\x92t\n".encode())
    assert [r["text"] for r in kept[-2:]] == ["a long line with one \0 byte", "don\x92t"]


def test_a_line_of_wide_text_in_another_file_is_a_reject(tmp_path) -> None:
    content = b"one line of some length\n" * 99 + "\ufeffGo.\n".encode("utf-16-be")
    kept, rejects = mono(tmp_path, content + b"\n")
    assert len(kept) == 100
    assert [r["rule"] for r in rejects] == ["nul_bytes/1"]


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return made.getvalue()


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", "one\n")
    return made.getvalue()


BINARY = {
    "gzip": gzip.compress(b"one\n"),
    "bzip2": COMPRESSED[".txt.bz2"](b"one\n"),
    "xz": COMPRESSED[".txt.xz"](b"one\n"),
    "Zstandard": COMPRESSED[".txt.zst"](b"one\n"),
    "zip": zipped(),
    "tar": tarred(),
    "LZ4": b"\x04\x22\x4d\x18\x64\x40\xa7",
    "compress": b"\x1f\x9d\x90\x61\xc4",
    "7-Zip": b"7z\xbc\xaf\x27\x1c\0\4",
    "Parquet": b"PAR1\x15\4",
    "PDF": b"%PDF-1.7\n",
}


@pytest.mark.parametrize("kind", BINARY)
@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_what_is_no_text_is_refused_by_what_it_is(tmp_path, kind: str, ending: str) -> None:
    with pytest.raises(InputError, match=rf"m{ending}: expected text, got .*{kind}.*"):
        mono(tmp_path, COMPRESSED[ending](BINARY[kind]), f"m{ending}")


@pytest.mark.parametrize("name", ["klingon", "rot13", "idna", "unicode_escape", "utf\0", "base64"])
def test_an_encoding_that_is_none_of_text_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"encoding .* is not known; expected a name"):
        check_encoding(name)
