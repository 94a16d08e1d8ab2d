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

from bitextile.kernels.align.encoder.aligner import EncoderAligner
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.encoder.tokens import TokenVectors
from bitextile.kernels.model_digest import encoder_digest
from bitextile.schema.errors import ConfigError, InputError
from bitextile.schema.kinds import ALIGNED
from bitextile.transforms.align import AlignWords
from bitextile.transforms.align_encoder import TorchEncoder, load_encoder
from pair_rows import pairs_batch
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
def torch_encoder(encoder: str) -> TorchEncoder:
    return TorchEncoder(encoder, layer=8, device="cpu")


def aligner(encoder: TorchEncoder, **options) -> EncoderAligner:
    return EncoderAligner(encoder, SimalignConfig(encoder="", **options))


def links_of(aligner: EncoderAligner, src, tgt) -> list[list[tuple[int, int]]]:
    found = aligner.align(pa.array(src), pa.array(tgt))
    return [[(link["src"], link["tgt"]) for link in row] for row in found.links.to_pylist()]


def vectors_of(encoder: TorchEncoder, sentences: list[list[str]]) -> TokenVectors:
    subwords = encoder.tokenize(sentences)
    return TokenVectors(encoder.encode(subwords), subwords.at, subwords.word)


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
def test_links_are_those_of_simalign(
    encoder, torch_encoder, pairs, token_type, distortion, n
) -> None:
    simalign = pytest.importorskip("simalign", reason="simalign, the oracle, is not installed")
    oracle = simalign.SentenceAligner(
        encoder, token_type=token_type, distortion=distortion, matching_methods="mai", layer=8
    )
    src, tgt = pairs[0][:n], pairs[1][:n]
    expected = [oracle.get_word_aligns(*pair) for pair in zip(src, tgt)]
    for matching in ("inter", "itermax", "mwmf"):
        found = links_of(
            aligner(torch_encoder, matching=matching, token_type=token_type, distortion=distortion),
            src,
            tgt,
        )
        assert found == [row[matching] for row in expected], matching


@pytest.mark.parametrize("token_type", ["bpe", "word"])
def test_softmax_links_are_those_of_a_slow_version(
    encoder, torch_encoder, pairs, token_type
) -> None:
    src, tgt = pairs[0][:60], pairs[1][:60]
    found = links_of(aligner(torch_encoder, matching="softmax", token_type=token_type), src, tgt)
    model, tokenizer = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    for k, pair in enumerate(zip(src, tgt)):
        sides = [_slow_vectors(model, tokenizer, words, token_type) for words in pair]
        (one, words), (two, others) = sides
        dots = one @ two.T
        both = torch.minimum(dots.softmax(0), dots.softmax(1)) > 0.001
        expected = {(words[i], others[j]) for i, j in both.nonzero().tolist()}
        assert found[k] == sorted(expected)


def _slow_vectors(model, tokenizer, words, token_type) -> tuple[torch.Tensor, list[int]]:
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
    found = vectors_of(TorchEncoder(encoder, layer=layer, device="cpu"), sentences)
    model, tokenizer = AutoModel.from_pretrained(encoder), AutoTokenizer.from_pretrained(encoder)
    for k, words in enumerate(sentences):
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            states = model(**encoded, output_hidden_states=True).hidden_states[layer]
        got = found.vectors[found.at[k] : found.at[k + 1]]
        np.testing.assert_allclose(got, states[0, 1:-1].numpy(), atol=2e-5)
        assert found.word[found.at[k] : found.at[k + 1]].tolist() == encoded.word_ids(0)[1:-1]


@pytest.mark.parametrize("prefix", ["query: ", "Anfrage:", "质 问 "])
def test_a_prefix_is_read_and_gives_no_vectors(encoder: str, pairs, prefix: str) -> None:
    words = [prefix.split(), *pairs[0][:3], ["long", "words"] * 200]
    plain = TorchEncoder(encoder, layer=6, device="cpu")
    made = TorchEncoder(encoder, layer=None, prefix=prefix, device="cpu")
    ahead = plain.tokenize(words[:1]).ids
    found = vectors_of(made, words[1:])
    assert np.array_equal(found.word, plain.tokenize(words[1:]).word)
    for n, sentence in enumerate(words[1:-1]):
        whole = vectors_of(plain, [[*words[0], *sentence]]).vectors[len(ahead) :]
        assert np.allclose(found.vectors[found.at[n] : found.at[n + 1]], whole, atol=1e-5)
    # A long sentence is read in windows, each behind the prefix.
    assert made.max_subwords == plain.max_subwords - len(ahead)
    assert np.isfinite(found.vectors).all()
    with pytest.raises(ConfigError, match=r"prefix .* leaves .* of 128 subwords for a sentence"):
        TorchEncoder(encoder, layer=6, prefix="query " * 80, device="cpu")


def test_only_the_layers_needed_are_kept(encoder: str) -> None:
    assert len(TorchEncoder(encoder, layer=5, device="cpu").model.encoder.layer) == 5


