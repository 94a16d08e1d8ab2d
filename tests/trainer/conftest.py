"""A tiny bilingual world: two languages in two scripts, their sentences, links and tokenizer."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
import torch
import yaml
from transformers import PreTrainedTokenizerFast

from bitextile.kernels.randomness import uniform
from bitextile.kernels.tokenizer.fast import fast_tokenizer
from bitextile.kernels.tokenizer.unigram import SPECIAL_ROLES
from bitextile.schema.dataset import open_dataset
from bitextile.schema.ids import pair_ids, text_ids
from bitextile.schema.kinds import KINDS
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.data.collate import Collation
from bitextile.trainer.data.masking import Masking
from bitextile.trainer.data.packed import Layout
from bitextile.trainer.data.tokens import Tokenizer, load_tokenizer

# fmt: off
ENGLISH = ["the", "red", "dog", "sees", "a", "small", "house", "near",
           "old", "trees", "while", "birds", "sing", "under", "blue", "skies"]
ARABIC = ["ال", "أحمر", "كلب", "يرى", "ما", "صغير", "بيت", "قرب",
          "قديم", "أشجار", "بينما", "طيور", "تغني", "تحت", "أزرق", "سماء"]
# fmt: on

# Sums of several threads differ in their last bits, and tests compare runs bit for bit.
torch.set_num_threads(1)


def draws(sentence: int, n: int, what: str) -> np.ndarray:
    key = np.asarray([sentence], np.uint64)
    return uniform(key, seed=7, operation=what, position=np.arange(n))


def sentence(number: int) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """A sentence, its translation with the first word last, and the links between the two."""
    n = 3 + int(draws(number, 1, "length")[0] * 8)
    words = (draws(number, n, "words") * len(ENGLISH)).astype(int)
    src, tgt = [ENGLISH[w] for w in words], [ARABIC[w] for w in [*words[1:], words[0]]]
    return src, tgt, [(i, (i - 1) % n) for i in range(n)]


def spans(words: list[str]) -> list[dict]:
    ends = np.cumsum([len(w) + 1 for w in words]).tolist()
    return [{"start": e - 1 - len(w), "end": e - 1} for w, e in zip(words, ends)]


def lexicon_rows(n: int) -> list[dict]:
    """The first `n` words, every fourth with a second translation; Arabic is first in the key."""
    rows = []
    for w in range(min(n, len(ENGLISH))):
        other = ENGLISH[(w + 1) % len(ENGLISH)]
        # Two translations of unlike probability, so that a draw that ignores them is seen.
        shares = [(ENGLISH[w], 0.75), (other, 0.25)] if w % 4 == 0 else [(ENGLISH[w], 1.0)]
        for word, share in shares:
            pair = {"src_lang": "ar", "tgt_lang": "en", "src": ARABIC[w], "tgt": word}
            rows.append(pair | {"count": 4, "p_tgt_given_src": share, "p_src_given_tgt": 0.5})
    return rows


def rows_of(kind: str, n: int) -> list[dict]:
    if kind == "lexicon":
        return lexicon_rows(n)
    rows = []
    for i in range(n):
        src, tgt, links = sentence(i)
        # By line, so that even a few rows have all three splits.
        split = ("train", "train", "train", "valid", "test")[i % 5]
        row = {"corpus": "toy", "file": "toy.tsv", "line": i + 1, "split": split}
        if kind == "mono":
            rows.append(row | {"lang": "en", "text": " ".join(src)})
            continue
        row |= {"src_lang": "en", "tgt_lang": "ar", "src": " ".join(src), "tgt": " ".join(tgt)}
        if kind == "pseudo":
            row |= {"tgt_tokens": tgt, "score": -1.0, "generator": "toy"}
        if kind in ("aligned", "exchange"):
            row |= {"src_spans": spans(src), "tgt_spans": spans(tgt), "align_score": -0.1}
            row["links"] = [{"src": i, "tgt": j, "score": 1.0} for i, j in links]
        if kind == "exchange":
            row |= {"variant": 0, "src_exchanged": " ".join([tgt[-1], *src[1:]])}
            row |= {"tgt_exchanged": row["tgt"], "exchanged": []}
        rows.append(row)
    return rows


def with_ids(table: pa.Table, kind: str) -> pa.Table:
    if kind == "lexicon":
        return table
    if kind in ("mono", "pseudo"):
        text = "text" if kind == "mono" else "src"
        ids = text_ids("en", table.column(text).combine_chunks())
        name = "text_id"
    else:
        src, tgt = (table.column(c).combine_chunks() for c in ("src", "tgt"))
        ids, name = pair_ids("en", src, "ar", tgt), "pair_id"
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(name), ids)


def unique(table: pa.Table, columns: tuple[str, ...]) -> pa.Table:
    seen: dict[tuple, int] = {}
    for i, row in enumerate(table.select(list(columns)).to_pylist()):
        seen.setdefault(tuple(row.values()), i)
    return table.take(pa.array(sorted(seen.values()), pa.int64()))


@pytest.fixture(scope="session")
def make_dataset() -> Callable[..., str]:
    """Writes a dataset of a kind; `rows` of it before duplicates go, in `shards` shards."""

    def make(path: Path, kind: str, *, rows: int = 60, shards: int = 2) -> str:
        schema = KINDS[kind]
        content = [dict.fromkeys(schema.id_columns[:1], "") | row for row in rows_of(kind, rows)]
        if kind == "pseudo":  # is in no split
            content = [{c: row[c] for c in schema.schema.names} for row in content]
        table = with_ids(pa.Table.from_pylist(content, schema.schema), kind)
        table = unique(table, schema.id_columns)
        key = "en" if kind == "mono" else "ar-en"
        parts = [
            table.take(pa.array(range(s, len(table), shards), pa.int64())) for s in range(shards)
        ]
        written = tuple(
            write_shard(str(path), shard_path(key, s, shards), part, schema)
            for s, part in enumerate(parts)
        )
        manifest = Manifest(
            kind=kind,
            schema_version=1,
            columns={c.name: str(c.type) for c in schema.columns},
            shards=written,
            counts=Counts(read=len(table), kept=len(table)),
            keys={key: {"rows": len(table), "languages": key.split("-")}},
        )
        write_manifest(str(path), manifest)
        return str(path)

    return make


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An XLM-R-like tokenizer of 150 pieces, learned from reversed words too: half are split."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=150, special_tokens=specials, show_progress=False
    )
    # Words read backwards take up part of the small vocabulary, so that many words stay split:
    # offsets and links of several subwords are what tests need.
    texts = [" ".join(side) for i in range(200) for side in sentence(i)[:2]]
    tokenizer.train_from_iterator([*texts, *(text[::-1] for text in texts)], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        sep_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
    )
    path = str(tmp_path_factory.mktemp("tokenizer") / "tokenizer")
    fast.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: str) -> Tokenizer:
    """The tokenizer of most tests."""
    return load_tokenizer(tokenizer_folder)


@pytest.fixture(scope="session")
def word_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer to which each word of the tiny world is one token."""
    specials = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    names = [*specials.values(), *ENGLISH, *ARABIC]
    model = tokenizers.models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    path = str(tmp_path_factory.mktemp("words"))
    named = {f"{name}_token": token for name, token in specials.items()}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(path)
    return load_tokenizer(path)


