"""Bad input at the command line: the exit code, one sentence, and nothing half-written left."""

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bitextile.pipelines.cli.main import main
from bitextile.schema.dataset import Dataset, open_dataset, verify_dataset
from bitextile.schema.kinds import REJECTS
from bitextile.schema.shards import read_shard

EN = b"The dog runs.\nA cat sleeps.\nWe eat bread.\n"
DE = "Der Hund läuft.\nEine Katze schläft.\nWir essen Brot.\n".encode()


def corpus(folder: Path, *names: str, **fields) -> str:
    """Writes a recipe of one bitext beside its files, and returns its path."""
    entry = {"corpus": "web", "languages": ["en", "de"], "files": list(names)} | fields
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"bitext": [entry]}))
    return str(folder / "recipe.yaml")


def ingest(folder: Path, recipe: str) -> list[str]:
    return ["ingest", recipe, "--out", str(folder / "out")]


@pytest.fixture
def call(capsys) -> Callable[..., tuple[int, str]]:
    """Returns what runs the command line in this process, giving exit code and stderr."""

    def run(arguments: list[str]) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        told = capsys.readouterr()
        assert told.out == ""
        return int(ended.value.code or 0), told.err

    return run


@pytest.fixture
def refused(call, tmp_path) -> Callable[..., str]:
    """Returns what expects a call to fail in one sentence, leaving the folder as it was."""

    def expect(arguments: list[str], code: int) -> str:
        before = sorted(tmp_path.rglob("*"))
        got, told = call(arguments)
        assert got == code, told
        assert re.fullmatch(r"bitextile: [^\n]+\n", told), told
        assert "Traceback" not in told
        assert "while running" not in told
        assert sorted(tmp_path.rglob("*")) == before
        return told

    return expect


def rejects(dataset: Dataset) -> list[dict]:
    return [
        row
        for shard in dataset.manifest.rejects
        for batch in read_shard(dataset.path, shard, REJECTS, columns=None, batch_rows=99)
        for row in batch.to_pylist()
    ]


# --- files that end the run ---------------------------------------------------------------------


def test_different_line_counts(tmp_path, refused) -> None:
    (tmp_path / "a.en").write_bytes(EN)
    (tmp_path / "a.de").write_bytes(DE + b"Noch eine.\nUnd eine.\n")
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.en", "a.de")), 1)
    assert "a.en has 3 lines, a.de has 5; line n of one must translate line n of the other" in told
    assert "find the missing lines" in told


def test_a_truncated_gz(tmp_path, refused) -> None:
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(EN * 500)[:-20])
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(DE * 500))
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.en.gz", "a.de.gz")), 1)
    assert f"{tmp_path}/a.en.gz: cannot be read to its end" in told
    assert "cut short or damaged: fetch it again" in told


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY x SYSTEM "file:///etc/passwd">',
        '<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">',
    ],
)
def test_a_tmx_with_an_entity(tmp_path, refused, declaration: str) -> None:
    unit = '<tu><tuv xml:lang="en"><seg>&x;</seg></tuv><tuv xml:lang="de"><seg>x</seg></tuv></tu>'
    text = f"<!DOCTYPE tmx [{declaration}]><tmx><body>{unit}</body></tmx>"
    (tmp_path / "a.tmx").write_text(text)
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.tmx")), 1)
    assert f"{tmp_path}/a.tmx: the XML declares an entity" in told
    assert "remove the declaration" in told
    assert "root:" not in told


def test_a_missing_file(tmp_path, refused) -> None:
    (tmp_path / "a.en").write_bytes(EN)
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.en", "a.de")), 1)
    assert f"{tmp_path}/a.de: no such file (corpus web); check the recipe's `files`" in told


def test_a_file_of_another_format(tmp_path, refused) -> None:
    (tmp_path / "a.parquet").write_bytes(EN)
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.parquet")), 1)
    assert "a.parquet: not readable as Parquet" in told


def test_the_same_sentence_comes_out_of_worker_processes(tmp_path, refused) -> None:
    (tmp_path / "a.en").write_bytes(EN)
    (tmp_path / "a.de").write_bytes(DE[:20])
    recipe = corpus(tmp_path, "a.en", "a.de")
    one = refused(ingest(tmp_path, recipe), 1)
    assert refused([*ingest(tmp_path, recipe), "--workers", "2"], 1) == one


# --- rows that become rejects -------------------------------------------------------------------


