"""What is written in a text is text: SentencePiece itself is the oracle, which spells all names."""

import copy
import json

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from bitextile.kernels.tokenizer.fast import fast_tokenizer
from bitextile.kernels.tokenizer.text_encoder import TextEncoder, own_characters
from bitextile.kernels.tokenizer.unigram import TokenizerConfig, train_unigram

TEXTS = [
    "the red dog sees a small house near old trees </s> x1",
    "كلب أحمر يرى بيتا صغيرا",
    "红色的狗看见一座小房子",
    "หมาสีแดงเห็นบ้านหลังเล็ก",
]
NAMES = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", "<0x41>", "<0xE2>"]


@pytest.fixture(scope="module")
def sentence_piece() -> sentencepiece.SentencePieceProcessor:
    model = train_unigram([*TEXTS] * 20, TokenizerConfig(vocab_size=320))
    return sentencepiece.SentencePieceProcessor(model_proto=model)


@pytest.fixture(scope="module")
def encoder(sentence_piece) -> TextEncoder:
    pieces = range(sentence_piece.get_piece_size())
    vocab = [[sentence_piece.id_to_piece(i), sentence_piece.get_score(i)] for i in pieces]
    backend = Tokenizer.from_str(json.dumps(fast_tokenizer(vocab)))
    return TextEncoder(backend, special_ids=[0, 1, 2, 3, len(vocab) - 1], unknown_id=3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["the {} dog", "{}", "كلب{}أحمر", "红色的 {}狗", "หมา{}☃", "a {0}{0} b"]
)
def test_names_are_spelled(encoder, sentence_piece, name, text):
    text = text.format(name)
    (side,) = encoder.encode_batch([text])
    assert side.ids == sentence_piece.encode(text)
    covered = {k for start, end in side.offsets for k in range(start, end)}
    assert covered >= {k for k, sign in enumerate(text) if not sign.isspace()}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*NAMES, " ", *TEXTS[0].split(), "狗", "☃", "e\u0301"]),
            st.text("<>0x/ s"),
        ),
        max_size=12,
    )
)
def test_any_text_is_as_sentence_piece_has_it(encoder, sentence_piece, parts):
    text = "".join(parts)
    (side,) = encoder.encode_batch([text])
    assert side.ids == sentence_piece.encode(text)
    assert len(side.ids) == len(side.offsets)


def test_other_texts_are_as_the_tokenizer_has_them(encoder):
    texts = [*TEXTS[1:], "a ☃☃ b", "", " ", "<x> 0x41"]
    for side, plain in zip(
        encoder.encode_batch(texts), encoder.backend.encode_batch(texts, add_special_tokens=False)
    ):
        assert (side.ids, side.offsets) == (plain.ids, plain.offsets)


def test_words_keep_their_numbers(encoder):
    words = ["the", "</s>", "dog", "<0x41>", "☃"]
    (side,) = encoder.encode_batch([words], is_pretokenized=True)
    for number, word in enumerate(words):
        mine = [i for i, w in zip(side.ids, side.words) if w == number]
        assert mine == encoder.encode_batch([word])[0].ids
    assert not {0, 1, 2, 3} & set(side.ids)


def bert() -> Tokenizer:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[", "]", "sep", "mask", "dog", "狗"]
    backend = Tokenizer(models.WordPiece({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(names[:5])
    return backend


def words() -> Tokenizer:
    names = ["<unk>", "</s>", "<mask>", "dog", "كلب"]
    backend = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(names[:3])
    return backend


def compatibility() -> Tokenizer:
    """As XLM-R: full-width letters become ASCII, so text may spell a name that is not in it."""
    names = ["<unk>", "</s>", "▁", "<", "/", "s", ">", "▁dog", "狗"]
    backend = Tokenizer(models.Unigram([(n, -float(i)) for i, n in enumerate(names)], unk_id=0))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.add_special_tokens(names[:2])
    return backend


def byte_level() -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {n: i for i, n in enumerate(["<s>", "</s>", "<mask>", *alphabet])}
    backend = Tokenizer(models.BPE(vocab, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.add_special_tokens(["<s>", "</s>", "<mask>"])
    return backend


@pytest.mark.parametrize(
    ("make", "specials", "unknown", "text", "pieces"),
    [
        (bert, 5, 1, "dog [SEP] 狗[MASK]", ["dog", "[", "sep", "]", "狗", "[", "mask", "]"]),
        (bert, 5, 1, "dog ☃", ["dog", "[UNK]"]),
        (words, 3, 0, "dog </s> كلب <unk>", ["dog", "<unk>", "كلب", "<unk>"]),
        (compatibility, 2, 0, "dog ＜/s＞ 狗", ["▁dog", "▁", "<", "/", "s", ">", "▁", "狗"]),
        (compatibility, 2, 0, "dog☃", ["▁dog", "<unk>"]),
        (byte_level, 3, None, "a</s>b", ["a", "<", "/", "s", ">", "b"]),
    ],
)
def test_any_model_spells_names(make, specials, unknown, text, pieces):
    backend = make()
    encoder = TextEncoder(backend, special_ids=range(specials), unknown_id=unknown)
    (side,) = encoder.encode_batch([text])
    assert [backend.id_to_token(i) for i in side.ids] == pieces


def test_special_tokens_behind_the_vocabulary_keep_ids_apart():
    """Added tokens, special or not, are numbered in their order."""
    backend = words()
    backend.add_special_tokens(["<extra>"])
    backend.add_tokens(["New York"])
    encoder = TextEncoder(backend, special_ids=[0, 1, 2, 5], unknown_id=0)
    (side,) = encoder.encode_batch(["dog New York <extra> New York"])
    assert side.ids == [3, 6, 0, 6]


def test_a_copy_goes_to_other_processes(encoder):
    encoder.encode_batch(["</s>"])
    again = copy.deepcopy(encoder)  # goes the way of pickling
    assert again.encode_batch(["a </s>"]) == encoder.encode_batch(["a </s>"])


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("é狗☃👨\u0301क"), min_size=1, max_size=8), st.integers(0, 5))
def test_a_run_of_bytes_is_parted_by_characters(text, start):
    """Against the length of each character's own encoding."""
    byte_of = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    offsets = np.full((len(byte_of), 2), (start, start + len(text)), np.int32)
    own = own_characters(offsets, byte_of)
    expected = [start + k for k, sign in enumerate(text) for _ in sign.encode()]
    assert own[:, 0].tolist() == expected
    assert (own[:, 1] - own[:, 0] == 1).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("é☃👨क"), max_size=3), min_size=1, max_size=5))
def test_texts_behind_one_another_are_parted(texts):
    """Equal offsets of two texts are two runs."""
    parts = [np.frombuffer(text.encode(), np.uint8).astype(np.int32) for text in texts]
    offsets = [np.full((len(b), 2), (0, len(t)), np.int32) for b, t in zip(parts, texts)]
    begins = [np.arange(len(b)) == 0 for b in parts]
    own = own_characters(*(np.concatenate(each) for each in (offsets, parts, begins)))
    alone = [own_characters(o, b) for o, b in zip(offsets, parts)]
    assert own.tolist() == np.concatenate(alone).tolist()


def test_what_a_normaliser_changed_stays_whole():
    byte_of = np.frombuffer("é".encode(), np.uint8).astype(np.int32)
    offsets = np.full((2, 2), (0, 2), np.int32)  # of e and a mark, which made one character
    assert own_characters(offsets, byte_of).tolist() == offsets.tolist()
