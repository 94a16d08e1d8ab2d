"""The tokenizer: SentencePiece and transformers agree on ids, and offsets point into the text."""

import csv
import json
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from bitextile.kernels.tokenizer.unigram import TokenizerConfig
from bitextile.pipelines.tokenizer import train_tokenizer
from bitextile.schema.errors import ConfigError, InputError, OutputExistsError, SchemaError
from bitextile.schema.ids import pair_ids, text_ids
from bitextile.schema.kinds import LEXICON, MONO, PAIRS, Kind
from bitextile.schema.manifest import Counts, Manifest, write_manifest
from bitextile.schema.shards import shard_path, write_shard

LANGUAGES = ("en", "de", "fr", "es", "zh", "ar")
SENTENCES = [
    "Der große Hund läuft nach Hause.",
    "يركض الكلب الكبير إلى البيت.",
    "一只大狗跑回家了，真快！",
    "大きな犬が家に走って帰る。",
    "หมาตัวใหญ่วิ่งกลับบ้าน",
    "Большая собака бежит домой.",
    "An emoji 😀, a family 👨‍👩‍👧 and a flag 🇩🇪.",
    "a combining mark: z̤ȧ and मेरी क्षि",
    "no\u00a0break, two  spaces,\ttab, ▁mark and trailing ",
    " leading",
    "۱۲۳ १२३ 123,456.78 — «ok»",
    "\U000e0000 \U0003ffff unassigned",
    "x",
    "",
]
CONFIG = TokenizerConfig(vocab_size=3000)


def write_dataset(path: Path, kind: Kind, rows: list[dict], key: str) -> str:
    table = pa.Table.from_pylist(rows, schema=kind.schema)
    shard = write_shard(str(path), shard_path(key, 0, 1), table, kind)
    manifest = Manifest(
        kind=kind.name,
        schema_version=kind.version,
        columns={},
        shards=(shard,),
        counts=Counts(len(rows), len(rows)),
        keys={key: {"rows": len(rows)}},
    )
    write_manifest(str(path), manifest)
    return str(path)


def provenance(line: int) -> dict:
    split = "test" if line % 10 == 0 else "train"
    return {"corpus": "sample", "file": "sentences.tsv", "line": line, "split": split}


def sample() -> list[dict[str, str]]:
    source = resources.files("bitextile.pipelines.sample") / "sentences.tsv"
    with source.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def pairs(path: Path, other: str) -> str:
    rows = [
        {"pair_id": pair_ids("en", pa.array([r["en"]]), other, pa.array([r[other]]))[0].as_py()}
        | {"src_lang": "en", "tgt_lang": other, "src": r["en"], "tgt": r[other]}
        | provenance(line)
        for line, r in enumerate(sample(), 1)
    ]
    return write_dataset(path, PAIRS, rows, f"en-{other}")


def mono(path: Path, lang: str, texts: list[str]) -> str:
    ids = text_ids(lang, pa.array(texts)).to_pylist()
    rows = [
        {"text_id": i, "lang": lang, "text": t} | provenance(line)
        for line, (i, t) in enumerate(dict(zip(ids, texts)).items(), 1)
    ]
    return write_dataset(path, MONO, rows, lang)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("datasets")
    made = [pairs(folder / lang, lang) for lang in LANGUAGES[1:4]]
    made.append(mono(folder / "zh", "zh", [r["zh"] for r in sample()]))
    made.append(mono(folder / "ar", "ar", [r["ar"] for r in sample()]))
    return made


@pytest.fixture(scope="module")
def trained(datasets, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "tokenizer"
    return train_tokenizer(datasets, str(out), config=CONFIG)


@pytest.fixture(scope="module")
def both(trained):
    transformers = pytest.importorskip("transformers")
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{trained.path}/spiece.model")
    return pieces, transformers.AutoTokenizer.from_pretrained(trained.path, local_files_only=True)


@pytest.mark.parametrize("text", SENTENCES)
def test_ids_are_those_of_sentencepiece_in_any_script(both, text: str) -> None:
    pieces, tokenizer = both
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids == pieces.encode(text)
    assert tokenizer.unk_token_id not in ids


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_ids_agree_on_any_text(both, data) -> None:
    # Byte pieces are told from text that spells one, "<0x41>", by SentencePiece only.
    text = data.draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<\0")))
    pieces, tokenizer = both
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == pieces.encode(text)


def test_ids_agree_on_the_whole_sample(both) -> None:
    pieces, tokenizer = both
    texts = [row[lang] for row in sample() for lang in LANGUAGES]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert ids == [pieces.encode(text) for text in texts]


@pytest.mark.parametrize("text", SENTENCES)
def test_offsets_point_into_the_text_and_cover_it(both, text: str) -> None:
    _, tokenizer = both
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    tokens, offsets = encoded.tokens(), encoded["offset_mapping"]
    if tokens and tokens[0] == "▁" and not text.startswith((" ", "▁")):
        # The mark before the text stands on the first character, as in XLM-R's tokenizer.
        assert offsets[0] == (0, 1)
        tokens, offsets = tokens[1:], offsets[1:]
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)
    for token, (start, end) in zip(tokens, offsets):
        if not token.startswith("<0x"):
            stretch = text[start:end].replace(" ", "▁")
            assert stretch == (token[1:] if len(token) > len(stretch) else token)
    assert {i for start, end in offsets for i in range(start, end)} == set(range(len(text)))