def read_and_rejected(call, tmp_path, recipe: str) -> tuple[Dataset, list[dict]]:
    code, told = call(ingest(tmp_path, recipe))
    assert code == 0, told
    dataset = verify_dataset(str(tmp_path / "out" / "pairs"))
    counts = dataset.manifest.counts
    dropped = rejects(dataset)
    assert counts.read == counts.kept + len(dropped)
    for rule, n in counts.rejected.items():
        assert f"{n} {rule}" in told
    return dataset, dropped


def test_invalid_utf8(tmp_path, call) -> None:
    (tmp_path / "a.en").write_bytes(EN.replace(b"cat", b"c\xe4t"))
    (tmp_path / "a.de").write_bytes(DE)
    dataset, [bad] = read_and_rejected(call, tmp_path, corpus(tmp_path, "a.en", "a.de"))
    assert dataset.manifest.counts.kept == 2
    assert (bad["rule"], bad["corpus"], bad["file"], bad["line"]) == (
        "invalid_utf8/1",
        "web",
        "a.en",
        2,
    )
    assert bad["detail"] == "byte 0xe4 at 3"
    assert bad["src"] == "A c\\xe4t sleeps.\tEine Katze schläft."


def test_a_tsv_row_with_one_column(tmp_path, call) -> None:
    (tmp_path / "a.tsv").write_text("Dog\tHund\nlonely\nCat\tKatze\n")
    dataset, [bad] = read_and_rejected(call, tmp_path, corpus(tmp_path, "a.tsv"))
    assert dataset.manifest.counts.kept == 2
    assert (bad["rule"], bad["file"], bad["line"]) == ("missing_columns/1", "a.tsv", 2)
    assert (bad["src"], bad["detail"]) == ("lonely", "1 columns, expected at least 2")


def test_json_that_is_none_and_a_lone_surrogate(tmp_path, call) -> None:
    records = ['{"en": "Dog", "de": "Hund"}', "{oops", '{"en": "\\udc80", "de": "x"}', '{"en": 1}']
    (tmp_path / "a.jsonl").write_text("\n".join(records))
    _, dropped = read_and_rejected(call, tmp_path, corpus(tmp_path, "a.jsonl"))
    assert sorted((r["line"], r["rule"]) for r in dropped) == [
        (2, "invalid_json/1"),
        (3, "invalid_utf8/1"),
        (4, "missing_columns/1"),
    ]


def test_a_line_of_megabytes(tmp_path, call) -> None:
    (tmp_path / "a.tsv").write_bytes(b"Dog\tHund\n" + b"x" * (3 << 20) + b"\nCat\tKatze\n")
    dataset, [bad] = read_and_rejected(call, tmp_path, corpus(tmp_path, "a.tsv"))
    assert dataset.manifest.counts.kept == 2
    assert (bad["rule"], bad["line"], bad["value"]) == ("line_bytes/1", 2, 3 << 20)


# --- calls and recipes that are wrong -----------------------------------------------------------


def test_an_unknown_recipe_key(tmp_path, refused) -> None:
    (tmp_path / "a.tsv").write_text("Dog\tHund\n")
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.tsv", colour="red")), 2)
    assert f"{tmp_path}/recipe.yaml: unknown key 'bitext.0.colour'" in told


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("bitext: [", "not readable as YAML"),
        ("- a", "holds a list, expected keys such as bitext and mono"),
        ("", "is empty, expected keys such as bitext and mono"),
        ("{}", "names no corpus"),
        ("!!python/object/apply:os.system [touch hacked]", "not readable as YAML"),
        ("bitext: [{corpus: c, languages: [en, de], files: [a, b, c]}]", "3 files of format lines"),
    ],
)
def test_a_recipe_that_is_none(tmp_path, refused, content: str, expected: str) -> None:
    (tmp_path / "recipe.yaml").write_text(content)
    assert expected in refused(ingest(tmp_path, str(tmp_path / "recipe.yaml")), 2)


def test_a_recipe_that_is_not_there_or_is_a_folder(tmp_path, refused) -> None:
    assert "no such file" in refused(ingest(tmp_path, str(tmp_path / "no.yaml")), 2)
    assert str(tmp_path) in refused(ingest(tmp_path, str(tmp_path)), 2)


def test_an_output_that_exists(tmp_path, refused, call) -> None:
    (tmp_path / "a.tsv").write_text("Dog\tHund\n")
    arguments = ingest(tmp_path, corpus(tmp_path, "a.tsv"))
    assert call(arguments)[0] == 0
    manifest = (tmp_path / "out" / "pairs" / "manifest.json").read_bytes()
    told = refused(arguments, 2)
    assert f"{tmp_path}/out/pairs exists; give another --out, or --overwrite" in told
    (tmp_path / "a.tsv").write_text("Cat\tKatze\n")
    assert "made from other inputs" in refused([*arguments, "--reuse"], 2)
    assert (tmp_path / "out" / "pairs" / "manifest.json").read_bytes() == manifest


