"""Derived languages: inverse, exact links, and labels carried along."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.bitext.lexicon import count_links
from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.kernels.derive.order import head_swap
from bitextile.kernels.derive.rows import (
    derive_aligned,
    derive_rows,
    sentences_of,
    undo_derive,
    undo_derive_aligned,
)
from bitextile.kernels.tasks.ner import reorder_tags
from bitextile.kernels.tasks.pos import derive_parsed
from bitextile.kernels.tasks.tasks import derive_task, undo_derive_task
from bitextile.kernels.text.private_script import (
    transliterate,
    transliterate_back,
    transliterate_text,
)
from bitextile.schema.checks import check_rows
from bitextile.schema.errors import ConfigError, InputError, RowError
from bitextile.schema.ids import language_tag, pair_ids, text_ids
from bitextile.schema.kinds import ALIGNED, MONO, REJECTS

LANGS = ["en", "fr", "zh", "ar", "th"]
PIECES = ["dog", "L'été", "狗", "跑", "كلب", "หมา", "e\u0301", "𠀀", "😀", "\ue000", "\u200d"]
TEXTS = st.lists(
    st.sampled_from([*PIECES, " ", " ", "  ", ".", "!", "。", "?", ",", "(", "3.5", "\u0301"])
).map("".join)
ORDERS = st.lists(
    st.sampled_from(["transliterate", "invert", "permute"]), min_size=1, max_size=3, unique=True
)
CONFIGS = st.builds(DeriveConfig, transforms=ORDERS.map(tuple), seed=st.integers(0, 3))


def mono(*rows: tuple[str, str]) -> pa.RecordBatch:
    made = {
        (lang, text): {"lang": lang, "text": text, "corpus": "c", "file": "f", "line": line}
        | {"text_id": text_ids(lang, pa.array([text]))[0].as_py(), "split": "train"}
        for line, (lang, text) in enumerate(rows, 1)
    }
    return pa.RecordBatch.from_pylist(list(made.values()), schema=MONO.schema)


BATCHES = st.lists(st.tuples(st.sampled_from(LANGS), TEXTS), max_size=6).map(lambda r: mono(*r))


def words(row: dict, side: str) -> list[str]:
    return [row[side][s["start"] : s["end"]] for s in row[f"{side}_spans"]]


@given(BATCHES, CONFIGS)
def test_the_inverse_gives_the_original_back(batch, config) -> None:
    made = derive_rows(batch, config=config)
    check_rows(made.kept, ALIGNED, "derive")
    check_rows(made.rejects, REJECTS, "rejects")
    assert made.kept.num_rows == batch.num_rows
    assert undo_derive(made.kept).equals(batch["text"])


@given(BATCHES, CONFIGS)
def test_links_tie_each_word_to_what_was_made_of_it(batch, config) -> None:
    script = "transliterate" in config.transforms
    for row in derive_rows(batch, config=config).kept.to_pylist():
        src, tgt = words(row, "src"), words(row, "tgt")
        assert sorted(link["src"] for link in row["links"]) == list(range(len(src)))
        assert sorted(link["tgt"] for link in row["links"]) == list(range(len(tgt)))
        for link in row["links"]:
            word = src[link["src"]]
            assert tgt[link["tgt"]] == (transliterate_text(word) if script else word)
        ids = [pa.array([row[side]]) for side in ("src", "tgt")]
        assert (
            row["pair_id"] == pair_ids(row["src_lang"], ids[0], row["tgt_lang"], ids[1])[0].as_py()
        )


@given(BATCHES, CONFIGS, st.data())
def test_batches_may_be_split(batch, config, data) -> None:
    at = data.draw(st.integers(0, batch.num_rows))
    parts = [derive_rows(half, config=config) for half in (batch.slice(0, at), batch.slice(at))]
    whole = derive_rows(batch, config=config)
    assert whole.kept.to_pylist() == [r for part in parts for r in part.kept.to_pylist()]


@pytest.mark.parametrize(
    ("lang", "text", "transforms", "derived"),
    [
        ("en", "The dog, it runs.", ["invert"], "runs it, dog The."),
        ("en", "Who came? He did.", ["invert"], "came Who? did He."),
        ("fr", "L'été arrive!", ["invert"], "arrive\u2005été L'!"),
        ("ar", "كلب كبير.", ["invert"], "كبير كلب."),
        ("en", "one", ["invert", "permute"], "one"),
        ("en", "!", ["invert"], "!"),
        ("en", "", ["invert"], ""),
        ("en", "a 犬", ["transliterate"], "\U000f0061 \U000f72ac"),
    ],
)
def test_texts_by_hand(lang, text, transforms, derived) -> None:
    config = DeriveConfig(transforms=tuple(transforms))
    assert derive_rows(mono((lang, text)), config=config).kept["tgt"].to_pylist() == [derived]


@given(st.text(st.characters(max_codepoint=0xEFFFF, exclude_categories=["Cs"])))
def test_transliteration_is_one_to_one_over_all_of_unicode(text) -> None:
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    there, places = transliterate(points)
    back, _ = transliterate_back(there)
    assert np.array_equal(back, points)
    assert places[0] == 0
    assert places[-1] == len(there)


@given(st.lists(st.text("abcdñ犬𠀀𰀀\ue001\ue201", min_size=1), unique=True))
def test_word_types_stay_apart(types) -> None:
    assert len({transliterate_text(word) for word in types}) == len(types)


def test_sentences_that_use_the_script_already_are_set_aside() -> None:
    made = derive_rows(mono(("en", "a \U000f0061"), ("en", "b")), config=DeriveConfig())
    assert (made.kept.num_rows, made.rejects["rule"].to_pylist()) == (1, ["private_use/1"])
    with pytest.raises(RowError, match="derived rows"):
        undo_derive(
            pa.RecordBatch.from_pylist(
                [made.kept.to_pylist()[0] | {"links": []}], schema=ALIGNED.schema
            )
        )


def test_derived_words_count_as_words() -> None:
    kept = derive_rows(mono(("en", "the dog, 3")), config=DeriveConfig()).kept
    assert count_links(kept).num_rows == 2


def test_tags_are_bcp_47() -> None:
    for lang in ("en", "zh-Hant", "pt-BR", "sr-Latn-RS"):
        tag = derived_tag(lang, ["transliterate", "invert", "permute", "syntax"])
        assert language_tag(tag) == tag


def test_permutations_differ_by_sentence_and_seed() -> None:
    batch = mono(*(("en", f"a b c d e f g h {n}") for n in range(50)))
    found = {
        tuple(
            tuple(link["tgt"] for link in row["links"])
            for row in derive_rows(
                batch, config=DeriveConfig(transforms=("permute",), seed=seed)
            ).kept.to_pylist()
        )
        for seed in (0, 1)
    }
    assert len(found) == 2
    assert all(len(set(orders)) > 40 for orders in found)


@pytest.mark.parametrize("transforms", [(), ("invert", "invert"), ("reverse",)])
def test_unknown_transforms_are_refused(transforms) -> None:
    with pytest.raises(ConfigError, match="transform"):
        DeriveConfig(transforms=transforms)


def test_syntax_without_a_parse_is_refused(tmp_path) -> None:
    config = DeriveConfig(transforms=("syntax",))
    with pytest.raises(ConfigError, match="parse"):
        derive_rows(mono(("en", "a")), config=config)
    with pytest.raises(ConfigError, match="parse"):
        derive_task("ner", str(tmp_path / "x"), lang="en", config=config)


# --- task data ----------------------------------------------------------------------------------

CONLLU = """# sent_id = 1
# text = The dog's tail wags.
1\tThe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2-3\tdog's\t_\t_\t_\t_\t_\t_\t_\t_
2\tdog\tdog\tNOUN\t_\t_\t4\tnmod\t_\tSpaceAfter=No
3\t's\t's\tPART\t_\t_\t2\tcase\t_\t_
4\ttail\ttail\tNOUN\t_\t_\t5\tnsubj\t_\t_
5\twags\twag\tVERB\t_\t_\t0\troot\t_\tX=1|SpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t5\tpunct\t_\t_

