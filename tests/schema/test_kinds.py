"""Kinds: the columns are those of the contract, and any other schema is refused by its column."""

import cloudpickle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.schema.errors import SchemaError
from bitextile.schema.kinds import CODESWITCH, KINDS, PAIRS, REJECTS, Kind, get_kind

EVERY = [*KINDS.values(), REJECTS]
CONTRACT = {
    "pairs": "pair_id src_lang tgt_lang src tgt corpus file line split",
    "mono": "text_id lang text corpus file line split",
    "aligned": "pair_id src_lang tgt_lang src tgt corpus file line split "
    "src_spans tgt_spans links align_score",
    "lexicon": "src_lang tgt_lang src tgt count p_tgt_given_src p_src_given_tgt",
    "exchange": "pair_id src_lang tgt_lang src tgt corpus file line split src_spans tgt_spans "
    "links align_score variant src_exchanged tgt_exchanged exchanged",
    "codeswitch": "switch_id parent_id variant method matrix_lang text replacements",
    "pseudo": "text_id src_lang tgt_lang src tgt tgt_tokens score generator",
    "candidates": "text_id lang text spans candidates",
}


def leaves(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Returns every field of a schema by its dotted path, lists and structs opened."""
    found: dict[str, pa.DataType] = {}

    def visit(field: pa.Field, path: str) -> None:
        found[f"{path}{'?' if field.nullable else ''}"] = field.type
        if pa.types.is_list(field.type):
            visit(field.type.value_field, f"{path}[]")
        elif pa.types.is_struct(field.type):
            for child in field.type:
                visit(child, f"{path}.{child.name}")

    for field in schema:
        visit(field, field.name)
    return found


def test_the_kinds_and_columns_are_those_of_the_contract() -> None:
    assert {name: " ".join(kind.schema.names) for name, kind in KINDS.items()} == CONTRACT


def test_the_nested_types_are_those_of_the_contract() -> None:
    types = leaves(KINDS["exchange"].schema) | leaves(KINDS["codeswitch"].schema)
    types |= leaves(KINDS["candidates"].schema)
    assert types["src_spans[].start"] == types["tgt_spans[].end"] == pa.int32()
    assert types["links[].src"] == types["links[].tgt"] == types["exchanged[].src"] == pa.int16()
    assert types["links[].score"] == types["align_score"] == pa.float32()
    origin = [f"replacements[].{n}" for n in ("lang", "original", "origin")]
    assert {types[name] for name in origin} == {pa.string()}
    assert types["candidates[][].text"] == pa.string()


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_nothing_is_nullable_but_what_says_so(kind: Kind) -> None:
    nullable = [path for path in leaves(kind.schema) if path.endswith("?")]
    assert nullable == (["tgt_lang?", "tgt?"] if kind is REJECTS else [])


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_every_column_is_explained_and_ids_and_languages_are_columns(kind: Kind) -> None:
    names = [column.name for column in kind.columns]
    assert len(set(names)) == len(names)
    assert all(column.meaning for column in kind.columns)
    assert {*kind.id_columns, *kind.languages} <= set(names)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_a_parquet_file_gives_the_schema_back(kind: Kind, tmp_path) -> None:
    path = tmp_path / "empty.parquet"
    pq.write_table(kind.schema.empty_table(), path)
    assert pq.read_schema(path).remove_metadata() == kind.schema


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.name)
def test_a_kind_that_travelled_to_a_worker_is_the_same_object(kind: Kind) -> None:
    assert cloudpickle.loads(cloudpickle.dumps({"kind": kind}))["kind"] is kind


def test_the_right_schema_passes_whatever_its_metadata() -> None:
    for kind in EVERY:
        kind.check_schema(kind.schema.with_metadata({"k": "v"}), "f.parquet")


@given(st.sampled_from(EVERY), st.data())
def test_any_other_schema_is_refused_by_the_name_of_a_column(kind: Kind, data) -> None:
    fields = list(kind.schema)
    at = data.draw(st.integers(0, len(fields) - 1))
    change = data.draw(st.sampled_from(["drop", "rename", "retype", "swap", "extra"]))
    if change == "drop":
        del fields[at]
    elif change == "rename":
        fields[at] = fields[at].with_name("other")
    elif change == "retype":
        fields[at] = pa.field(fields[at].name, pa.large_binary(), False)
    elif change == "swap":
        other = (at + 1) % len(fields)
        fields[at], fields[other] = fields[other], fields[at]
    else:
        fields.insert(at, pa.field("other", pa.string()))
    with pytest.raises(SchemaError, match=rf"^f\.parquet: column .*kind {kind.name}, schema 1"):
        kind.check_schema(pa.schema(fields), "f.parquet")


def test_a_column_after_the_last_passes_only_where_labels_may_follow() -> None:
    label = pa.field("label", pa.int64())
    CODESWITCH.check_schema(CODESWITCH.schema.append(label), "f")
    with pytest.raises(SchemaError, match="'label' is not part of kind pairs"):
        PAIRS.check_schema(PAIRS.schema.append(label), "f")


def test_names_find_their_kind_and_an_unknown_one_lists_them() -> None:
    assert all(get_kind(name) is kind for name, kind in KINDS.items())
    with pytest.raises(SchemaError, match="'rejects', expected one of pairs, mono, aligned"):
        get_kind("rejects")


SIDE_TABLE = {
    "pairs": [("src_lang", "src"), ("tgt_lang", "tgt")],
    "mono": [("lang", "text")],
    "aligned": [("src_lang", "src"), ("tgt_lang", "tgt")],
    "lexicon": [("src_lang", "src"), ("tgt_lang", "tgt")],
    "exchange": [("src_lang", "src"), ("tgt_lang", "tgt")],
    "codeswitch": [("matrix_lang", "text")],
    "pseudo": [("src_lang", "src"), ("tgt_lang", "tgt")],
    "candidates": [("lang", "text")],
}


def test_every_kind_names_its_texts_and_their_languages() -> None:
    assert {kind.name: [tuple(side) for side in kind.sides] for kind in KINDS.values()} == (
        SIDE_TABLE
    )
    for kind in KINDS.values():
        assert [side.lang for side in kind.sides] == list(kind.languages)
