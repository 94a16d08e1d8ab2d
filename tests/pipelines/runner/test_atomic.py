"""Outputs appear whole or not at all, and replace nothing but their like."""

from pathlib import Path

import pytest

from bitextile.pipelines.runner import atomic
from bitextile.pipelines.runner.atomic import staged
from bitextile.schema.errors import OutputExistsError


def write(path: Path, text: str, *, overwrite: bool = False) -> None:
    with staged([str(path)], overwrite=overwrite) as places:
        place = Path(places[str(path)])
        (place / "manifest.json").write_text(text)


def test_an_output_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with staged([str(out)], overwrite=False) as places:
        (Path(places[str(out)]) / "manifest.json").write_text("x")
        assert not out.exists()
    assert (out / "manifest.json").read_text() == "x"
    assert [p.name for p in out.parent.iterdir()] == ["b"]


def test_a_failure_leaves_no_trace_and_keeps_what_was_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged([str(tmp_path / "new" / "x")], overwrite=False):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "old", "first")
    with pytest.raises(RuntimeError), staged([str(tmp_path / "old")], overwrite=True):
        raise RuntimeError
    assert (tmp_path / "old" / "manifest.json").read_text() == "first"


def test_overwrite_replaces_a_dataset_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "data", "first")
    with pytest.raises(OutputExistsError, match="exists; give another --out"):
        write(tmp_path / "data", "second")
    write(tmp_path / "data", "second", overwrite=True)
    assert (tmp_path / "data" / "manifest.json").read_text() == "second"
    (tmp_path / "thesis").mkdir()
    write(tmp_path / "thesis", "an empty folder may go", overwrite=True)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "chapter.tex").write_text("years of work")
    with pytest.raises(OutputExistsError, match=r"holds no manifest\.json"):
        write(tmp_path / "home", "x", overwrite=True)
    assert (tmp_path / "home" / "chapter.tex").read_text() == "years of work"


def test_where_folders_cannot_be_moved_no_old_shard_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "is_local", lambda path: False)
    out = tmp_path / "out"
    (out / "data" / "de").mkdir(parents=True)
    (out / "data" / "de" / "part-00001-of-00002.parquet").write_text("old")
    (out / "manifest.json").write_text("old")
    write(out, "new", overwrite=True)
    assert [p.name for p in out.rglob("*")] == ["manifest.json"]
    assert (out / "manifest.json").read_text() == "new"
    with pytest.raises(OutputExistsError, match="exists"):
        write(out, "newer")


def test_a_local_uri_is_the_folder_it_names(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    uri = f"file://{tmp_path}/data"
    for text in ("first", "second"):
        with staged([uri], overwrite=True) as places:
            Path(places[uri], "manifest.json").write_text(text)
        assert (tmp_path / "data" / "manifest.json").read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "here"]
    assert list(Path.cwd().iterdir()) == []
