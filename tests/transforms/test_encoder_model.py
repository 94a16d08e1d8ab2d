"""The encoder engine: simalign is the oracle; windows, layers, batches, refusals."""

import gzip
import subprocess
import sys
from importlib import resources

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import regex
import torch
from apache_beam.testing.util import assert_that
from tokenizers import BertWordPieceTokenizer
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from bitextile.kernels.align.encoder import Matcher
from bitextile.kernels.align.engine import SimalignConfig
from bitextile.kernels.model_digest import encoder_digest
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.ids import pair_ids
from bitextile.schema.kinds import ALIGNED, PAIRS
from bitextile.transforms.align_encoder import AlignWordsByEncoder, EncoderHandler
from bitextile.transforms.encoder_model import EncoderAligner
from project import SHARED

MULTI30K = SHARED / "data/parallel/multi30k"
WORD = regex.compile(r"\w+|[^\w\s]")
TINY = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}
# 0.02 would make words alike and 0.2 makes all words of a sentence one point: neither would tell
# a wrong link from a right one.
SPREAD = 0.05


def multi30k(language: str, n: int) -> list[str]:
    with gzip.open(MULTI30K / f"test_2016_flickr.{language}.gz", "rt", encoding="utf-8") as lines:
        return [line.strip() for line, _ in zip(lines, range(n))]


RARE = "qxzjvkyw"


@pytest.fixture(scope="session")
def pairs() -> tuple[list[list[str]], list[list[str]]]:
    """500 sentence pairs en-de as words: multi30k's where they are, else the embedded sample's."""
    if MULTI30K.exists():
        sides = [multi30k(language, 500) for language in ("en", "de")]
    else:
        text = resources.files("bitextile.pipelines.sample").joinpath("sentences.tsv").read_text()
        sides = [list(side) for side in zip(*(row.split("\t")[1:3] for row in text.splitlines()))]
    english, german = ([WORD.findall(text) for text in side] for side in sides)
    return english, german


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory, pairs) -> str:
    """A BERT of 9 layers with 128 positions; most words are several subwords."""
    folder = str(tmp_path_factory.mktemp("encoder"))
    tokenizer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    texts = [" ".join(words) for side in pairs for words in side]
    # Each rare letter once at either place: pieces of their own, in no text often enough to merge.
    texts += [*RARE, *(f"e{letter}" for letter in RARE)]
    tokenizer.train_from_iterator(texts, vocab_size=6_000, show_progress=False)
    fast = BertTokenizerFast(tokenizer_object=tokenizer._tokenizer, model_max_length=128)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(fast),
        num_hidden_layers=9,
        max_position_embeddings=128,
        initializer_range=SPREAD,
        **TINY,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def aligner(encoder: str) -> EncoderAligner:
    return EncoderAligner(encoder, layer=8, device="cpu")


def matcher(matching: str = "inter", token_type: str = "bpe", distortion: float = 0.0) -> Matcher:
    return Matcher(matching=matching, token_type=token_type, distortion=distortion, threshold=0.001)


def links_of(aligner: EncoderAligner, src, tgt, how: Matcher) -> list[list[tuple[int, int]]]:
    found = aligner.align(pa.array(src), pa.array(tgt), matcher=how)
    return [[(link["src"], link["tgt"]) for link in row] for row in found.links.to_pylist()]


# Deprecations are simalign's and networkx's own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("token_type", "distortion", "n"),
    [
        pytest.param("bpe", 0.0, 500, marks=pytest.mark.slow),
        pytest.param("word", 0.0, 500, marks=pytest.mark.slow),
        ("bpe", 0.5, 60),
        ("word", 0.5, 60),
    ],
)
def test_links_are_those_of_simalign(encoder, aligner, pairs, token_type, distortion, n) -> None:
    simalign = pytest.importorskip("simalign", reason="simalign, the oracle, is not installed")
    oracle = simalign.SentenceAligner(
        encoder, token_type=token_type, distortion=distortion, matching_methods="mai", layer=8
    )
    src, tgt = pairs[0][:n], pairs[1][:n]
    expected = [oracle.get_word_aligns(*pair) for pair in zip(src, tgt)]
    for matching in ("inter", "itermax", "mwmf"):
        found = links_of(aligner, src, tgt, matcher(matching, token_type, distortion))
        assert found == [row[matching] for row in expected], matching


