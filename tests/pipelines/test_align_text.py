"""`bitextile align-text` as it is typed: a line for a line, whatever it holds, and all counted."""

import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from bitextile.pipelines.align_text import _reading
from bitextile.pipelines.cli.main import main
from fake_eflomal import install

TEXT = [
    f"das {w} ist {a} ||| the {v} is {b}"
    for w, v in (("haus", "house"), ("buch", "book"), ("tor", "gate"), ("狗", "dog"))
    for a, b in (("alt", "old"), ("neu", "new"))
]


class Done(NamedTuple):
    code: int
    lines: list[str]
    scores: list[float]
    told: str


@pytest.fixture
def align_text(tmp_path: Path, capsys) -> Callable[..., Done]:
    """Returns what writes lines to a file and runs the command on it."""

    def run(lines: list[str] | bytes, *options: str) -> Done:
        raw = lines if isinstance(lines, bytes) else "".join(f"{x}\n" for x in lines).encode()
        (tmp_path / "in").write_bytes(raw)
        out, scores = tmp_path / "out", tmp_path / "scores"
        out.unlink(missing_ok=True)
        files = ["-i", str(tmp_path / "in"), "-o", str(out), "--scores", str(scores)]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["align-text", *files, "--threads", "1", *options])
        told = capsys.readouterr()
        assert told.out == ""
        code = int(ended.value.code or 0)
        if code:
            assert not out.exists()
            return Done(code, [], [], told.err)
        found = [float(line) for line in scores.read_text().splitlines()]
        return Done(code, out.read_text().split("\n")[:-1], found, told.err)

    return run


@pytest.fixture
def eflomal(tmp_path: Path) -> list[str]:
    return ["--aligner", "eflomal", "--eflomal-bin", install(tmp_path / "programs")]


@pytest.fixture(scope="module")
def simalign(tmp_path_factory) -> list[str]:
    folder = str(tmp_path_factory.mktemp("encoder"))
    tokenizer = BertWordPieceTokenizer(lowercase=False)
    tokenizer.train_from_iterator([*TEXT, "w . - ! ? …"], vocab_size=200, show_progress=False)
    BertTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=200, num_hidden_layers=1, **shape)).save_pretrained(folder)
    return ["--aligner", "simalign", "--encoder", folder, "--layer", "1"]


def engine(request, name: str) -> list[str]:
    return [] if name == "hmm" else request.getfixturevalue(name)


def words(letter: str, n: int) -> str:
    return " ".join(f"{letter}{k * k % 997}" for k in range(n))


BAD = {
    "a missing separator": (["ein haus", *TEXT], "1 without `|||`"),
    "two separators": (["a ||| b ||| c", *TEXT], "1 without `|||`"),
    "no separator anywhere": (["ein haus", "", "x"], "3 without `|||`"),
    "an empty side": ([*TEXT, "||| b", "a |||", " ||| "], "3 with an empty side"),
    "10,000 words": ([*TEXT, words("w", 10_000) + " ||| " + words("v", 9_000)], "9 aligned"),
    "40,000 words": ([*TEXT, "w " * 40_000 + "||| b"], "1 too long"),
    "only punctuation": (["... ! ||| ? …", ". ||| .", "- - - - ||| - -"], "3 aligned"),
    "the same many times": ([TEXT[0]] * 20_000, "20,000 aligned"),
    "three sentences": (TEXT[:3], "3 aligned"),
    "one word repeated": (["w w w w w w ||| w w w"] * 50 + ["w ||| w"], "51 aligned"),
    "nothing": ([], "0 lines, 0 aligned"),
    "bytes that are no text": (b"a\xff b ||| c \xfe\n\x00 ||| \x00\nx\r ||| y\r\n", "3 aligned"),
    "a last line without an end": (b"a ||| b\nc ||| d", "2 lines, 2 aligned"),
}


@pytest.mark.parametrize("name", ["hmm", "eflomal", "simalign"])
@pytest.mark.parametrize("case", BAD)
def test_a_line_for_a_line_whatever_it_holds(request, align_text, name, case) -> None:
    lines, count = BAD[case]
    if name != "hmm" and case == "the same many times":
        lines, count = lines[:300], "300 aligned"
    done = align_text(lines, *engine(request, name))
    assert done.code == 0, done.told
    raw = lines if isinstance(lines, bytes) else "".join(f"{x}\n" for x in lines).encode()
    text = raw.decode(errors="replace").removesuffix("\n").split("\n") if raw else []
    assert len(done.lines) == len(done.scores) == len(text)
    assert all(math.isfinite(score) and score <= 0 for score in done.scores)
    summary = done.told.splitlines()[-1]
    assert count in summary
    assert f"{len(text):,} lines" in summary
    assert f"{sum(len(row.split()) for row in done.lines):,} links" in summary
    for line, row in zip(text, done.lines):
        sides = [side.split() for side in line.split("|||")]
        for i, j in (map(int, link.split("-")) for link in row.split()):
            assert i < len(sides[0])
            assert j < len(sides[1])


def test_the_hmm_learns_what_goes_with_what(align_text) -> None:
    done = align_text(TEXT)
    assert done.lines == ["0-0 1-1 2-2 3-3"] * len(TEXT)
    assert "hmm 2/2" in done.told