@pytest.fixture(scope="session")
def byte_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """As `bitextile tokenizer` writes it, with few words; all else is spelled in letters or bytes.

    A bare mark and a byte of a character are tokens that spell nothing by themselves.
    """
    names = ["<s>", "<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocab = [[name, 0.0] for name in names]
    vocab += [[word, -5.0] for word in ("▁dog", "▁red", "▁am", "▁Am", "房子", "เห็น", "ផ្ទះ", "狗")]
    vocab += [
        [sign, -9.0] for sign in "▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ<>/0.,"
    ]
    vocab += [[sign, -9.0] for sign in "房子看见红色的กขคงเห็น"]
    path = tmp_path_factory.mktemp("bytes")
    body = fast_tokenizer([*vocab, ["<mask>", 0.0]])
    (path / "tokenizer.json").write_text(json.dumps(body), "utf-8")
    settings = SPECIAL_ROLES | {"tokenizer_class": "PreTrainedTokenizerFast"}
    (path / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    return load_tokenizer(str(path))


@pytest.fixture(scope="session")
def collation() -> Callable[..., Collation]:
    """Makes a collation that masks often; keyword arguments replace its settings."""

    def make(
        tokenizer: Tokenizer,
        *,
        width: int = 64,
        layout: Layout = Layout.NARROW,
        languages=None,
        **masking,
    ):
        chosen = {
            "rate": 0.4,
            "mask": tokenizer.mask,
            "ordinary": tokenizer.ordinary,
            "seed": 2,
        } | masking
        return Collation(
            masking=Masking(**chosen),
            pad=tokenizer.pad,
            width=width,
            layout=layout,
            languages=languages,
        )

    return make


@pytest.fixture(scope="session")
def rows(datasets) -> Callable[..., pa.Table]:
    """Gives the first rows of a dataset."""

    def first(kind: str, n: int = 10) -> pa.Table:
        return open_dataset(datasets[kind]).table().slice(0, n).combine_chunks()

    return first


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory, make_dataset) -> dict[str, str]:
    """One dataset of each kind that objectives read."""
    root = tmp_path_factory.mktemp("data")
    kinds = ("mono", "pairs", "aligned", "exchange", "pseudo", "lexicon")
    return {k: make_dataset(root / k, k) for k in kinds}


TINY = {
    "model_type": "xlm-roberta",
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


@pytest.fixture
def config(tokenizer_folder, datasets, tmp_path) -> Callable[..., PretrainConfig]:
    """Makes a configuration of a tiny run; keyword arguments replace its settings."""

    def make(**settings: object) -> PretrainConfig:
        content = {
            "tokenizer": tokenizer_folder,
            "model": {"config": TINY},
            "data": [{"objective": "weam", "dataset": datasets["aligned"]}],
            "steps": 4,
            "batch_tokens": 256,
            "max_length": 64,
            "warmup_steps": 2,
            "device": "cpu",
        }
        return parse_config(
            PretrainConfig, yaml.safe_load(yaml.safe_dump(content | settings)), base=tmp_path
        )

    return make


@pytest.fixture(scope="session")
def write_lexicon() -> Callable[..., str]:
    """Writes a lexicon of pairs (src, tgt), or (src, tgt, p_tgt_given_src, p_src_given_tgt)."""
    kind = KINDS["lexicon"]

    def write(path: Path, pairs: list[tuple], languages: tuple[str, str] = ("ar", "en")) -> str:
        rows = [
            dict(zip(("src_lang", "tgt_lang"), languages))
            | {"src": s, "tgt": t, "count": 3}
            | dict(zip(("p_tgt_given_src", "p_src_given_tgt"), shares or (0.5, 0.5)))
            for s, t, *shares in pairs
        ]
        table = pa.Table.from_pylist(rows, kind.schema)
        # Without a pair no file either: one that the manifest does not list is refused.
        parts = [table] if pairs else []
        key = "-".join(languages)
        shards = tuple(write_shard(str(path), shard_path(key, 0, 1), t, kind) for t in parts)
        manifest = Manifest(
            kind="lexicon",
            schema_version=1,
            columns={c.name: str(c.type) for c in kind.columns},
            shards=shards,
            counts=Counts(read=len(rows), kept=len(rows)),
            keys={key: {"rows": len(rows), "languages": list(languages)}},
        )
        write_manifest(str(path), manifest)
        return str(path)

    return write
