"""What is read is not what is replaced, whatever the two are called."""

from pathlib import Path

import pytest

from bitextile.schema.errors import ConfigError
from bitextile.schema.inputs import refuse_inputs_in, refuse_part_of


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with figures in its folder, a file, and links to them."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model" / "figures.json").write_text('{\n "task": "bli"')
    (tmp_path / "gold.tsv").write_text("a\tb\n")
    (tmp_path / "link").symlink_to("model")
    (tmp_path / "config").symlink_to("link/config.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("out", ["gold.tsv", "./model/../gold.tsv", "link/../gold.tsv"])
def test_an_input_is_not_replaced(place: Path, out: str) -> None:
    with pytest.raises(ConfigError, match="is an input of this command, which is never replaced"):
        refuse_part_of(out, ["model", str(place / "gold.tsv")], written_before=lambda _: True)
    assert Path("gold.tsv").exists()


@pytest.mark.parametrize("out", ["model/config.json", "link/config.json", "config"])
def test_a_part_of_an_input_is_not_replaced_unless_the_command_wrote_it(
    place: Path, out: str
) -> None:
    written = lambda start: b"task" in start  # noqa: E731
    for model in ("model", "link", str(place / "link")):
        with pytest.raises(ConfigError, match="a part of the input"):
            refuse_part_of(out, [model], written_before=written)
        refuse_part_of("link/figures.json", [model], written_before=written)


@pytest.mark.usefixtures("place")
def test_what_is_new_or_no_file_replaces_nothing() -> None:
    for out in ("model/new.json", "new", "/dev/null"):
        refuse_part_of(out, ["model", "/dev/null"], written_before=lambda _: False)


@pytest.mark.usefixtures("place")
def test_a_hard_link_of_an_input_is_the_input(place: Path) -> None:
    (place / "same.tsv").hardlink_to(place / "gold.tsv")
    with pytest.raises(ConfigError, match="is an input"):
        refuse_inputs_in("same.tsv", ["gold.tsv"])