@pytest.mark.parametrize("name", ["hmm", "eflomal"])
def test_a_saved_model_is_applied_and_fits_nothing(request, align_text, tmp_path, name) -> None:
    options = engine(request, name)
    fitted = align_text(TEXT, *options, "--save-model", str(tmp_path / "m"))
    head = json.loads((tmp_path / "m/model.json").read_text())
    assert head["digest"].startswith("sha256:")
    applied = align_text(TEXT[:3], *options, "--model", str(tmp_path / "m"))
    assert applied.lines == fitted.lines[:3]
    assert "log likelihood" not in applied.told
    other = {"hmm": "eflomal", "eflomal": "hmm"}[name]
    wrong = align_text(TEXT, *engine(request, other), "--model", str(tmp_path / "m"))
    assert wrong.code == 1
    assert "expected 'bitextile-" in wrong.told
    both = align_text(TEXT, *options, "--model", "m", "--save-model", "n")
    assert both.code == 2


METHODS = ["intersect", "union", "grow-diag", "grow-diag-final", "grow-diag-final-and"]


@pytest.mark.parametrize("name", ["hmm", "eflomal"])
def test_the_symmetrisations_lie_between_intersection_and_union(request, align_text, name) -> None:
    lines = [*TEXT, "das alte haus von haus zu haus ||| the house"]
    found = {}
    for method in METHODS:
        done = align_text(lines, *engine(request, name), "--symmetrize", method)
        found[method] = [set(row.split()) for row in done.lines]
    for method in METHODS:
        for least, row, most in zip(found["intersect"], found[method], found["union"]):
            assert least <= row <= most
    assert found["intersect"] != found["union"]


def test_threshold_and_scores(align_text) -> None:
    lines = [*TEXT, "ein haus ||| this and that house"]
    all_links = align_text(lines, "--threshold", "0")
    few = align_text(lines, "--threshold", "0.9")
    for row, fewer in zip(all_links.lines, few.lines):
        assert set(fewer.split()) <= set(row.split())
    assert len(" ".join(few.lines)) < len(" ".join(all_links.lines))
    assert all(score > math.log(0.9) for score, row in zip(few.scores, few.lines) if row)


@pytest.mark.parametrize("format", ["{} {}", "{}\t{}"])
def test_known_translations_overrule_the_order(align_text, tmp_path, format) -> None:
    lines = ["rot Haus ||| 房子 红"] * 3
    lexicon = tmp_path / "lexicon.txt"
    text = [format.format(*pair) for pair in (("haus", "房子"), ("rot", "红"), ("ei", "蛋"))]
    lexicon.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    assert align_text(lines).lines == ["0-0 1-1"] * 3
    known = align_text(lines, "--lexicon", str(lexicon))
    assert known.lines == ["0-1 1-0"] * 3


def test_an_encoder_by_any_matching(align_text, simalign) -> None:
    for matching in ("inter", "itermax", "mwmf", "softmax"):
        done = align_text(TEXT, *simalign, "--matching", matching, "--token-type", "word")
        assert done.code == 0, done.told
        assert all(done.lines), matching


def test_standard_input_to_standard_output(monkeypatch, capsys) -> None:
    raw = "".join(f"{line}\n" for line in [*TEXT, "x"]).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    with pytest.raises(SystemExit) as ended:
        main(["align-text"])
    told = capsys.readouterr()
    assert ended.value.code == 0
    assert told.out == "0-0 1-1 2-2 3-3\n" * len(TEXT) + "\n"
    assert "9 lines, 8 aligned, 32 links, 1 without `|||`" in told.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--aligner", "giza"], "'giza' is not one of 'hmm', 'eflomal', 'simalign'"),
        (["--aligner", "simalign"], "needs --encoder"),
        (["--aligner", "simalign", "--encoder", "e", "--model", "m"], "fits no model"),
        (["--aligner", "simalign", "--encoder", "e"], "never by name from a hub"),
        (["--aligner", "eflomal", "--eflomal-bin", "/no/such"], "eflomal-align is not in /no/such"),
        (["--aligner", "eflomal", "--threshold", "0.5"], "--threshold is not an option"),
        (["--lexicon", "/no/such"], "/no/such"),
        (["--lexicon", "x", "--model", "m"], "--lexicon is for fitting with --aligner hmm"),
        (["--lexicon", "x", "--aligner", "eflomal"], "--lexicon is for fitting with"),
        (["--layer", "3"], "--layer is not an option of --aligner hmm"),
        (["--symmetrize", "best"], "'best' is not one of 'intersect'"),
        (["--threshold", "2"], "threshold is 2.0"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(align_text, options, sentence) -> None:
    done = align_text(TEXT, *options)
    assert done.code == (1 if "/no/such" in options and "--lexicon" in options else 2)
    assert sentence in done.told


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("size", [9, 10, 11, 12, 25, 1000])
def test_lines_of_any_length_are_as_many_as_they_were(tmp_path, monkeypatch, size, end) -> None:
    monkeypatch.setattr("bitextile.pipelines.align_text.MAX_LINE_BYTES", 10)
    (tmp_path / "in").write_bytes(f"a ||| b\n{'x' * size}\n\n{'x' * size}{end}".encode())
    with _reading(str(tmp_path / "in")) as lines:
        got = list(lines)
    assert len(got) == 4
    assert (got[0], got[2]) == ("a ||| b\n", "\n")
    assert [got[1] is None, got[3] is None] == [size > 10, size > 11 or size + len(end) > 11]
