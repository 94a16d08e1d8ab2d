import pytest

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import undo_derive
from bitextile.kernels.tasks.pos import derive_parsed
from bitextile.kernels.tasks.tasks import derive_task, undo_derive_task
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import ALIGNED
from derive_cases import CONLLU, PLAIN_CONLLU, file


def test_tags_and_heads_move_with_their_words(tmp_path) -> None:
    path = file(tmp_path, CONLLU, "a.conllu")
    made = derive_task("pos", path, lang="en", config=DeriveConfig(transforms=("syntax",)))
    rows = [line.split("\t") for line in made.lines if line and line[0].isdigit()]
    assert [row[1] for row in rows] == ["wags", "tail", "'s", "dog", "The", "."]
    by_word = {row[1]: row for row in rows}
    old = [line.split("\t") for line in CONLLU.splitlines() if line[:2].strip().isdigit()]
    for cells in old:
        now = by_word[cells[1]]
        assert now[3] == cells[3]
        above = "root" if cells[6] == "0" else old[int(cells[6]) - 1][1]
        assert above == ("root" if now[6] == "0" else rows[int(now[6]) - 1][1])
    assert by_word["wags"][9] == "X=1"
    assert "# text = wags tail's dog The." in made.lines
    batch = derive_parsed(path, lang="en", config=DeriveConfig(transforms=("syntax", "invert")))
    check_rows(batch, ALIGNED, "derive")
    assert undo_derive(batch).to_pylist() == ["The dog's tail wags."]


def test_a_swapped_parse_comes_back_too(tmp_path) -> None:
    config = DeriveConfig(transforms=("syntax", "permute"))
    made = derive_task("pos", file(tmp_path, PLAIN_CONLLU, "a.conllu"), lang="en", config=config)
    derived = file(tmp_path, "\n".join(made.lines) + "\n", "b.conllu")
    records = file(tmp_path, "\n".join(made.records) + "\n", "derive.jsonl")
    assert undo_derive_task("pos", derived, records, config=config) == PLAIN_CONLLU.split("\n")[:-1]
    other = file(tmp_path, made.records[0].replace('"0"', '"9"') + "\n", "other.jsonl")
    with pytest.raises(InputError, match="another file"):
        undo_derive_task("pos", derived, other, config=config)
    with pytest.raises(ConfigError, match="task is 'parse'"):
        undo_derive_task("parse", derived, records, config=config)


def test_syntax_comes_first_and_needs_a_tree(tmp_path) -> None:
    path = file(tmp_path, CONLLU, "a.conllu")
    with pytest.raises(ConfigError, match="name it first"):
        derive_task("pos", path, lang="en", config=DeriveConfig(transforms=("invert", "syntax")))
    path = file(tmp_path, CONLLU.replace("\t5\tnsubj", "\t9\tnsubj"), "b.conllu")
    with pytest.raises(InputError, match="sentence 1 has no parse: word 4 has the head 9"):
        derive_task("pos", path, lang="en", config=DeriveConfig(transforms=("syntax",)))