def test_no_word_is_lost_beyond_the_positions(torch_encoder) -> None:
    words = [RARE[k % 8] + RARE[k // 8 % 8] + RARE[k // 64] + "q" for k in range(300)]
    tokens = vectors_of(torch_encoder, [words, ["short", "."]])
    assert tokens.at[1] >= 3 * 300 > 128
    assert sorted(set(tokens.word[: tokens.at[1]].tolist())) == list(range(300))
    assert np.isfinite(tokens.vectors).all()
    # A copy of the sentence: 300 words, each linked to itself.
    (found,) = links_of(aligner(torch_encoder), [words], [words])
    assert [(i, i) for i in range(300)] == [link for link in found if link[0] == link[1]]


def test_what_a_window_owns_is_as_if_the_window_were_alone(torch_encoder) -> None:
    size = torch_encoder.max_subwords
    words = ["a", ".", ","] * 100  # one subword each
    whole, first, last = (
        vectors_of(torch_encoder, [part]).vectors for part in (words, words[:size], words[-size:])
    )
    own = size * 3 // 4
    np.testing.assert_allclose(whole[:own], first[:own], atol=2e-5)
    np.testing.assert_allclose(whole[-own:], last[-own:], atol=2e-5)


def test_bits_depend_on_neither_threads_nor_order(torch_encoder, pairs) -> None:
    src, tgt = (pa.array(side[:80]) for side in pairs)
    before = torch.get_num_threads()
    try:
        made = []
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            made.append(aligner(torch_encoder, matching="softmax").align(src, tgt))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert made[0].links.equals(made[1].links)
    backwards = pa.array(range(79, -1, -1))
    one = aligner(torch_encoder)
    turned = links_of(one, src.take(backwards).to_pylist(), tgt.take(backwards).to_pylist())
    assert turned[::-1] == links_of(one, src.to_pylist(), tgt.to_pylist())


@pytest.mark.parametrize("matching", ["inter", "itermax", "mwmf", "softmax"])
@pytest.mark.parametrize("token_type", ["bpe", "word"])
def test_empty_sides_and_words_without_subwords(torch_encoder, matching, token_type) -> None:
    src = [[], ["a"], ["\u200b", "dog", "\u200d"], [], ["🂡" * 50]]
    tgt = [["b"], [], ["\u200b", "Hund"], [], ["."]]
    one = aligner(torch_encoder, matching=matching, token_type=token_type)
    found = one.align(pa.array(src), pa.array(tgt))
    rows = found.links.to_pylist()
    assert [len(row) for row in rows] == [0, 0, 1, 0, 1]
    assert (rows[2][0]["src"], rows[2][0]["tgt"]) == (1, 1)
    assert np.isfinite(found.score.to_numpy()).all()
    nothing = pa.array([], pa.list_(pa.string()))
    assert len(one.align(nothing, nothing).links) == 0


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
    found = TorchEncoder(str(tmp_path), layer=4, device="cpu")
    assert found.max_subwords == 66 - tokenizer.pad_token_id - 1 - 2
    tokens = found.tokenize([pairs[0][0] * 20])
    assert np.isfinite(found.encode(tokens)).all()
    assert sorted(set(tokens.word.tolist())) == list(range(20 * len(pairs[0][0])))


def test_a_name_pickled_weights_and_a_missing_layer_are_refused(encoder, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        TorchEncoder("bert-base-multilingual-cased", layer=8)
    with pytest.raises(ConfigError, match=r"config\.json"):
        encoder_digest(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="safetensors"):
        encoder_digest(str(tmp_path))
    with pytest.raises(ConfigError, match="layers 0 to 9"):
        TorchEncoder(encoder, layer=10)


def test_vectors_that_are_no_numbers_are_refused(encoder: str) -> None:
    broken = TorchEncoder(encoder, layer=1, device="cpu")
    broken.model.embeddings.word_embeddings.weight.data.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        broken.encode(broken.tokenize([["a"]]))


def test_importing_the_module_loads_no_torch() -> None:
    code = (
        "import sys, bitextile.transforms.align_encoder\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_pair_and_its_reverse_get_the_same_links(pipeline, encoder: str) -> None:
    english, german = ["A small dog runs.", "Two men."], ["Ein kleiner Hund läuft.", "Zwei Männer."]
    texts = list(zip(english, german))
    batches = [
        pairs_batch("en", "de", texts),
        pairs_batch("de", "en", [pair[::-1] for pair in texts]),
    ]

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
            | AlignWords("", {}, config, encoder_digests={encoder: encoder_digest(encoder)})
        )
        assert_that(made.kept, check)


def test_a_worker_with_another_encoder_is_refused_and_one_loads_it_once(encoder: str) -> None:
    with pytest.raises(ConfigError, match="on this worker"):
        load_encoder(encoder, layer=1, digests=((encoder, "sha256:0"),))
    digests = ((encoder, encoder_digest(encoder)),)
    loaded = load_encoder(encoder, layer=1, digests=digests)
    assert load_encoder(encoder, layer=1, digests=digests) is loaded
    assert load_encoder(encoder, layer=2, digests=digests) is not loaded
    assert load_encoder(encoder, layer=1, prefix="query:", digests=digests) is not loaded
