"""Dataset kinds: which columns a row has, what they mean and in which unit.

A kind is data: pipelines write by it, readers refuse by it, the documentation is printed from it.
Spans are code-point offsets into the text beside them, end exclusive; word indices are 0-based.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from bitextile.schema.errors import SchemaError

# Fields of structs are declared not null, but Arrow does not check that when it builds an array;
# `check_rows` does.
SPAN = pa.struct([pa.field("start", pa.int32(), False), pa.field("end", pa.int32(), False)])
LINK = pa.struct(
    [
        pa.field("src", pa.int16(), False),
        pa.field("tgt", pa.int16(), False),
        pa.field("score", pa.float32(), False),
    ]
)
EXCHANGED = pa.struct([pa.field("src", pa.int16(), False), pa.field("tgt", pa.int16(), False)])
REPLACEMENT = pa.struct(
    [
        pa.field("start", pa.int32(), False),
        pa.field("end", pa.int32(), False),
        pa.field("lang", pa.string(), False),
        pa.field("original", pa.string(), False),
        pa.field("origin", pa.string(), False),
        pa.field("score", pa.float32(), False),
    ]
)
CANDIDATE = pa.struct(
    [
        pa.field("text", pa.string(), False),
        pa.field("lang", pa.string(), False),
        pa.field("score", pa.float32(), False),
    ]
)


def list_of(item: pa.DataType) -> pa.ListType:
    """Returns the type of a list whose items are never null, as every list of ours is."""
    # "element" as Parquet names it: a type then prints the same before and after a file.
    return pa.list_(pa.field("element", item, False))


SPANS, LINKS, REPLACEMENTS = list_of(SPAN), list_of(LINK), list_of(REPLACEMENT)


SPLITS = ("train", "valid", "test")
"""What the column `split` holds."""
SplitChoice = Literal["train", "valid", "test", "all"]
"""What an option names that asks for the rows of one split or of all."""
SIDES = {"src": ("src",), "tgt": ("tgt",), "both": ("src", "tgt")}
"""What an option names that asks for one side of a pair or both, and the sides that are meant."""


@dataclass(frozen=True)
class Column:
    """One column: its type, what it means, and its unit where it has one."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False


class SideColumns(NamedTuple):
    """The columns of one side of a row: its language tag and its text."""

    lang: str
    text: str


_SIDE_COLUMNS = (
    SideColumns("src_lang", "src"),
    SideColumns("tgt_lang", "tgt"),
    SideColumns("lang", "text"),
    SideColumns("matrix_lang", "text"),
)


