"""docs/architecture.md names what is there."""

import re

from project import REPOSITORY

BASES = ("", "transforms/bitextile/", "pipelines/bitextile/", "trainer/bitextile/")
TEXT = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")


def test_every_path_of_the_page_exists() -> None:
    paths = re.findall(r"`([a-z]+/[\w/.]*)(?:: \w+)?`", TEXT)
    assert len(paths) > 50
    assert not [p for p in paths if not any((REPOSITORY / base / p).exists() for base in BASES)]


def test_every_definition_of_the_page_is_in_its_file() -> None:
    named = re.findall(r"`([a-z]+/[\w/]+\.py): (\w+)`", TEXT)
    assert named
    for path, name in named:
        (file,) = (
            REPOSITORY / base / path for base in BASES[1:] if (REPOSITORY / base / path).exists()
        )
        assert re.search(rf"^(def|class) {name}\b", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_folder_of_code_is_on_the_page() -> None:
    folders = {
        str(path.parent.relative_to(REPOSITORY / base))
        for base in BASES[1:]
        for path in (REPOSITORY / base).rglob("*.py")
    }
    top = {"/".join(folder.split("/")[:2]) for folder in folders if "/" in folder}
    assert not [folder for folder in top if f"`{folder}/" not in TEXT and "sample" not in folder]