def test_a_failed_overwrite_leaves_what_was_there(tmp_path, refused, call) -> None:
    (tmp_path / "a.en").write_bytes(EN)
    (tmp_path / "a.de").write_bytes(DE)
    arguments = ingest(tmp_path, corpus(tmp_path, "a.en", "a.de"))
    assert call(arguments)[0] == 0
    digest = open_dataset(str(tmp_path / "out" / "pairs")).manifest.digest
    (tmp_path / "a.de").write_bytes(DE[:20])
    refused([*arguments, "--overwrite"], 1)
    assert verify_dataset(str(tmp_path / "out" / "pairs")).manifest.digest == digest


def test_an_output_below_a_file(tmp_path, refused) -> None:
    (tmp_path / "a.tsv").write_text("Dog\tHund\n")
    recipe = corpus(tmp_path, "a.tsv")
    told = refused(["ingest", recipe, "--out", f"{recipe}/out"], 1)
    assert "recipe.yaml" in told
    assert "check the path" in told


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["ingest"], "Missing argument 'RECIPE'; see bitextile ingest --help"),
        (["ingest", "r.yaml"], "Missing option '--out'"),
        (["ingest", "r.yaml", "--out", "x", "--colour"], "No such option: --colour"),
        (
            ["ingest", "r.yaml", "--out", "x", "--workers", "-1"],
            "workers is -1, expected 1 or more",
        ),
        (["ingest", "r.yaml", "--out", ""], "Invalid value for '--out' / '-o': it is empty"),
        (["weave"], "No such command 'weave'; see bitextile --help"),
        (["exchang"], "No such command 'exchang'. Did you mean 'exchange'?"),
        (["verify", "d", "--", "--runner=dask"], "goes to Beam, which this command does not use"),
        (
            ["export", "d", "--format", "docx", "--out", "x"],
            "format is 'docx', expected one of pharaoh",
        ),
    ],
)
def test_a_call_that_is_wrong(refused, arguments, expected: str) -> None:
    assert expected in refused(arguments, 2)


@pytest.mark.parametrize("option", ["--no_such_option=1", "--direct_num_worker=2"])
def test_an_argument_that_beam_does_not_know(tmp_path, refused, option: str) -> None:
    (tmp_path / "a.tsv").write_text("Dog\tHund\n")
    told = refused([*ingest(tmp_path, corpus(tmp_path, "a.tsv")), "--", option], 2)
    assert f"{option}: not an option of Beam" in told


