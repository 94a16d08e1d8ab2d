"""Our tags as the codes of translation models: the tokenizers of transformers, tiny."""

import io
import json
import warnings
from pathlib import Path

import pytest
import sentencepiece
from transformers import M2M100Tokenizer, MarianTokenizer, MBart50Tokenizer, NllbTokenizer

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.language_codes import code_id, code_of, known_codes, matching_codes
from bitextile.trainer.generate.translator import (
    Translator,
    check_directions,
    load_pretrained_tokenizer,
)

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]
# Ordinary pieces that are spelled like tags.
WORDS = ["▁dog", "▁red", "fr", "de", "zh", "<", "/", "s", ">", "_", "▁"]


def nllb(folder: Path) -> None:
    vocab = {name: i for i, name in enumerate([*SPECIALS, *WORDS])}
    NllbTokenizer(vocab=vocab, merges=[]).save_pretrained(folder)


def mbart(folder: Path) -> None:
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((w, -5.0) for w in WORDS)]
    MBart50Tokenizer(vocab=[list(p) for p in pieces]).save_pretrained(folder)


def pieces_of(folder: Path) -> list[str]:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the red dog < / s > _ d e f r a"] * 20), model_writer=written,
        vocab_size=40, model_type="bpe", minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    made = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    for name in ("source.spm", "target.spm", "sentencepiece.bpe.model"):
        (folder / name).write_bytes(written.getvalue())
    found = (made.id_to_piece(i) for i in range(made.get_piece_size()))
    return [piece for piece in found if piece not in SPECIALS]


def write_vocabulary(folder: Path, names: list[str]) -> str:
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    return str(folder / "vocab.json")


def m2m(folder: Path) -> None:
    vocabulary = write_vocabulary(folder, [*SPECIALS, *pieces_of(folder)])
    M2M100Tokenizer(vocabulary, str(folder / "sentencepiece.bpe.model")).save_pretrained(folder)


def marian(folder: Path) -> None:
    codes = [">>fra<<", ">>spa<<", ">>pt_br<<", ">>cmn_Hans<<"]
    vocabulary = write_vocabulary(folder, ["</s>", "<unk>", *pieces_of(folder), *codes, "<pad>"])
    files = (str(folder / "source.spm"), str(folder / "target.spm"), vocabulary)
    MarianTokenizer(*files).save_pretrained(folder)


