"""`candidates` through the command line, and `codeswitch --method candidates` on what it wrote."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from bitextile.kernels.text.segment import segment
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import OutputExistsError

ANY = ("--min-probability", "0", "--min-cosine", "-1", "--min-count", "1")


@pytest.fixture(scope="module")
def made(world, call, tmp_path_factory) -> str:
    out = str(tmp_path_factory.mktemp("made") / "candidates")
    given = (
        "--model",
        world.model,
        "--languages",
        "de,fr,zh",
        "--vocabulary-data",
        world.pairs,
        *ANY,
    )
    assert call("candidates", world.mono, *given, "--out", out, "--workers", "1") == 0
    return out


def test_every_sentence_has_its_words_and_some_have_candidates(made, world) -> None:
    dataset = verify_dataset(made)
    source = {r["text_id"]: r for r in open_dataset(world.mono).table().to_pylist()}
    rows = dataset.table().to_pylist()
    assert len(rows) == sum(r["split"] == "train" for r in source.values())
    assert dataset.manifest.counts.rejected == {}
    langs = {"de": set(), "en": set()}
    for row in rows:
        assert row["text"] == source[row["text_id"]]["text"]
        assert row["spans"] == segment(pa.array([row["text"]]), row["lang"]).to_pylist()[0]
        for word, found in zip(row["spans"], row["candidates"], strict=True):
            assert len(found) <= 10
            assert [c["score"] for c in found] == sorted((c["score"] for c in found), reverse=True)
            langs[row["lang"]].update(c["lang"] for c in found)
            if found:
                assert row["text"][word["start"] : word["end"]].isalpha()
    assert langs["en"] == {"de", "fr", "zh"}
    assert langs["de"] <= {"fr", "zh"}
    config = dataset.manifest.config
    assert (config["top_k"], config["min_cosine"]) == (10, -1.0)
    assert all(config["words"][tag] > 10 for tag in ("de", "fr", "zh"))


def test_codeswitching_consumes_them(made, call, tmp_path) -> None:
    out = str(tmp_path / "switched")
    given = ("--method", "candidates", "--token-rate", "0.5", "--out", out)
    assert call("codeswitch", made, *given) == 0
    dataset = verify_dataset(out)
    rows = {r["text_id"]: r for r in open_dataset(made).table().to_pylist()}
    n = 0
    for switched in dataset.table().to_pylist():
        parent = rows[switched["parent_id"]]
        known = {
            (parent["text"][w["start"] : w["end"]], c["text"], c["lang"])
            for w, found in zip(parent["spans"], parent["candidates"])
            for c in found
        }
        for r in switched["replacements"]:
            said = switched["text"][r["start"] : r["end"]]
            assert (r["original"], said, r["lang"]) in known
            n += 1
    assert n > 20


@pytest.mark.slow
def test_two_workers_write_the_same_digest(made, world, call, tmp_path) -> None:
    out = str(tmp_path / "two")
    given = (
        "--model",
        world.model,
        "--languages",
        "de,fr,zh",
        "--vocabulary-data",
        world.pairs,
        *ANY,
    )
    assert call("candidates", world.mono, *given, "--out", out, "--workers", "2") == 0
    assert open_dataset(out).manifest.digest == open_dataset(made).manifest.digest


def test_it_is_reused_only_with_the_same_settings(made, world, call, capsys) -> None:
    given = (
        "--model",
        world.model,
        "--languages",
        "de,fr,zh",
        "--vocabulary-data",
        world.pairs,
        *ANY,
    )
    assert call("candidates", world.mono, *given, "--out", made, "--reuse") == 0
    assert "reused" in capsys.readouterr().err
    again = ("candidates", world.mono, *given, "--top-k", "3", "--out", made, "--reuse")
    assert call(*again) == OutputExistsError.exit_code


def test_what_is_wrong_is_said_in_a_sentence(world, call, capsys, tmp_path) -> None:
    def refused(*arguments: str, model: str = world.model, code: int = 2) -> str:
        out = str(tmp_path / "refused")
        given = ("--model", model, "--out", out, *arguments)
        assert call("candidates", world.mono, *given) == code
        assert not Path(out).exists()
        (said,) = capsys.readouterr().err.splitlines()
        return said

    for name in ("pickle", "other"):
        shutil.copytree(world.model, tmp_path / name)
    (tmp_path / "pickle/model.safetensors").rename(tmp_path / "pickle/pytorch_model.bin")
    (tmp_path / "pickle/languages.safetensors").unlink()
    identity = json.loads((tmp_path / "other/bitextile.json").read_text())
    (tmp_path / "other/bitextile.json").write_text(json.dumps(identity | {"tokenizer": "sha256:x"}))
    assert "no text of ja" in refused("--languages", "ja")
    assert "holds sentences in de; name another" in refused("--languages", "de")
    assert "not a BCP-47 tag" in refused("--languages", "de,")
    assert "top_k 0" in refused("--languages", "fr", "--top-k", "0")
    assert "'dev' is not one of 'train'" in refused("--languages", "fr", "--split", "dev")
    pickle, other = str(tmp_path / "pickle"), str(tmp_path / "other")
    assert "pickled weights are not read" in refused("--languages", "fr", model=pickle)
    assert "its tokenizer is" in refused("--languages", "de,en", model=other)
