"""Files of any compression and members of zip files; what is damaged or missing is named."""

import pytest

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
