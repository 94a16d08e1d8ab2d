"""Layout, cuts at words and refusals of the tokenizer."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bitextile.schema.errors import ConfigError
from bitextile.trainer.config_file import parse_config
from bitextile.trainer.data.tokens import Encoding, limits, load_tokenizer, split_subwords, truncate
from bitextile.trainer.evaluate.evaluate import evaluate
from bitextile.trainer.finetune.config import FinetuneConfig
from bitextile.trainer.finetune.loop import finetune
from bitextile.trainer.train.pretrain import pretrain


def test_offsets_count_code_points_and_cover_the_text(tokenizer_folder):
    text = "كلب أحمر the 😀 dog"
    side = load_tokenizer(tokenizer_folder).encode([text])[0]
    covered = {i for s, e in side.offsets.tolist() for i in range(s, e)}
    assert covered >= {i for i, c in enumerate(text) if not c.isspace()}


def test_bert_like_special_tokens_do_as_well(tmp_path):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog", "cat"]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = {f"{n[1:-1].lower()}_token": n for n in names[:5]}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert (tokenizer.pad, tokenizer.cls, tokenizer.sep, tokenizer.mask) == (0, 2, 3, 4)
    assert tokenizer.ordinary.tolist() == [5, 6]


def test_digest_follows_the_definition_not_the_place(tokenizer_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tokenizer_folder, copy)
    assert load_tokenizer(str(copy)).digest == load_tokenizer(tokenizer_folder).digest
    definition = json.loads((copy / "tokenizer.json").read_text())
    definition["model"]["merges"].pop()
    (copy / "tokenizer.json").write_text(json.dumps(definition))
    assert load_tokenizer(str(copy)).digest != load_tokenizer(tokenizer_folder).digest


def test_refusals_say_what_is_missing(tmp_path, tokenizer_folder):
    with pytest.raises(ConfigError, match="no such tokenizer folder"):
        load_tokenizer(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="no tokenizer that transformers can load"):
        load_tokenizer(str(tmp_path))
    bare = tmp_path / "bare"
    shutil.copytree(tokenizer_folder, bare)
    settings_file = Path(bare) / "tokenizer_config.json"
    content = json.loads(settings_file.read_text())
    del content["mask_token"]
    settings_file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="has no mask token"):
        load_tokenizer(str(bare))


def side_of(pieces: list[tuple[int, int]]) -> Encoding:
    return Encoding(
        np.arange(len(pieces), dtype=np.int32), np.asarray(pieces, np.int32).reshape(-1, 2)
    )


def test_a_cut_spares_words():
    text = "aa bbbb cc"
    side = side_of([(0, 2), (2, 5), (5, 7), (7, 10)])  # aa |_bb|bb|_cc
    assert truncate(side, 4, text) is side
    assert truncate(side, 3, text).ids.tolist() == [0, 1, 2]
    shorter = truncate(side_of([(0, 2), (3, 5), (5, 7), (8, 10)]), 2, text)
    assert (shorter.ids.tolist(), shorter.n_truncated) == ([0, 1], 2)  # 1 is not beyond half of 2


def test_a_cut_goes_by_spans_where_there_is_no_space():
    text = "我喜欢吃苹果"
    side = side_of([(i, i + 1) for i in range(6)])
    spans = np.asarray([[0, 1], [1, 3], [3, 4], [4, 6]], np.int32)
    # The fifth character is the first of a word of two: by spans it goes, without them it stays.
    assert len(truncate(side, 5, text, spans).ids) == 4
    assert len(truncate(side, 5, text).ids) == 5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(2, 20))
def test_a_cut_is_a_prefix_within_the_limit(widths, limit):
    ends = np.cumsum(widths)
    side = side_of([(int(e - w), int(e)) for w, e in zip(widths, ends)])
    text = "".join(" " if i % 3 == 0 else "x" for i in range(int(ends[-1])))
    kept = truncate(side, limit, text)
    assert len(kept.ids) <= max(limit, 0)
    assert kept.ids.tolist() == side.ids[: len(kept.ids)].tolist()
    assert kept.n_truncated + len(kept.ids) == len(side.ids)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), max_size=60), st.integers(6, 20), st.integers(1, 8))
def test_a_split_loses_nothing_that_it_does_not_count(widths, limit, parts):
    ends = np.cumsum(widths, dtype=int)
    side = side_of([(int(e - w), int(e)) for w, e in zip(widths, ends)])
    text = "".join(" " if i % 3 == 0 else "x" for i in range(int(sum(widths))))
    pieces = split_subwords(side, limit, text, parts=parts)
    assert 1 <= len(pieces) <= parts
    assert all(len(p.ids) <= limit for p in pieces)
    assert all(len(p.ids) > 0 for p in pieces) or not widths
    kept = [i for p in pieces for i in p.ids.tolist()]
    assert kept == side.ids[: len(kept)].tolist()
    assert len(kept) + pieces[-1].n_truncated == len(side.ids)
    assert not any(p.n_truncated for p in pieces[:-1])
    assert all(len(p.ids) == len(p.offsets) for p in pieces)
    if len(pieces) < parts:
        assert pieces[-1].n_truncated == 0


# Letters and marks that no piece spells, ASCII, flags, a family, stacked Khmer, Hangul jamo.
CLUSTERS = [
    "a",
    "é",
    "e\u0301\u0323",
    "☃",
    "👨\u200d👩\u200d👧",
    "🇩🇪",
    "ខ្ញុំ",
    "क्षि",
    "ᄒ\u1161ᆫ",
    "房子",
    " ",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CLUSTERS), max_size=14), st.integers(1, 30), st.integers(1, 4))
def test_no_cut_is_within_a_grapheme_cluster(byte_tokenizer, clusters, limit, parts):
    """By the clusters that the text was made of, however many bytes each is spelled in."""
    text = "".join(clusters)
    (side,) = byte_tokenizer.encode([text])
    ends = np.cumsum([len(c) for c in clusters], dtype=int).tolist()
    pieces = split_subwords(side, limit, text, parts=parts)
    for piece in (truncate(side, limit, text), *pieces):
        assert len(piece.ids) <= limit
        spelled = piece.offsets[piece.offsets[:, 0] < piece.offsets[:, 1]]
        if len(spelled):
            assert {int(spelled[0, 0]), int(spelled[-1, 1])} <= {0, *ends}
            # Whole characters, so that nothing becomes U+FFFD.
            decoded = byte_tokenizer.pretrained.backend_tokenizer.decode(piece.ids.tolist())
            assert decoded.strip() == text[spelled[0, 0] : spelled[-1, 1]].strip()
    assert sum(len(p.ids) for p in pieces) + pieces[-1].n_truncated == len(side.ids)
    kept = truncate(side, limit, text)
    assert len(kept.ids) + kept.n_truncated == len(side.ids)


def test_a_cluster_longer_than_an_input_is_left_out(byte_tokenizer):
    text = "dog 👨\u200d👩\u200d👧 dog"  # 18 bytes
    (side,) = byte_tokenizer.encode([text])
    pieces = split_subwords(side, 5, text, parts=9)
    assert [p.ids.tolist() for p in pieces] == [side.ids[:1].tolist(), side.ids[-1:].tolist()]
    assert pieces[-1].n_truncated == 19  # and the mark before it
    assert truncate(byte_tokenizer.encode(["👨\u200d👩"])[0], 3, "👨\u200d👩").n_truncated == 12


def test_pieces_have_the_character_they_are_part_of(byte_tokenizer):
    (side,) = byte_tokenizer.encode(["é☃ dog狗"])
    tokens = byte_tokenizer.pretrained.convert_ids_to_tokens(side.ids.tolist())
    assert list(zip(tokens, map(tuple, side.offsets.tolist()))) == [
        ("▁", (0, 0)),  # stands for nothing in the text
        ("<0xC3>", (0, 1)),
        ("<0xA9>", (0, 1)),
        ("<0xE2>", (1, 2)),
        ("<0x98>", (1, 2)),
        ("<0x83>", (1, 2)),
        ("▁dog", (2, 6)),
        ("狗", (6, 7)),
    ]


@pytest.mark.parametrize("text", ["dog </s> dog", "<mask>", "a<unk>房子 <0x41>", "<s>คน"])
def test_special_tokens_in_text_are_text(byte_tokenizer, tokenizer, text):
    (side,) = byte_tokenizer.encode([text])
    assert byte_tokenizer.is_ordinary[side.ids].all()
    assert byte_tokenizer.pretrained.backend_tokenizer.decode(side.ids.tolist()) == text
    (side,) = tokenizer.encode([text])  # one that has no piece for most of it
    specials = set(tokenizer.pretrained.all_special_ids) - {tokenizer.pretrained.unk_token_id}
    assert not specials & set(side.ids.tolist())


@pytest.mark.parametrize("text", ["dog é☃ 房子", "👨\u200d👩 dog", "", "red"])
def test_generated_subwords_are_located_in_what_they_spell(byte_tokenizer, text):
    (side,) = byte_tokenizer.encode([text])
    located, spelled = byte_tokenizer.locate(side.ids)
    assert spelled == text
    whole = side.offsets[:, 0] < side.offsets[:, 1]
    assert located.offsets[whole].tolist() == side.offsets[whole].tolist()


def test_a_broken_character_of_a_generator_is_located_too(byte_tokenizer):
    ids = [byte_tokenizer.vocabulary[t] for t in ("▁dog", "<0xE2>", "▁red", "<0x98>")]
    located, spelled = byte_tokenizer.locate(np.asarray(ids, np.int32))
    assert spelled.startswith("dog")
    assert " red" in spelled
    assert (np.diff(located.offsets[:, 0]) >= 0).all()
    assert located.offsets[-1, 1] == len(spelled)


def test_a_split_spares_words():
    text = "aa bbbb cc dddd"
    side = side_of([(0, 2), (3, 5), (5, 7), (8, 10), (11, 13), (13, 15)])
    pieces = split_subwords(side, 3, text, parts=9)
    assert [p.ids.tolist() for p in pieces] == [[0, 1, 2], [3, 4, 5]]
    # Four would fit bb|bb and cc, but dd|dd stays whole.
    assert [p.ids.tolist() for p in split_subwords(side, 5, text, parts=9)] == [
        [0, 1, 2, 3],
        [4, 5],
    ]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(2, 150))
def test_limits_fill_the_room_and_exceed_no_side(n_src, n_tgt, room):
    s, t = limits(n_src, n_tgt, room)
    assert 0 <= s <= n_src
    assert 0 <= t <= n_tgt
    assert s + t == min(room, n_src + n_tgt)


SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def word_level(words: list[str]) -> tuple[Tokenizer, dict[str, int]]:
    ids = {n: i for i, n in enumerate(SPECIALS)} | {w: 40 * i for i, w in enumerate(words, 1)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer, ids


def word_piece(words: list[str]) -> tuple[Tokenizer, dict[str, int]]:
    # The holes lie before the special tokens here, so that the largest id is the mask's.
    pieces = [words[0], *(f"##{w}" for w in words)]
    ids = {w: 3 * i for i, w in enumerate([*words, *dict.fromkeys(pieces[1:])])}
    ids |= {n: 880 + 5 * i for i, n in enumerate(SPECIALS)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer, ids


def bpe(words: list[str]) -> tuple[Tokenizer, dict[str, int]]:
    letters = sorted({c for word in words for c in word})
    ids = {n: i for i, n in enumerate(SPECIALS)} | {c: 900 - 7 * i for i, c in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(ids, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer, ids


@pytest.mark.parametrize("make", [word_level, word_piece, bpe])
def test_ids_with_holes_are_trained_on_tuned_and_evaluated(make, config, tmp_path, capfd):
    """22 tokens, the largest id 900: what needs a row for each token needs one for each id."""
    backend, ids = make(["the", "red", "dog", "sees", "a", "كلب", "أحمر", "يرى"])
    named = ("bos", "pad", "eos", "unk", "mask")
    folder = str(tmp_path / "tokenizer")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, **dict(zip((f"{n}_token" for n in named), SPECIALS))
    )
    fast.save_pretrained(folder)
    capfd.readouterr()  # the library warns of the holes as it writes them
    tokenizer = load_tokenizer(folder)
    assert tokenizer.size == max(ids.values()) + 1 > len(tokenizer.vocabulary)
    assert tokenizer.ordinary.tolist() == sorted(i for n, i in ids.items() if n not in SPECIALS)
    run = str(tmp_path / "run")
    pretrain(config(tokenizer=folder, steps=2), run)
    (tmp_path / "task.tsv").write_text("the dog\tكلب\tyes\nred\tأحمر\tno\n" * 4, "utf-8")
    source = {"file": str(tmp_path / "task.tsv"), "language": "en"}
    settings = {"model": run, "train": [source], "epochs": 1, "max_length": 32, "device": "cpu"}
    made = parse_config(FinetuneConfig, settings, base=tmp_path)
    assert finetune(made, str(tmp_path / "tuned")).loss > 0
    pairs = config().data[0].dataset
    found = evaluate(run, task="perplexity", data=[pairs], split="all")["results"]["aligned"]
    assert all(1 < figures["perplexity"]["value"] < 2000 for figures in found.values())