"""


def file(tmp_path, text: str, name: str) -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@st.composite
def _projective(draw, n: int = 7) -> list[int]:
    """Heads of a projective tree: each stretch has a head, and its sides hang on it."""
    heads = [0] * draw(st.integers(1, n))

    def build(low: int, high: int, above: int) -> None:
        if low < high:
            head = draw(st.integers(low, high - 1))
            heads[head] = above
            for a, b in ((low, head), (head + 1, high)):
                while a < b:
                    cut = draw(st.integers(a + 1, b))
                    build(a, cut, head + 1)
                    a = cut

    build(0, len(heads), 0)
    return heads


@given(_projective())
def test_swapping_heads_twice_gives_the_order_back(heads) -> None:
    order = head_swap(heads)
    assert sorted(order) == list(range(len(heads)))
    number = {0: 0} | {old + 1: at + 1 for at, old in enumerate(order)}
    swapped = [number[heads[old]] for old in order]
    for at, head in enumerate(swapped, 1):
        if head:
            old, above = order[at - 1] + 1, heads[order[at - 1]]
            assert (at < head) != (old < above)
    again = head_swap(swapped)
    assert [order[k] for k in again] == list(range(len(heads)))


@pytest.mark.parametrize("heads", [[2, 1], [3], [1]])
def test_heads_that_are_no_tree_are_refused(heads) -> None:
    with pytest.raises(ValueError, match=r"cycle|head"):
        head_swap(heads)


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


def test_bio_prefixes_are_repaired(tmp_path) -> None:
    text = "Anton\tB-PER\nMaria\tI-PER\nsieht\tO\nBonn\tB-LOC\nKöln\tB-LOC\n.\tO\n\nBonn\tI-LOC\n"
    path = file(tmp_path, text, "a.tsv")
    made = derive_task("ner", path, lang="de", config=DeriveConfig(transforms=("invert",)))
    assert made.lines == [
        *("Köln\tB-LOC", "Bonn\tB-LOC", "sieht\tO", "Maria\tB-PER", "Anton\tI-PER", ".\tO", ""),
        *("Bonn\tB-LOC", ""),
    ]
    with pytest.raises(InputError, match="S-PER"):
        reorder_tags(["S-PER"], [0])


@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=8), st.data())
def test_entities_keep_their_words_in_any_order(tags, data) -> None:
    order = data.draw(st.permutations(range(len(tags))))
    new = reorder_tags(tags, order)
    assert [t[1:] for t in new] == [tags[k][1:] for k in order]
    for before, tag in zip(["O", *new], new):
        assert not tag.startswith("I-") or before[2:] == tag[2:]
    valid = reorder_tags(tags, range(len(tags)))
    back = np.argsort(order)
    whole = reorder_tags(valid, range(len(valid)))
    assert whole == valid
    if order == sorted(order, reverse=True):
        assert reorder_tags(new, back.tolist()) == valid


def test_answers_are_carried_along(tmp_path) -> None:
    context = "The big dog barked. It ran away quickly!"
    answers = ["big dog", "ran away", "og bark", "dog barked. It"]
    qas = [
        {
            "id": str(n),
            "question": "Who ran?",
            "answers": [{"text": a, "answer_start": context.index(a)}],
        }
        for n, a in enumerate(answers)
    ]
    data = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    path = file(tmp_path, json.dumps(data), "q.json")
    made = derive_task("qa", path, lang="en", config=DeriveConfig(transforms=("invert",)))
    (paragraph,) = json.loads("\n".join(made.lines))["data"][0]["paragraphs"]
    assert paragraph["context"] == "barked dog big The. quickly away ran It!"
    found = {qa["id"]: qa["answers"][0] for qa in paragraph["qas"]}
    assert {n: a["text"] for n, a in found.items()} == {"0": "dog big", "1": "away ran"}
    assert made.counts == {"read": 4, "kept": 2, "answer_scattered": 2}
    made = derive_task("qa", path, lang="en", config=DeriveConfig())
    (paragraph,) = json.loads("\n".join(made.lines))["data"][0]["paragraphs"]
    assert [qa["answers"][0]["text"] for qa in paragraph["qas"]] == [
        transliterate_text(a) for a in answers
    ]
    for qa in paragraph["qas"]:
        (answer,) = qa["answers"]
        end = answer["answer_start"] + len(answer["text"])
        assert paragraph["context"][answer["answer_start"] : end] == answer["text"]


def test_nli_labels_stay(tmp_path) -> None:
    path = file(tmp_path, "He left.\tShe saw him go.\tneutral\n", "n.tsv")
    made = derive_task("nli", path, lang="en", config=DeriveConfig(transforms=("invert",)))
    assert made.lines == ["left He.\tgo him saw She.\tneutral"]
    path = file(tmp_path, "\U000f0061\tb\tc\n", "p.tsv")
    with pytest.raises(InputError, match="private-use"):
        derive_task("nli", path, lang="en", config=DeriveConfig())


# --- pairs --------------------------------------------------------------------------------------

REVERSIBLE = st.builds(
    DeriveConfig,
    transforms=ORDERS.map(tuple),
    sides=st.sampled_from(["src", "tgt", "both"]),
    seed=st.integers(0, 3),
)


@given(st.data(), REVERSIBLE)
def test_aligned_pairs_keep_their_links_and_come_back(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    kept, rejects = derive_aligned(batch, config=config)
    check_rows(kept, ALIGNED, "derive")
    check_rows(rejects, REJECTS, "rejects")
    assert set(rejects["rule"].to_pylist()) <= {"not_reversible/1"}
    assert sorted(kept["line"].to_pylist() + rejects["line"].to_pylist()) == (
        batch["line"].to_pylist()
    )
    before = {row["line"]: row for row in batch.to_pylist()}
    script = "transliterate" in config.transforms
    src, tgt = undo_derive_aligned(kept, config=config)
    for row, back in zip(kept.to_pylist(), zip(src.to_pylist(), tgt.to_pylist()), strict=True):
        old = before[row["line"]]
        assert back == (old["src"], old["tgt"])
        assert row["align_score"] == old["align_score"]
        for side in ("src", "tgt"):
            derived = config.sides in (side, "both")
            tag = derived_tag(old[f"{side}_lang"], config.transforms)
            assert row[f"{side}_lang"] == (tag if derived else old[f"{side}_lang"])
            if not derived:
                assert words(row, side) == words(old, side)
        tied = [tied_words(r) for r in (old, row)]
        if script:
            turn = [
                transliterate_text if config.sides in (s, "both") else str for s in ("src", "tgt")
            ]
            tied[0] = [(turn[0](a), turn[1](b), score) for a, b, score in tied[0]]
        assert sorted(tied[0]) == sorted(tied[1])


def tied_words(row: dict) -> list[tuple[str, str, float]]:
    src, tgt = words(row, "src"), words(row, "tgt")
    return [(src[link["src"]], tgt[link["tgt"]], link["score"]) for link in row["links"]]


def test_links_tie_what_was_made_of_the_words_they_tied(aligned) -> None:
    rows = ((("en", "The big dog runs."), ("de", "Der Hund läuft."), [(0, 0), (2, 1), (3, 2)]),)
    config = DeriveConfig(transforms=("invert",), sides="src")
    row = derive_aligned(aligned(*rows), config=config).kept.to_pylist()[0]
    assert (row["src_lang"], row["src"]) == ("en-inverted", "runs dog big The.")
    assert (row["tgt_lang"], row["tgt"]) == ("de", "Der Hund läuft.")
    assert [(a, b) for a, b, _ in tied_words(row)] == [
        ("runs", "läuft"),
        ("dog", "Hund"),
        ("The", "Der"),
    ]
    ids = [pa.array([row[side]]) for side in ("src", "tgt")]
    assert row["pair_id"] == pair_ids("en-inverted", ids[0], "de", ids[1])[0].as_py()
    config = DeriveConfig(transforms=("permute", "transliterate"))
    derived = derive_aligned(aligned(*rows), config=config)
    assert derived.kept["tgt_lang"].to_pylist() == ["de-Qaaa-permuted"]


def test_what_could_not_come_back_is_set_aside(aligned) -> None:
    batch = aligned(
        (("en", "a b\u2005c d"), ("de", "x"), [(0, 0)]),
        (("en", "a \U000f0061"), ("de", "x"), [(0, 0)]),
        (("en", "a b"), ("de", "x"), [(0, 0)]),
    )
    kept, rejects = derive_aligned(batch, config=DeriveConfig(transforms=("invert",)))
    assert kept["line"].to_pylist() == [3]
    assert set(rejects["rule"].to_pylist()) == {"private_use/1", "not_reversible/1"}
    with pytest.raises(ConfigError, match="syntax"):
        derive_aligned(batch, config=DeriveConfig(transforms=("syntax",)))
    with pytest.raises(ConfigError, match="sides is 'left'"):
        DeriveConfig(sides="left")


@given(st.data(), REVERSIBLE)
def test_pairs_may_be_split_and_permuted(aligned_batches, data, config) -> None:
    batch = data.draw(aligned_batches)
    at = data.draw(st.integers(0, batch.num_rows))
    parts = [derive_aligned(b, config=config) for b in (batch.slice(0, at), batch.slice(at))]
    whole = derive_aligned(batch, config=config).kept.to_pylist()
    assert whole == [row for part in parts for row in part.kept.to_pylist()]


def test_sentences_of_pairs_are_mono_rows(aligned) -> None:
    batch = aligned((("en", "a"), ("de", "x"), []), (("fr", "b"), ("en", "a"), []))
    rows = sentences_of(batch)
    check_rows(rows, MONO, "derive")
    assert rows["text"].to_pylist() == ["a", "x", "b", "a"]
    ids = rows["text_id"].to_pylist()
    assert ids[0] == ids[3] == text_ids("en", pa.array(["a"]))[0].as_py()
    assert sentences_of(batch, sides="tgt")["text"].to_pylist() == ["x", "a"]


# --- the way back from task files ---------------------------------------------------------------

BACK = [("transliterate",), ("invert",), ("permute",), ("permute", "transliterate", "invert")]


@pytest.mark.parametrize("transforms", BACK)
@pytest.mark.parametrize(
    ("task", "name", "lang"),
    [
        ("pos", "a.conllu", "en"),
        ("ner", "a.tsv", "de"),
        ("nli", "n.tsv", "fr"),
        ("qa", "q.json", "en"),
    ],
)
def test_task_files_come_back(tmp_path, task, name, lang, transforms) -> None:
    context = "The big dog barked. It didn't run away, 5m off! \u72d7 \U00020000."
    answers = [{"text": t, "answer_start": context.index(t)} for t in ("dog", "5m", "It")]
    qas = [{"id": str(n), "question": "Who ran?", "answers": [a]} for n, a in enumerate(answers)]
    qa = {"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}
    text = {
        "pos": PLAIN_CONLLU,
        "ner": "Anton\tB-PER\nMaria\tI-PER\nsieht\tO\nBonn\tB-LOC\nKöln\tB-LOC\n.\tO\n\n"
        "Bonn\tI-LOC\n\n",
        "nli": "L'été  vient.\tIl s'en va !\tneutral\n\tOui.\tentailment\n",
        "qa": json.dumps(qa, ensure_ascii=False, indent=1) + "\n",
    }[task]
    config = DeriveConfig(transforms=transforms)
    made = derive_task(task, file(tmp_path, text, name), lang=lang, config=config)
    assert made.lines != text.splitlines()
    derived = file(tmp_path, "\n".join(made.lines) + "\n", f"derived-{name}")
    records = file(tmp_path, "\n".join(made.records) + "\n", "derive.jsonl")
    back = undo_derive_task(task, derived, records, config=config)
    if made.counts["kept"] == made.counts["read"]:
        assert "\n".join(back).split("\n") == text.split("\n")[:-1]
    else:
        assert task == "qa"
        (paragraph,) = json.loads("\n".join(back))["data"][0]["paragraphs"]
        assert paragraph["context"] == context
        assert paragraph["qas"] == [q for q in qas if q in paragraph["qas"]]


PLAIN_CONLLU = "\n".join(
    line for line in CONLLU.splitlines() if not line.startswith(("2-3", "# text"))
).replace("# sent_id = 1", "# sent_id = 1\n# text = The dog's tail wags.")
PLAIN_CONLLU += "\n"


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
