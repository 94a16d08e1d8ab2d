import pytest

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.nli import nli_sentences
from bitextile.kernels.tasks.tasks import derive_task
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import InputError
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO, REJECTS
from derive_cases import file
from project import SHARED

ROWS = "The dog  runs.\tNS\tneutral\n他走了。\tThe dog runs.\tentailment\n \t他走了。\tneutral\n"
PAWSX = SHARED / "data/eval/pawsx/dev-de.tsv.gz"


def test_each_field_is_a_sentence_once(tmp_path) -> None:
    path = tmp_path / "task.tsv"
    path.write_text(ROWS, encoding="utf-8")
    made = nli_sentences(str(path), lang="en")
    check_rows(made.kept, MONO, "task")
    check_rows(made.rejects, REJECTS, "task")
    assert made.kept["text"].to_pylist() == ["The dog runs.", "他走了。"]
    assert made.kept["line"].to_pylist() == [1, 2]
    assert made.kept["text_id"] == text_ids("en", made.kept["text"])
    told = [tuple(r[c] for c in ("rule", "line", "detail", "value")) for r in _rows(made.rejects)]
    assert told == [
        ("no_sentence/1", 1, "hypothesis", 2.0),
        ("no_sentence/1", 3, "premise", 0.0),
        ("duplicate/1", 2, "hypothesis", 1.0),
        ("duplicate/1", 3, "hypothesis", 2.0),
    ]


def _rows(batch) -> list[dict]:
    return batch.to_pylist()


def test_a_file_of_another_form_is_refused(tmp_path) -> None:
    path = tmp_path / "task.tsv"
    path.write_text("a\tb\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1: 2 cells"):
        nli_sentences(str(path), lang="en")


@pytest.mark.skipif(not PAWSX.exists(), reason="needs ../shared")
def test_what_paws_x_leaves_empty_is_told() -> None:
    made = nli_sentences(str(PAWSX), lang="de")
    assert made.kept.num_rows + made.rejects.num_rows == 2 * 2000
    rules = made.rejects["rule"].to_pylist()
    assert rules.count("no_sentence/1") >= 68
    assert not {"", "NS"} & set(made.kept["text"].to_pylist())


def test_nli_labels_stay(tmp_path) -> None:
    path = file(tmp_path, "He left.\tShe saw him go.\tneutral\n", "n.tsv")
    made = derive_task("nli", path, lang="en", config=DeriveConfig(transforms=("invert",)))
    assert made.lines == ["left He.\tgo him saw She.\tneutral"]
    path = file(tmp_path, "\U000f0061\tb\tc\n", "p.tsv")
    with pytest.raises(InputError, match="private-use"):
        derive_task("nli", path, lang="en", config=DeriveConfig())
