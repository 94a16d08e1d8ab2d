"""Files of any compression, members of archives; what is damaged or missing is named."""

import contextlib
import io
import tarfile
import tracemalloc

import pytest

from bitextile.kernels.readers.archives import open_bytes, read_block
from bitextile.schema.errors import InputError
from corpus_files import AR, COMPRESSED, EN, mono, read, source, texts, zipped


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


# --- tar files ----------------------------------------------------------------------------------

TARS = {
    ".tar": lambda c: c,
    ".tar.gz": COMPRESSED[".txt.gz"],
    ".tgz": COMPRESSED[".txt.gz"],
    ".TAR.GZ": COMPRESSED[".txt.gz"],
    ".tar.bz2": COMPRESSED[".txt.bz2"],
    ".tbz2": COMPRESSED[".txt.bz2"],
    ".tar.xz": COMPRESSED[".txt.xz"],
    ".txz": COMPRESSED[".txt.xz"],
    ".tar.zst": COMPRESSED[".txt.zst"],
}


def tarred(*members: tuple[str, bytes], links: dict[str, str] | None = None, form=None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form or tarfile.PAX_FORMAT) as archive:
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


NEWS = (
    ("news/", b""),
    ("news/de.words", b"das\n"),
    ("news/de.txt", "Das ist Größe.\nZwei.\n".encode()),
    (f"news/{'long' * 60}.txt", b"long\n"),
    ("news/ar.txt.gz", COMPRESSED[".txt.gz"]("واحد\n".encode())),
)


@pytest.mark.parametrize("ending", TARS)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_member_of_a_tar_file(tmp_path, ending: str, form: int) -> None:
    (tmp_path / f"n{ending}").write_bytes(TARS[ending](tarred(*NEWS, form=form)))
    for member, expected in (
        ("news/de.txt", ["Das ist Größe.", "Zwei."]),
        (f"news/{'long' * 60}.txt", ["long"]),
        ("news/ar.txt.gz", ["واحد"]),
    ):
        kept, rejects = read(source(tmp_path, f"n{ending}#{member}", languages=("de",)))
        assert [r["text"] for r in kept] == expected
        assert kept[0]["file"] == f"n{ending}#{member}"
        assert not rejects


@pytest.mark.parametrize("ending", TARS)
def test_a_tar_file_without_the_member_names_those_it_has(tmp_path, ending: str) -> None:
    (tmp_path / f"n{ending}").write_bytes(TARS[ending](tarred(*NEWS)))
    for name in (f"n{ending}", f"n{ending}#de.txt", f"n{ending}#news/"):
        with pytest.raises(
            InputError, match=r"no member .*#NAME with one of news/de\.words, news/"
        ):
            read(source(tmp_path, name, languages=("de",)))


def test_a_message_names_a_few_of_many_members(tmp_path) -> None:
    (tmp_path / "n.tar").write_bytes(tarred(*((f"{i}.txt", b"") for i in range(99))))
    with pytest.raises(InputError, match=r"one of 0\.txt, .*, 19\.txt, \.\.\.$"):
        read(source(tmp_path, "n.tar", languages=("de",)))


def test_two_members_of_tar_files_are_a_bitext(tmp_path) -> None:
    (tmp_path / "t.tgz").write_bytes(TARS[".tgz"](tarred(("a", b"one\n"), ("b", b"eins\n"))))
    kept, _ = read(source(tmp_path, "t.tgz#a", "t.tgz#b", languages=("en", "de")))
    assert texts(kept) == [(1, "one", "eins")]


def test_a_link_in_a_tar_file_is_not_followed(tmp_path) -> None:
    (tmp_path / "n.tar").write_bytes(tarred(links={"passwd": "/etc/passwd"}))
    with pytest.raises(InputError, match=r"n\.tar: member 'passwd' is a link"):
        read(source(tmp_path, "n.tar#passwd", languages=("de",)))


@pytest.mark.parametrize("ending", TARS)
@pytest.mark.parametrize("cut", [-1, -9, 700, 30, 0])
def test_a_tar_file_that_was_cut_is_refused(tmp_path, ending: str, cut: int) -> None:
    lines = "".join(f"line {i} {i * 7919}\n" for i in range(3000)).encode()
    content = TARS[ending](tarred(("a.txt", lines)))[:cut]
    if ending == ".tar" and cut < 0:
        content = tarred(("a.txt", lines))[: 512 + len(lines) + cut]
    (tmp_path / f"n{ending}").write_bytes(content)
    wanted = source(tmp_path, f"n{ending}#a.txt", languages=("de",))
    if ending == ".tar" or cut >= 0:
        with pytest.raises(InputError, match="cannot be "):
            read(wanted)
    else:  # the member may be whole, and only the end of the archive behind it gone
        with contextlib.suppress(InputError):
            assert len(read(wanted)[0]) == 3000


def test_a_header_that_claims_gigabytes_is_refused_and_not_read(tmp_path) -> None:
    entry = tarfile.TarInfo("a.txt")
    entry.type, entry.size = tarfile.XHDTYPE, 4 << 30
    head = entry.tobuf(tarfile.USTAR_FORMAT)
    (tmp_path / "n.tar.gz").write_bytes(TARS[".tar.gz"](head + b"0" * (64 << 20)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"n\.tar\.gz: cannot be opened .*header"):
        read(source(tmp_path, "n.tar.gz#a.txt", languages=("de",)))
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_a_compressed_member_of_a_zip_file(tmp_path) -> None:
    zipped(tmp_path / "z.ZIP", **{"a.txt.gz#": COMPRESSED[".txt.gz"](b"one\n")})
    with open_bytes(str(tmp_path / "z.ZIP#a.txt.gz#.txt")) as stream:
        assert read_block(stream, "z").startswith(b"\x1f\x8b")
    zipped(tmp_path / "y.zip", b=b"")
    with pytest.raises(InputError, match="no member"):
        read(source(tmp_path, "y.zip#a", languages=("de",)))