@dataclass(frozen=True, repr=False)
class Kind:
    """A dataset kind: a name, a version, its columns and what identifies a row.

    Attributes:
        name: as it stands in a manifest.
        columns: in file order; every one is non-null unless it says otherwise.
        id_columns: together unique in a dataset; they order rows and decide the shard.
        languages: the columns that hold language tags, in the order of the sides.
        extensible: whether a dataset may carry further columns (labels of task data) after these.
        version: raised when a column changes; readers refuse a newer one.
    """

    name: str
    columns: tuple[Column, ...]
    id_columns: tuple[str, ...]
    languages: tuple[str, ...]
    extensible: bool = False
    version: int = field(default=1)

    def __repr__(self) -> str:
        return f"Kind({self.name}: {', '.join(column.name for column in self.columns)})"

    @cached_property
    def schema(self) -> pa.Schema:
        """The kind as a pyarrow schema; what shards and record batches carry."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    @cached_property
    def sides(self) -> tuple[SideColumns, ...]:
        """Where a row's texts and their languages stand: two sides for a pair, one for a sentence.

        >>> [side.text for side in PAIRS.sides], MONO.sides[0].lang
        (['src', 'tgt'], 'lang')
        """
        names = {column.name for column in self.columns}
        return tuple(side for side in _SIDE_COLUMNS if names.issuperset(side))

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # A worker that unpickles a kind gets this module's own object, so that `is` holds.
        return _known, (self.name,)

    def check_schema(self, schema: pa.Schema, where: str) -> None:
        """Raises SchemaError unless `schema` has exactly this kind's columns (more, if extensible).

        Args:
            schema: of a shard or a record batch; metadata is not compared.
            where: what the message names as the place, such as a file.
        """
        # By position, too: some kernels take the first column for the id.
        for position, column in enumerate(self.columns):
            if position >= len(schema) or schema.field(position).name != column.name:
                got = schema.names[position] if position < len(schema) else "nothing"
                raise SchemaError(
                    f"{where}: column {position} is {got!r}, expected {column.name!r} "
                    f"(kind {self.name}, schema {self.version}); was it written by bitextile?"
                )
            got_type = schema.field(position).type
            if got_type != column.type:
                raise SchemaError(
                    f"{where}: column {column.name!r} is {got_type}, expected {column.type} "
                    f"(kind {self.name}, schema {self.version}); write it again with this version"
                )
        if len(schema) > len(self.columns) and not self.extensible:
            raise SchemaError(
                f"{where}: column {schema.names[len(self.columns)]!r} is not part of kind "
                f"{self.name}, schema {self.version}; drop it"
            )


_PROVENANCE = (
    Column("corpus", pa.string(), "name the recipe gives the corpus"),
    Column("file", pa.string(), "input file, as the recipe names it"),
    Column(
        "line", pa.int64(), "line that the row begins at, or record number, in that file", "1-based"
    ),
)
_SPLIT = Column("split", pa.string(), "train, valid or test")
_SIDES = (
    Column("src_lang", pa.string(), "language of `src`", "BCP-47"),
    Column("tgt_lang", pa.string(), "language of `tgt`", "BCP-47"),
    Column("src", pa.string(), "first sentence of the pair, normalised"),
    Column("tgt", pa.string(), "second sentence of the pair, normalised"),
)
_PAIRS = (
    Column("pair_id", pa.string(), "blake2b over both sides, the same in any corpus", "32 hex"),
    *_SIDES,
    *_PROVENANCE,
    _SPLIT,
)
_ALIGNED = (
    *_PAIRS,
    Column("src_spans", SPANS, "words of `src`", "code points"),
    Column("tgt_spans", SPANS, "words of `tgt`", "code points"),
    Column(
        "links", LINKS, "word links, sorted by (src, tgt), with a posterior or similarity", "0 to 1"
    ),
    Column("align_score", pa.float32(), "mean log posterior of the links", "nats"),
)

PAIRS = Kind("pairs", _PAIRS, ("pair_id",), ("src_lang", "tgt_lang"))
MONO = Kind(
    "mono",
    (
        Column("text_id", pa.string(), "blake2b over (language, text)", "32 hex"),
        Column("lang", pa.string(), "language of `text`", "BCP-47"),
        Column("text", pa.string(), "one sentence, normalised"),
        *_PROVENANCE,
        _SPLIT,
    ),
    ("text_id",),
    ("lang",),
)
ALIGNED = Kind("aligned", _ALIGNED, ("pair_id",), ("src_lang", "tgt_lang"))
LEXICON = Kind(
    "lexicon",
    (
        Column("src_lang", pa.string(), "language of `src`: the first by tag", "BCP-47"),
        Column("tgt_lang", pa.string(), "language of `tgt`", "BCP-47"),
        Column("src", pa.string(), "a word, lower-cased"),
        Column("tgt", pa.string(), "a word it was linked to, lower-cased"),
        Column("count", pa.int64(), "links between the two", "links"),
        Column("p_tgt_given_src", pa.float32(), "count over all links of `src`", "0 to 1"),
        Column("p_src_given_tgt", pa.float32(), "count over all links of `tgt`", "0 to 1"),
    ),
    ("src_lang", "tgt_lang", "src", "tgt"),
    ("src_lang", "tgt_lang"),
)
EXCHANGE = Kind(
    "exchange",
    (
        *_ALIGNED,
        Column("variant", pa.int16(), "which draw of this pair", "0-based"),
        Column("src_exchanged", pa.string(), "`src` with its exchanged words swapped in"),
        Column("tgt_exchanged", pa.string(), "`tgt` with its exchanged words swapped in"),
        Column("exchanged", list_of(EXCHANGED), "the links that were swapped", "word indices"),
    ),
    ("pair_id", "variant"),
    ("src_lang", "tgt_lang"),
)
CODESWITCH = Kind(
    "codeswitch",
    (
        Column("switch_id", pa.string(), "blake2b over (parent, method, variant, side)", "32 hex"),
        Column(
            "parent_id", pa.string(), "pair_id or text_id of the row it was made from", "32 hex"
        ),
        Column("variant", pa.int16(), "which draw of this sentence", "0-based"),
        Column("method", pa.string(), "alignment, dictionary, candidates or task-field"),
        Column("matrix_lang", pa.string(), "language of the sentence switched into", "BCP-47"),
        Column("text", pa.string(), "the switched sentence"),
        Column("replacements", REPLACEMENTS, "what was replaced; offsets in `text`", "code points"),
    ),
    ("switch_id",),
    ("matrix_lang",),
    extensible=True,
)
PSEUDO = Kind(
    "pseudo",
    (
        Column("text_id", pa.string(), "of the source sentence", "32 hex"),
        *_SIDES,
        Column("tgt_tokens", list_of(pa.string()), "`tgt` as the generator's tokens"),
        Column("score", pa.float32(), "mean log probability of the tokens", "nats"),
        Column("generator", pa.string(), "engine and digest of the model"),
    ),
    ("text_id", "tgt_lang"),
    ("src_lang", "tgt_lang"),
)
CANDIDATES = Kind(
    "candidates",
    (
        Column("text_id", pa.string(), "of the sentence", "32 hex"),
        Column("lang", pa.string(), "language of `text`", "BCP-47"),
        Column("text", pa.string(), "one sentence"),
        Column("spans", SPANS, "its words", "code points"),
        Column("candidates", list_of(list_of(CANDIDATE)), "for each word, best first"),
    ),
    ("text_id",),
    ("lang",),
)
REJECTS = Kind(
    "rejects",
    (
        Column("id", pa.string(), "of the row, or of its place where it has no id", "32 hex"),
        Column("rule", pa.string(), "the rule that dropped it, with its version: `empty/1`"),
        Column("value", pa.float64(), "what the rule measured"),
        Column("detail", pa.string(), "what was got, in words; may be empty"),
        *_PROVENANCE,
        Column("src_lang", pa.string(), "language of `src`", "BCP-47"),
        Column("tgt_lang", pa.string(), "language of `tgt`; null for one sentence", "BCP-47", True),
        Column("src", pa.string(), "the text, or the raw row"),
        Column("tgt", pa.string(), "the other side; null for one sentence", "", True),
    ),
    ("id", "rule", "corpus", "file", "line", "detail"),
    ("src_lang",),
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    # REJECTS is no kind of a dataset: it lies in a folder beside the data of one.
    for kind in (PAIRS, MONO, ALIGNED, LEXICON, EXCHANGE, CODESWITCH, PSEUDO, CANDIDATES)
}


def _known(name: str) -> Kind:
    return REJECTS if name == REJECTS.name else KINDS[name]


def get_kind(name: str) -> Kind:
    """Returns the kind of that name.

    Raises:
        SchemaError: there is none; the message lists the names.
    """
    if name not in KINDS:
        raise SchemaError(f"dataset kind is {name!r}, expected one of {', '.join(KINDS)}")
    return KINDS[name]
