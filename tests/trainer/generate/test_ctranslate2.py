"""Converted models beside what they were made from: transformers is the oracle.

CTranslate2's search ends when as many sentences as it has beams are finished; so does that of
transformers with `early_stopping`, and then both define the same translation of a Marian model. For
a model with language tokens they divide by different lengths, so those are compared without beams.
"""

import io
import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    NllbTokenizer,
)

from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import Ctranslate2Config, Seq2seqConfig
from bitextile.trainer.generate.ctranslate2 import Ctranslate2Engine
from bitextile.trainer.generate.seq2seq import Seq2seqEngine

pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed: bitextile[ctranslate2]")
from ctranslate2.converters import TransformersConverter

SAYING = "the red dog sees a small house birds sing old trees near blue"
WORDS = SAYING.split()
GENERATOR = np.random.default_rng(0)
TEXTS = [" ".join(GENERATOR.choice(WORDS, size=n)) for n in GENERATOR.integers(1, 9, 60)]
GEOMETRY = {"d_model": 16, "max_position_embeddings": 40, "encoder_layers": 1, "decoder_layers": 1}
GEOMETRY |= {f"{side}_ffn_dim": 24 for side in ("encoder", "decoder")}
GEOMETRY |= {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}
CODES = {"ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn"}


def make_talk(model: torch.nn.Module, last_norm: torch.nn.LayerNorm, scale: float) -> None:
    """Makes random weights say what a sentence's words decide, and sentences end.

    A bias on the last norm along the vector of </s> raises its logit, everywhere by as much.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(scale / 2 if "shared" in name else scale)
        vector = model.lm_head.weight[model.config.eos_token_id]
        last_norm.bias.copy_(2 * vector / (vector @ vector))


def convert(folder: Path) -> str:
    """Returns the folder that CTranslate2's converter makes of a folder, with its tokenizer."""
    names = ("config.json", "generation_config.json", "model.safetensors")
    copied = [path.name for path in folder.iterdir() if path.name not in names]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        made = TransformersConverter(str(folder), copy_files=copied)
        return made.convert(f"{folder}-ctranslate2")