@pytest.mark.parametrize("text", [t for t in SENTENCES if "▁" not in t])
def test_decoding_gives_the_text_back(both, text: str) -> None:
    pieces, tokenizer = both
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert pieces.decode(pieces.encode(text)) == text


def test_special_tokens_stand_at_xlm_rs_ids(both, trained) -> None:
    _, tokenizer = both
    named = (tokenizer.bos_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert (*named, tokenizer.unk_token_id) == (0, 1, 2, 3)
    assert (tokenizer.cls_token_id, tokenizer.sep_token_id) == (0, 2)
    assert tokenizer.mask_token_id == trained.vocab_size - 1 == len(tokenizer) - 1
    pair = tokenizer("Hund", "犬")["input_ids"]
    assert pair[0] == 0
    assert pair.count(2) == 3
    assert pair[-1] == 2
    masked = tokenizer("Ein <mask> läuft.")["input_ids"]
    assert masked.count(tokenizer.mask_token_id) == 1


def test_the_model_is_the_same_for_any_order_of_datasets(datasets, trained, tmp_path) -> None:
    again = train_tokenizer(datasets[::-1], str(tmp_path / "t"), config=CONFIG)
    assert again.sha256 == trained.sha256
    for name in ("spiece.model", "tokenizer.json", "tokenizer_config.json"):
        same = Path(trained.path, name).read_bytes() == Path(again.path, name).read_bytes()
        assert same, name


def test_only_the_train_split_counts_and_each_sentence_once(trained) -> None:
    rows = sample()
    train = {lang: {r[lang] for i, r in enumerate(rows, 1) if i % 10} for lang in LANGUAGES[:4]}
    assert {lang: trained.sentences[lang] for lang in train} == {
        k: len(v) for k, v in train.items()
    }
    manifest = json.loads(Path(trained.path, "tokenizer_manifest.json").read_text())
    assert manifest["sha256"] == trained.sha256
    assert len(manifest["inputs"]) == 5
    assert manifest["config"]["alpha"] == 0.3


def test_a_small_text_gets_the_largest_vocabulary_it_gives_and_a_note(
    datasets, tmp_path, capsys
) -> None:
    out = str(tmp_path / "t")
    largest = train_tokenizer(datasets, out, config=TokenizerConfig(vocab_size=90_000)).vocab_size
    assert 1_000 < largest < 90_000
    assert f"gives {largest:,} ids, not 90,000" in capsys.readouterr().err
    manifest = json.loads(Path(out, "tokenizer_manifest.json").read_text())
    assert (manifest["vocab_size"], manifest["config"]["vocab_size"]) == (largest, 90_000)
    assert len(AutoTokenizer.from_pretrained(out)) == largest
    # One id more than the largest shrinks to it; the largest itself is taken without a note.
    same = [
        train_tokenizer(datasets, f"{out}{size}", config=TokenizerConfig(vocab_size=size)).sha256
        for size in (largest + 1, largest)
    ]
    assert same == [manifest["sha256"]] * 2
    assert capsys.readouterr().err.count("ids, not") == 1


def test_a_vocabulary_too_small_for_the_characters_is_refused(datasets, tmp_path) -> None:
    with pytest.raises(ConfigError, match="the characters of this text alone need"):
        train_tokenizer(datasets, str(tmp_path / "t"), config=TokenizerConfig(vocab_size=300))
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_replaced_only_when_told_and_only_a_tokenizer(
    datasets, tmp_path
) -> None:
    out = tmp_path / "t"
    train_tokenizer(datasets[:1], str(out), config=TokenizerConfig(vocab_size=600))
    with pytest.raises(OutputExistsError, match="exists; give another --out, or --overwrite"):
        train_tokenizer(datasets[:1], str(out), config=CONFIG)
    config = TokenizerConfig(vocab_size=700)
    again = train_tokenizer(datasets[:1], str(out), config=config, overwrite=True)
    assert again.vocab_size == 700
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(OutputExistsError, match=r"holds no tokenizer_manifest\.json"):
        train_tokenizer(datasets[:1], str(home), config=config, overwrite=True)
    assert (home / "letter.txt").exists()


def test_what_holds_no_text_to_train_on_is_refused(tmp_path) -> None:
    entry = {"src_lang": "de", "tgt_lang": "en", "src": "hund", "tgt": "dog", "count": 2}
    entry |= {"p_tgt_given_src": 1.0, "p_src_given_tgt": 1.0}
    lexicon = write_dataset(tmp_path / "lexicon", LEXICON, [entry], "de-en")
    with pytest.raises(SchemaError, match="holds kind lexicon"):
        train_tokenizer([lexicon], str(tmp_path / "t"), config=CONFIG)
    empty = write_dataset(tmp_path / "mono", MONO, [], "de")
    with pytest.raises(InputError, match="no sentence in the train split"):
        train_tokenizer([empty], str(tmp_path / "t"), config=CONFIG)
