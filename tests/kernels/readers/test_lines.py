"""Text files: line ends, blocks and batches, long lines, invalid UTF-8, unequal lengths."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitextile.kernels.readers import archives
from bitextile.kernels.readers.lines import MAX_LINE_BYTES
from bitextile.schema.errors import InputError
from corpus_files import COMPRESSED, mono, read, source, texts


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


# A file full of NUL bytes or C1 controls is refused: test_encodings.py.
NO_TEXT = "\0" + "".join(map(chr, range(0x80, 0xA0)))
LINE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\ufeff" + NO_TEXT), max_size=9
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
        patch.setattr(archives, "_BLOCK_BYTES", block)
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
        "invalid_utf8/1",
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