@pytest.mark.parametrize("token_type", ["bpe", "word"])
def test_softmax_links_are_those_of_a_slow_version(encoder, aligner, pairs, token_type) -> None:
    src, tgt = pairs[0][:60], pairs[1][:60]
    found = links_of(aligner, src, tgt, matcher("softmax", token_type))
    model, tokenizer = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    for k, pair in enumerate(zip(src, tgt)):
        sides = [_slow_units(model, tokenizer, words, token_type) for words in pair]
        (one, words), (two, others) = sides
        dots = one @ two.T
        both = torch.minimum(dots.softmax(0), dots.softmax(1)) > 0.001
        expected = {(words[i], others[j]) for i, j in both.nonzero().tolist()}
        assert found[k] == sorted(expected)


def _slow_units(model, tokenizer, words, token_type) -> tuple[torch.Tensor, list[int]]:
    encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded, output_hidden_states=True).hidden_states[8][0, 1:-1]
    place = encoded.word_ids(0)[1:-1]
    if token_type == "bpe":
        return hidden, place
    distinct = sorted(set(place))
    return torch.stack([hidden[[p == w for p in place]].mean(0) for w in distinct]), distinct


@pytest.mark.parametrize("layer", [0, 1, 5, 8, 9])
def test_vectors_are_the_hidden_states_of_the_layer(encoder: str, layer: int) -> None:
    sentences = [["A", "dog", "runs", "."], ["Ein"], ["Der", "kleine", "Hund"]]
    units = EncoderAligner(encoder, layer=layer, device="cpu").units(sentences)
    model, tokenizer = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    for k, words in enumerate(sentences):
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            states = model(**encoded, output_hidden_states=True).hidden_states[layer]
        got = units.vectors[units.at[k] : units.at[k + 1]]
        np.testing.assert_allclose(got, states[0, 1:-1].numpy(), atol=2e-5)
        assert units.word[units.at[k] : units.at[k + 1]].tolist() == encoded.word_ids(0)[1:-1]


def test_only_the_layers_needed_are_kept(encoder: str) -> None:
    assert len(EncoderAligner(encoder, layer=5, device="cpu").model.encoder.layer) == 5


def test_no_word_is_lost_beyond_the_positions(aligner) -> None:
    words = [RARE[k % 8] + RARE[k // 8 % 8] + RARE[k // 64] + "q" for k in range(300)]
    units = aligner.units([words, ["short", "."]])
    assert units.at[1] >= 3 * 300 > 128
    assert sorted(set(units.word[: units.at[1]].tolist())) == list(range(300))
    assert np.isfinite(units.vectors).all()
    # A copy of the sentence: 300 words, each linked to itself.
    (found,) = links_of(aligner, [words], [words], matcher())
    assert [(i, i) for i in range(300)] == [link for link in found if link[0] == link[1]]


def test_what_a_window_owns_is_as_if_the_window_were_alone(aligner) -> None:
    words = ["a", ".", ","] * 100  # one subword each
    units, alone = aligner.units([words]), aligner.units([words[: aligner.room]])
    own = aligner.room * 3 // 4
    np.testing.assert_allclose(units.vectors[:own], alone.vectors[:own], atol=2e-5)
    last = aligner.units([words[-aligner.room :]])
    np.testing.assert_allclose(units.vectors[-own:], last.vectors[-own:], atol=2e-5)


def test_bits_depend_on_neither_threads_nor_order(aligner, pairs) -> None:
    src, tgt = (pa.array(side[:80]) for side in pairs)
    before = torch.get_num_threads()
    try:
        made = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            made.append(aligner.align(src, tgt, matcher=matcher("softmax")))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert made[0].links.equals(made[1].links)
    backwards = pa.array(range(79, -1, -1))
    turned = links_of(
        aligner, src.take(backwards).to_pylist(), tgt.take(backwards).to_pylist(), matcher()
    )
    assert turned[::-1] == links_of(aligner, src.to_pylist(), tgt.to_pylist(), matcher())


@pytest.mark.parametrize("matching", ["inter", "itermax", "mwmf", "softmax"])
@pytest.mark.parametrize("token_type", ["bpe", "word"])
def test_empty_sides_and_words_without_subwords(aligner, matching, token_type) -> None:
    src = [[], ["a"], ["\u200b", "dog", "\u200d"], [], ["🂡" * 50]]
    tgt = [["b"], [], ["\u200b", "Hund"], [], ["."]]
    found = aligner.align(pa.array(src), pa.array(tgt), matcher=matcher(matching, token_type))
    rows = found.links.to_pylist()
    assert [len(row) for row in rows] == [0, 0, 1, 0, 1]
    assert (rows[2][0]["src"], rows[2][0]["tgt"]) == (1, 1)
    assert np.isfinite(found.score.to_numpy()).all()
    nothing = pa.array([], pa.list_(pa.string()))
    assert len(aligner.align(nothing, nothing, matcher=matcher(matching, token_type)).links) == 0


def test_positions_of_the_roberta_family_begin_after_the_padding(encoder, tmp_path, pairs) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder, model_max_length=10**6)
    tokenizer.save_pretrained(tmp_path)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=4,
        max_position_embeddings=66,
        pad_token_id=tokenizer.pad_token_id,
        **TINY,
    )
    XLMRobertaModel(config).save_pretrained(tmp_path)
    aligner = EncoderAligner(str(tmp_path), layer=4, device="cpu")
    assert aligner.room == 66 - tokenizer.pad_token_id - 1 - 2
    units = aligner.units([pairs[0][0] * 20])
    assert sorted(set(units.word.tolist())) == list(range(20 * len(pairs[0][0])))


