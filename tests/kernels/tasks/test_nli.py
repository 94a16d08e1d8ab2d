import pytest

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.nli import nli_sentences, read_nli
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


FORMS = {
    "xnli": (None, ("premise", "hypothesis", "label")),
    "snli": ("gold_label sentence1 sentence2 pairID", ("sentence1", "sentence2", "gold_label")),
    "sick": (
        "pair_ID sentence_A sentence_B entailment_label",
        ("sentence_A", "sentence_B", "entailment_label"),
    ),
    "capitals": ("Premise Hypothesis Label", ("Premise", "Hypothesis", "Label")),
}
PAIRS = [
    ("A dog runs.", "An animal moves.", "entailment"),
    ("他走了。", "他留下了。", "contradiction"),
    ("ركض الكلب.", "ينام القط.", "-"),
    ("Der Hund läuft.", "Ein Tier schläft.", ""),
    ("Il court.", "Il pleut.", "neutral"),
]


def write_form(tmp_path, form: str, *, stray: int | None = None) -> str:
    """Writes PAIRS as a published file has them; `stray` is a row with a tab in its premise."""
    names, (premise, hypothesis, label) = FORMS[form]
    header = [premise, hypothesis, label] if names is None else names.split()
    lines = [] if names is None else ["\t".join(header)]
    for n, pair in enumerate(PAIRS):
        cells = dict.fromkeys(header, "7") | dict(zip((premise, hypothesis, label), pair))
        if n == stray:
            cells[premise] = cells[premise].replace(pair[0][1], "\t", 1)
        lines.append("\t".join(cells[name] for name in header))
    return file(tmp_path, "\r\n".join(lines) + "\r\n", f"{form}.tsv")


@pytest.mark.parametrize("form", FORMS)
def test_labels_without_consensus_are_none(form, tmp_path) -> None:
    table = read_nli(write_form(tmp_path, form))
    assert table.labels == ["entailment", "contradiction", "", "", "neutral"]
    made = nli_sentences(write_form(tmp_path, form), lang="en")
    assert made.kept["text"].to_pylist() == [
        t for p in PAIRS if p[2] not in ("", "-") for t in p[:2]
    ]
    assert made.rejects["rule"].to_pylist() == ["no_label/1"] * 4
    begin = 1 if FORMS[form][0] is None else 2
    assert made.rejects["line"].to_pylist() == [begin + 2, begin + 2, begin + 3, begin + 3]


@pytest.mark.parametrize("form", FORMS)
def test_a_stray_tab_is_named_with_its_line(form, tmp_path) -> None:
    path = write_form(tmp_path, form, stray=1)
    line, expected = (2, 3) if FORMS[form][0] is None else (3, len(FORMS[form][0].split()))
    with pytest.raises(
        InputError, match=f"line {line}: {expected + 1} cells, expected {expected} "
    ):
        read_nli(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("premise\thypothesis\tlabel\na\tb\n", "line 2: 2 cells, expected 3 .as line 1 names"),
        ("sentence1\tsentence2\tclass\na\tb\tyes\n", "line 1: names .*none of them the label"),
        ("one\ttwo\tthree\na\tb\tyes\nc\td\tno\ne\tf\tno\n", "line 1: the label 'three'"),
    ],
)
def test_lines_of_names_that_do_not_fit_are_refused(content, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        read_nli(file(tmp_path, content, "names.tsv"))