MODELS = {"nllb": nllb, "mbart": mbart, "m2m": m2m, "marian": marian}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    made = {}
    for name, save in MODELS.items():
        folder = tmp_path_factory.mktemp(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save(folder)
        made[name] = str(folder)
    return made


FOUND = [
    *(("nllb", tag, code) for tag, code in {
        "fr": "fra_Latn", "de": "deu_Latn", "ar": "arb_Arab", "zh-Hant": "zho_Hant",
        "ko": "kor_Hang", "sr": "srp_Cyrl", "fa": "pes_Arab", "fa-AF": "prs_Arab",
        "sw": "swh_Latn", "yue": "yue_Hant", "en-GB": "eng_Latn", "zh-Hant-HK": "zho_Hant",
        "nb": "nob_Latn", "fil": "tgl_Latn", "uz": "uzn_Latn",
    }.items()),
    *(("mbart", tag, code) for tag, code in {
        "fr": "fr_XX", "de": "de_DE", "ar": "ar_AR", "zh": "zh_CN", "zh-Hans": "zh_CN",
        "en": "en_XX", "pt-BR": "pt_XX", "fil": "tl_XX",
    }.items()),
    *(("m2m", tag, code) for tag, code in {
        "fr": "fr", "de": "de", "zh": "zh", "fil": "tl", "en-US": "en",
    }.items()),
    *(("marian", tag, code) for tag, code in {
        "fr": "fra", "es": "spa", "pt-BR": "pt_br", "zh": "cmn_Hans",
    }.items()),
]  # fmt: skip


@pytest.mark.parametrize(("model", "tag", "code"), FOUND)
def test_a_tag_is_found_whatever_the_code_looks_like(folders, model, tag, code) -> None:
    tokenizer = load_pretrained_tokenizer(folders[model])
    assert code_of(tokenizer, tag, given={}, folder="m") == code
    token = known_codes(tokenizer)[code]
    found = code_id(tokenizer, code, tag=tag, folder="m")
    assert tokenizer.convert_ids_to_tokens([found]) == [token]
    assert code in token


@pytest.mark.parametrize(
    ("model", "tag", "message"),
    [
        ("nllb", "zh", r"several codes of language 'zh': zho_Hans, zho_Hant; .*zh=zho_Hans\)$"),
        ("nllb", "sr-Latn", r"knows no language 'sr-Latn'; name its code .*sr-Latn=CODE\)$"),
        ("nllb", "la", r"knows no language 'la'"),
        ("mbart", "el", r"knows no language 'el'"),
        ("m2m", "zh-Hant", r"knows no language 'zh-Hant'"),
        ("marian", "de", r"knows no language 'de'"),
    ],
)
def test_what_is_not_one_language_is_refused(folders, model, tag, message) -> None:
    tokenizer = load_pretrained_tokenizer(folders[model])
    with pytest.raises(ConfigError, match=message):
        code_of(tokenizer, tag, given={}, folder="m")


@pytest.mark.parametrize("model", ["nllb", "mbart"])
def test_a_piece_that_is_spelled_like_a_tag_is_no_code(folders, model) -> None:
    """NLLB has a piece `fr`; it would have been the first token of every translation."""
    tokenizer = load_pretrained_tokenizer(folders[model])
    assert tokenizer.convert_tokens_to_ids("fr") != tokenizer.unk_token_id
    with pytest.raises(ConfigError, match="knows no language 'fr'; name its code for fr"):
        code_id(tokenizer, "fr", tag="fr", folder="m")


def test_a_code_that_is_given_goes_first(folders) -> None:
    tokenizer = load_pretrained_tokenizer(folders["nllb"])
    codes = {"zh": "zho_Hant", "la": "ita_Latn"}
    found = check_directions(tokenizer, {("zh", "la")}, codes=codes, folder="m")
    assert tokenizer.convert_ids_to_tokens(found) == ["ita_Latn", "zho_Hant"]  # by tag


@pytest.mark.parametrize("tag", ["en", "bos", "sep", "pad", "unk"])
def test_special_tokens_of_other_roles_are_no_codes(tag) -> None:
    class Named:
        all_special_tokens = ("bos", "sep", "pad", "unk", "fra_Latn", "<mask>")
        bos_token, sep_token, pad_token, unk_token = "bos", "sep", "pad", "unk"

    assert known_codes(Named()) == {"fra_Latn": "fra_Latn"}
    assert matching_codes(tag, tuple(known_codes(Named()))) == ()


class Reading(Translator):
    """Gives only its sources."""

    def translate(self, batches):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("model", "tgt", "before", "after"),
    [
        ("nllb", "fr", ["eng_Latn"], ["</s>"]),
        ("mbart", "fr", ["en_XX"], ["</s>"]),
        ("m2m", "fr", ["__en__"], ["</s>"]),
        ("marian", "fr", [">>fra<<"], ["</s>"]),
        ("marian", "zh", [">>cmn_Hans<<"], ["</s>"]),
    ],
)
def test_a_source_is_text_between_the_tokens_of_the_model(
    folders, model, tgt, before, after
) -> None:
    run = Reading(folders[model], generator="g", codes={})
    texts = ["red dog", "red </s> dog", "<pad>", ">>fra<< red", "__fr__ fra_Latn"]
    plain, *others = run._encode(texts, "en", tgt)
    tokens = run.tokenizer.convert_ids_to_tokens(plain)
    n = len(before)
    assert (tokens[:n], tokens[-1:]) == (before, after)
    assert plain == run._encode(["red dog"], "en", tgt)[0]
    special = set(run.tokenizer.all_special_ids) - {run.tokenizer.unk_token_id}
    special |= {code_id(run.tokenizer, "fra", tag="fr", folder="m")} if model == "marian" else set()
    for ids in others:
        assert run.tokenizer.convert_ids_to_tokens(ids)[:n] == before
        assert not special & set(ids[n:-1])
        assert len(ids) > n + 1


def test_a_marian_model_of_several_targets_translates_into_each(folders) -> None:
    tokenizer = load_pretrained_tokenizer(folders["marian"])
    ways = {("en", "fr"), ("en", "es"), ("de", "fr")}
    found = check_directions(tokenizer, ways, codes={}, folder="m")
    assert tokenizer.convert_ids_to_tokens(found) == [">>spa<<", ">>fra<<"]