def test_a_name_pickled_weights_and_a_missing_layer_are_refused(encoder, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        EncoderAligner("bert-base-multilingual-cased", layer=8)
    with pytest.raises(ConfigError, match=r"config\.json"):
        encoder_digest(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="safetensors"):
        encoder_digest(str(tmp_path))
    with pytest.raises(ConfigError, match="layers 0 to 9"):
        EncoderAligner(encoder, layer=10)


def test_vectors_that_are_no_numbers_are_refused(encoder: str) -> None:
    broken = EncoderAligner(encoder, layer=1, device="cpu")
    broken.model.embeddings.word_embeddings.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        broken.units([["a"]])


def test_importing_the_module_loads_no_torch() -> None:
    code = (
        "import sys, bitextile.transforms.encoder_model\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def batch_of(src_lang: str, src: list[str], tgt_lang: str, tgt: list[str]) -> pa.RecordBatch:
    n = len(src)
    columns = {
        "pair_id": pair_ids(src_lang, pa.array(src), tgt_lang, pa.array(tgt)),
        "src_lang": [src_lang] * n,
        "tgt_lang": [tgt_lang] * n,
        "src": src,
        "tgt": tgt,
        "corpus": ["c"] * n,
        "file": ["f"] * n,
        "line": list(range(1, n + 1)),
        "split": ["train"] * n,
    }
    return pa.RecordBatch.from_pydict(columns, schema=PAIRS.schema)


def test_a_pair_and_its_reverse_get_the_same_links(pipeline, encoder: str) -> None:
    english, german = ["A small dog runs.", "Two men."], ["Ein kleiner Hund läuft.", "Zwei Männer."]
    batches = [batch_of("en", english, "de", german), batch_of("de", german, "en", english)]

    def check(made: list[pa.RecordBatch]) -> None:
        assert len(made) == 2
        rows: dict[str, dict] = {}
        for batch in made:
            assert batch.schema == ALIGNED.schema
            for row in batch.to_pylist():
                links = {(row["src_lang"], x["src"], x["tgt"]) for x in row["links"]}
                rows.setdefault(row["pair_id"], {})[row["src_lang"]] = links
        for both in rows.values():
            assert {(i, j) for _, i, j in both["en"]} == {(j, i) for _, i, j in both["de"]}
            assert both["en"]

    config = SimalignConfig(encoder=encoder, layer=4)
    with pipeline() as root:
        made = (
            root
            | beam.Create(batches).with_output_types(pa.RecordBatch)
            | AlignWordsByEncoder(config, encoder_digest(encoder))
        )
        assert_that(made, check)


def test_a_worker_with_another_encoder_is_refused(encoder: str) -> None:
    handler = EncoderHandler(SimalignConfig(encoder=encoder), "sha256:0")
    with pytest.raises(ConfigError, match="on this worker"):
        handler.load_model()