def test_an_interrupt_leaves_nothing_behind_and_says_so(tmp_path, refused, monkeypatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bitextile.kernels.readers.corpus._batch", interrupted)
    (tmp_path / "a.tsv").write_text("Dog\tHund\n")
    told = refused(ingest(tmp_path, corpus(tmp_path, "a.tsv")), 130)
    assert told == "bitextile: interrupted; finished outputs stay, nothing is half-written\n"


# --- datasets that are damaged ------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path, call) -> Path:
    (tmp_path / "a.en").write_bytes(EN)
    (tmp_path / "a.de").write_bytes(DE)
    assert call(ingest(tmp_path, corpus(tmp_path, "a.en", "a.de")))[0] == 0
    return tmp_path / "out" / "pairs"


SHARD = "data/de-en/part-00000-of-00001.parquet"


def test_a_shard_with_a_flipped_byte(pairs: Path, refused) -> None:
    content = bytearray((pairs / SHARD).read_bytes())
    content[len(content) // 2] ^= 1
    (pairs / SHARD).write_bytes(content)
    told = refused(["verify", str(pairs)], 1)
    assert f"{pairs}/{SHARD}: sha256 is" in told
    assert "a byte was changed: copy the dataset again or regenerate it" in told


def test_a_shard_that_is_cut_or_missing_is_refused_by_every_command(pairs: Path, refused) -> None:
    out = str(pairs.parent / "aligned")
    (pairs / SHARD).write_bytes((pairs / SHARD).read_bytes()[:-7])
    assert "the shard was cut or changed" in refused(["align", str(pairs), "--out", out], 1)
    (pairs / SHARD).unlink()
    assert "the shard is missing (3 rows)" in refused(["align", str(pairs), "--out", out], 1)
    assert "the shard is missing" in refused(["verify", str(pairs)], 1)


def test_a_dataset_of_another_kind_and_a_folder_that_is_none(pairs: Path, refused) -> None:
    out = str(pairs.parent / "x")
    told = refused(["lexicon", str(pairs), "--out", out], 1)
    assert f"{pairs} holds kind pairs, expected aligned" in told
    assert "no manifest.json" in refused(["verify", str(pairs.parent)], 1)
    assert "no manifest.json" in refused(["exchange", str(pairs.parent), "--out", out], 1)


def test_a_file_where_a_dataset_is_expected(pairs: Path, refused) -> None:
    file = pairs.parent.parent / "a.en"
    assert f"{file} is a file, expected the folder of a dataset" in refused(
        ["verify", str(file)], 1
    )


def test_a_runner_that_is_not(pairs: Path, refused) -> None:
    call = ["align", str(pairs), "--out", str(pairs.parent / "x"), "--", "--runner=FlinkRuner"]
    assert "Unexpected pipeline runner: FlinkRuner" in refused(call, 2)


def test_a_misspelt_key_is_named_before_the_one_it_leaves_missing(tmp_path, refused) -> None:
    recipe = {"mono": [{"corpus": "web", "langage": "en", "files": ["a.en"]}]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    told = refused(ingest(tmp_path, str(tmp_path / "recipe.yaml")), 2)
    assert "unknown key 'mono.0.langage' (did you mean 'language'?); see" in told


def test_norwegian_unquoted(tmp_path, refused) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "bitext:\n  - {corpus: web, languages: [en, no], files: [a.en, a.no]}\n"
    )
    told = refused(ingest(tmp_path, str(tmp_path / "recipe.yaml")), 2)
    assert 'YAML reads a bare no as false: write "no"' in told


def test_a_manifest_that_points_outside_its_folder(pairs: Path, refused) -> None:
    body = json.loads((pairs / "manifest.json").read_text())
    body["rejects"] = [body["shards"][0] | {"path": "../../a.en"}]
    (pairs / "manifest.json").write_text(json.dumps(body))
    assert "'../../a.en' lies outside the dataset" in refused(["verify", str(pairs)], 1)


# --- as a user's shell sees it ------------------------------------------------------------------


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bitextile.pipelines.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_real_process_ends_with_the_code_and_the_sentence(tmp_path) -> None:
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(EN)[:-9])
    (tmp_path / "a.de.gz").write_bytes(gzip.compress(DE))
    recipe = corpus(tmp_path, "a.en.gz", "a.de.gz")
    failed = shell(*ingest(tmp_path, recipe))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert re.fullmatch(r"bitextile: \S+a\.en\.gz: cannot be read to its end .*\n", failed.stderr)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.de.gz", "a.en.gz", "recipe.yaml"]


def test_debug_shows_the_traceback(tmp_path) -> None:
    failed = shell("--debug", "ingest", str(tmp_path / "no.yaml"), "--out", str(tmp_path / "out"))
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert "ConfigError" in failed.stderr


def test_a_defect_is_one_sentence_and_a_traceback_only_with_debug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError("it was bound to happen")

    monkeypatch.setattr("bitextile.pipelines.verify.verify", broken)
    with pytest.raises(SystemExit) as ended:
        main(["verify", "somewhere"])
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "ZeroDivisionError: it was bound to happen; a bug in bitextile" in told
    with pytest.raises(ZeroDivisionError):
        main(["verify", "somewhere", "--debug"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_a_pipeline_leaves_nothing_half_written(tmp_path, number: int) -> None:
    (tmp_path / "a.en").write_bytes(EN * 60_000)
    (tmp_path / "a.de").write_bytes(DE * 60_000)
    recipe = corpus(tmp_path, "a.en", "a.de")
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-m", "bitextile.pipelines.cli.main", *ingest(tmp_path, recipe)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not any(path.is_dir() for path in tmp_path.glob("out/.pairs*")):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Into the pipeline: between a lock and its registration a signal leaves a lock nobody holds.
    time.sleep(0.5)
    running.send_signal(number)
    _, told = running.communicate(timeout=90)
    assert running.returncode == 128 + number, told
    assert told == "bitextile: interrupted; finished outputs stay, nothing is half-written\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_escapes_of_a_recipe_and_a_file_name_do_not_reach_the_terminal(tmp_path, refused) -> None:
    steering = "a\x1b]0;owned\x07\x1b[2J\u202e.en"
    told = refused(ingest(tmp_path, corpus(tmp_path, steering, "a.de", corpus="x\x1b[31m")), 1)
    assert "a\\x1b]0;owned\\x07\\x1b[2J\\u202e.en: no such file (corpus x\\x1b[31m)" in told
    assert not set(told) & set("\x1b\x07\u202e")