@pytest.fixture(scope="module")
def marian(tmp_path_factory) -> Path:
    folder, written = tmp_path_factory.mktemp("models") / "marian", io.BytesIO()
    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 5), model_writer=written, vocab_size=60,
        model_type="bpe", minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    names = [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
    names = ["</s>", "<unk>", *names, "<pad>"]
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(written.getvalue())
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MarianTokenizer(*files).save_pretrained(folder)
    pad = len(names) - 1
    ids = {"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0}
    torch.manual_seed(4)
    model = MarianMTModel(MarianConfig(vocab_size=len(names), **ids, **GEOMETRY))
    make_talk(model, model.model.decoder.layers[-1].final_layer_norm, scale=24)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def nllb(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "nllb"
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=specials, show_progress=False)
    learnt.train_from_iterator(TEXTS, trainer)
    bpe = json.loads(learnt.to_str())["model"]
    tokenizer = NllbTokenizer(
        vocab=bpe["vocab"],
        merges=[tuple(merge) for merge in bpe["merges"]],
        extra_special_tokens=list(CODES.values()),
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(4)
    model = M2M100ForConditionalGeneration(M2M100Config(vocab_size=len(tokenizer), **GEOMETRY))
    make_talk(model, model.model.decoder.layer_norm, scale=48)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small(marian) -> str:
    return convert(marian)


@pytest.fixture(scope="module")
def large(nllb) -> str:
    return convert(nllb)


def translator(folder: str, **settings):
    config = Ctranslate2Config(**settings)
    return Ctranslate2Engine(folder=folder, digest="sha256:0", config=config).load()


def oracle(folder: Path, **settings):
    config = Seq2seqConfig(**settings)
    run = Seq2seqEngine(folder=str(folder), digest="sha256:0", config=config).load()
    run.model.generation_config.early_stopping = config.beam_size > 1
    run.model.generation_config.forced_eos_token_id = None  # when there is no room left
    if isinstance(run.model, MarianMTModel):  # conversion drops <pad>, the last token
        run.model.final_logits_bias[0, run.tokenizer.pad_token_id] = -1e4
    return run


def assert_same(made: pa.RecordBatch, expected: pa.RecordBatch) -> None:
    for row, other in zip(made.to_pylist(), expected.to_pylist(), strict=True):
        assert row["tgt_tokens"] == other["tgt_tokens"]
        assert row["score"] == pytest.approx(other["score"], abs=1.1e-3)  # of two roundings
        assert row.pop("generator") == "ctranslate2 sha256:0"
        same = set(row) - {"score"}
        assert {name: row[name] for name in same} == {name: other[name] for name in same}
    assert len(set(made["tgt"].to_pylist())) > len(made) / 4
    assert len(set(made["score"].to_pylist())) > len(made) / 4


@pytest.mark.parametrize("beams", [1, 4])
def test_it_says_what_the_model_said_before(marian, small, requests, beams) -> None:
    rows = requests(TEXTS)
    made = translator(small, beam_size=beams)(rows).kept
    assert_same(made, oracle(marian, beam_size=beams)(rows).kept)


@pytest.mark.parametrize("tgt_lang", ["de", "ar"])
def test_a_multilingual_model_is_told_both_languages(nllb, large, requests, tgt_lang) -> None:
    for lang in ("en", "de", "ar"):
        if lang != tgt_lang:
            rows = requests(TEXTS, lang, tgt_lang)
            made = translator(large, beam_size=1, language_codes=CODES)(rows).kept
            assert_same(made, oracle(nllb, beam_size=1, language_codes=CODES)(rows).kept)
            said = {token for tokens in made["tgt_tokens"].to_pylist() for token in tokens}
            assert not said & set(CODES.values())


def test_a_row_is_the_same_whatever_stands_beside_it(small, requests) -> None:
    run, rows = translator(small), requests(TEXTS)
    made = run(rows).kept
    order = GENERATOR.permutation(len(TEXTS))
    assert run(rows.take(pa.array(order))).kept.equals(made.take(pa.array(order)))
    longest = max(range(len(TEXTS)), key=lambda i: len(run.tokenizer(TEXTS[i])["input_ids"]))
    for i in (0, 7):  # the longest of a batch says how long translations may get
        alone = run(rows.take(pa.array([i, longest]))).kept
        assert alone.slice(0, 1).equals(made.slice(i, 1))


def test_the_bytes_are_the_same_on_any_number_of_threads(small, requests, monkeypatch) -> None:
    rows = requests([f"{a} {b}" for a in TEXTS for b in TEXTS[:10]])
    before = torch.get_num_threads()
    made = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            run = translator(small)
            assert run.threads == threads
            made.append(run(rows).kept)
    finally:
        torch.set_num_threads(before)
    assert made[0].equals(made[1])


def test_a_sentence_longer_than_the_model_is_rejected(small, requests) -> None:
    run = translator(small)
    assert run.max_tokens == 40  # positions; the tokenizer would say 512
    longest = " ".join(["sing"] * 39)
    assert len(run.tokenizer(longest)["input_ids"]) == 40
    made = run(requests([TEXTS[1], longest, f"{longest} sing", ""]))
    assert made.kept["src"].to_pylist() == [TEXTS[1], longest, ""]
    assert made.rejects["rule"].to_pylist() == ["too_long_for_model/1"]
    assert made.rejects["value"].to_pylist() == [41.0]


def engine(folder: str | Path, *directions: tuple[str, str], **settings) -> Ctranslate2Engine:
    config = Ctranslate2Config(**settings)
    made = Ctranslate2Engine(folder=str(folder), digest="x", config=config)
    made.check(directions)
    return made


def test_what_a_model_cannot_translate_is_refused(small, large) -> None:
    engine(small, ("en", "de"))
    engine(large, ("en", "de"), ("de", "ar"), language_codes=CODES)
    with pytest.raises(ConfigError, match="translates one way only, but de -> en, en -> de"):
        engine(small, ("en", "de"), ("de", "en"))
    with pytest.raises(ConfigError, match=r"knows no language 'tlh'.*--language-code tlh=CODE"):
        engine(large, ("en", "tlh"), language_codes=CODES)


def test_what_is_no_converted_model_is_refused(marian, small, large, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"has no model\.bin.*ct2-transformers-converter"):
        engine(marian, ("en", "de"))

    def copied(name: str, source: str) -> Path:
        return Path(shutil.copytree(source, tmp_path / name))

    bare = copied("bare", small)
    for name in ("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"):
        (bare / name).unlink()
    with pytest.raises(ConfigError, match="no tokenizer that transformers can load"):
        engine(bare, ("en", "de"))
    other = copied("other", small)
    vocabulary = json.loads((other / "vocab.json").read_text())
    vocabulary["▁Haus"] = vocabulary.pop("▁house")
    (other / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ConfigError, match="its tokenizer has 1 pieces, as '▁Haus'"):
        engine(other, ("en", "de"))
    broken = copied("broken", small)
    (broken / "model.bin").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="CTranslate2 cannot load it"):
        engine(broken, ("en", "de")).load()


def test_a_model_converted_without_its_language_tokens_is_refused(
    marian, small, tmp_path, monkeypatch
) -> None:
    # As the converter leaves them out of M2M-100 where transformers does not list them.
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    names = json.loads((folder / "vocab.json").read_text())
    (folder / "sentencepiece.bpe.model").write_bytes((folder / "source.spm").read_bytes())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "M2M100Tokenizer"})
    )
    names |= {"<s>": len(names)}
    (folder / "vocab.json").write_text(json.dumps(names))
    # <s> is known to the model, so that the language token is all that is missing.
    known = json.loads((folder / "shared_vocabulary.json").read_text())
    (folder / "shared_vocabulary.json").write_text(json.dumps([*known, "<s>"]))
    with pytest.raises(ConfigError, match="converted without the language token __de__"):
        engine(folder, ("en", "de"))


def test_without_the_package_it_says_what_to_install(small, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ConfigError, match=r"not installed; pip install 'bitextile\[ctranslate2\]'"):
        engine(small, ("en", "de"))


def cut(name: str, size: int):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def put(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut("model.bin", 0), "CTranslate2 cannot load it .*incomplete"),
        (cut("model.bin", 100), "CTranslate2 cannot load it .*incomplete"),
        (put("model.bin", b"\xff" * 500), "CTranslate2 cannot load it .*version"),
        (put("shared_vocabulary.json", b"{"), "shared_vocabulary.json: is damaged"),
        (put("shared_vocabulary.json", b"[" * 100_000), "shared_vocabulary.json: is damaged"),
        (put("shared_vocabulary.json", b"7"), "that the model's vocabulary lacks"),
        (put("config.json", b"[1]"), "config.json: holds a list"),
        (put("source.spm", b"\xff" * 200), "no tokenizer that transformers can load"),
        (cut("source.spm", 500), "no tokenizer that transformers can load"),
        (put("source.spm", b""), "no tokenizer that transformers can load"),
    ],
)
def test_a_damaged_model_is_one_sentence(small, tmp_path, damage, reason) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "model"))
    damage(folder)
    engine = Ctranslate2Engine(folder=str(folder), digest="sha256:0", config=Ctranslate2Config())

    def use() -> None:
        engine.check([("en", "de")])
        engine.load()

    with pytest.raises(ConfigError, match=reason) as error:
        use()
    assert "\n" not in str(error.value)
