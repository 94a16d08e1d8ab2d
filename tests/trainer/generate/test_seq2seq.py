"""Encoder-decoders: tiny random Marian and M2M-100 models, one sentence at a time as the oracle."""

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece
import torch
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
)

from bitextile.kernels.randomness import hash64, uniform
from bitextile.schema.errors import ConfigError
from bitextile.trainer.generate.config import Seq2seqConfig
from bitextile.trainer.generate.seq2seq import Seq2seqEngine

TEXTS = ["the red dog sees a small house", "birds sing", "old trees near the blue house", "the dog"]
GEOMETRY = {"d_model": 16, "max_position_embeddings": 40, "encoder_layers": 1, "decoder_layers": 1}
GEOMETRY |= {f"{side}_ffn_dim": 24 for side in ("encoder", "decoder")}
GEOMETRY |= {f"{side}_attention_heads": 2 for side in ("encoder", "decoder")}


@pytest.fixture(scope="module")
def pieces() -> tuple[bytes, list[str]]:
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20), model_writer=written, vocab_size=60,
        model_type="bpe", minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    made = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    specials = ("<s>", "</s>", "<unk>")
    found = [made.id_to_piece(i) for i in range(made.get_piece_size())]
    return written.getvalue(), [p for p in found if p not in specials]


def saved(model: torch.nn.Module, folder: Path) -> str:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(12)  # so that a sentence's words decide what is said
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def marian(pieces, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("marian")
    names = ["</s>", "<unk>", *pieces[1], "<pad>"]
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(pieces[0])
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MarianTokenizer(
            *(str(folder / name) for name in ("source.spm", "target.spm", "vocab.json"))
        ).save_pretrained(folder)
    pad = len(names) - 1
    torch.manual_seed(4)
    ids = {"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0}
    config = MarianConfig(vocab_size=len(names), forced_eos_token_id=0, **ids, **GEOMETRY)
    return saved(MarianMTModel(config), folder)


@pytest.fixture(scope="module")
def m2m(pieces, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("m2m")
    names = ["<s>", "<pad>", "</s>", "<unk>", *pieces[1]]
    (folder / "sentencepiece.bpe.model").write_bytes(pieces[0])
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(4)
    size = max(tokenizer.get_lang_id(code) for code in tokenizer.lang_code_to_token) + 9
    return saved(M2M100ForConditionalGeneration(M2M100Config(vocab_size=size, **GEOMETRY)), folder)


def translator(folder: str, **settings):
    config = Seq2seqConfig(**settings)
    return Seq2seqEngine(folder=folder, digest="sha256:0", config=config).load()


def alone(run, text: str, **more) -> list[int]:
    ids = torch.tensor([run.tokenizer(text)["input_ids"]])
    # The longest sentence of the batch decides how long a translation may get.
    max_length = min(
        run.max_tokens, 2 * max(len(run.tokenizer(t)["input_ids"]) for t in TEXTS) + 10
    )
    with torch.no_grad():
        return run.model.generate(input_ids=ids, max_length=max_length, do_sample=False, **more)[
            0
        ].tolist()


def words(run, ids: list[int], left_out: tuple[int, ...] = ()) -> list[str]:
    special = {*run.tokenizer.all_special_ids, *left_out}
    return run.tokenizer.convert_ids_to_tokens([i for i in ids[1:] if i not in special])


@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_is_translated_as_each_sentence_alone(marian, requests, beams) -> None:
    run = translator(marian, beam_size=beams)
    made = run(requests(TEXTS)).kept.to_pylist()
    for text, row in zip(TEXTS, made, strict=True):
        ids = alone(run, text, num_beams=beams)
        assert row["tgt_tokens"] == words(run, ids)
        source = torch.tensor([run.tokenizer(text)["input_ids"]])
        with torch.no_grad():
            logits = run.model(input_ids=source, decoder_input_ids=torch.tensor([ids[:-1]])).logits
        log_probs = logits[0].log_softmax(1)[torch.arange(len(ids) - 1), ids[1:]]
        special = run.tokenizer.all_special_ids
        shown = [float(p) for p, i in zip(log_probs, ids[1:]) if i not in special]
        assert row["score"] == pytest.approx(np.mean(shown), abs=6e-4)
        assert row["generator"] == "seq2seq sha256:0"
    assert len({tuple(row["tgt_tokens"]) for row in made}) > 1


def test_a_multilingual_model_is_told_both_languages(m2m, requests) -> None:
    run = translator(m2m, beam_size=2)
    for lang, tgt_lang in (("en", "de"), ("fr", "ar")):
        made = run(requests(TEXTS, lang, tgt_lang)).kept.to_pylist()
        run.tokenizer.src_lang = lang
        first = run.tokenizer.get_lang_id(tgt_lang)
        for text, row in zip(TEXTS, made, strict=True):
            ids = alone(run, text, num_beams=2, forced_bos_token_id=first)
            assert ids[1] == first
            assert row["tgt_tokens"] == words(run, ids, (first,))


def test_samples_are_keyed_by_record_and_step(marian, requests) -> None:
    run, rows = translator(marian, top_k=4, seed=2), requests(TEXTS)
    made = run(rows).kept
    key = hash64(rows.column("text_id"))
    for i, (text, row) in enumerate(zip(TEXTS, made.to_pylist(), strict=True)):
        source = torch.tensor([run.tokenizer(text)["input_ids"]])
        ids = [run.model.config.decoder_start_token_id]
        for step in range(1, len(row["tgt_tokens"]) + 1):
            with torch.no_grad():
                logits = run.model(input_ids=source, decoder_input_ids=torch.tensor([ids])).logits[
                    0, -1
                ]
            logits[run.tokenizer.pad_token_id] = -torch.inf
            best = logits.topk(4)
            shares = best.values.double().softmax(0).cumsum(0).numpy()
            drawn = uniform(key[i : i + 1], seed=2, operation="backtranslate/token", position=step)[
                0
            ]
            ids.append(int(best.indices[np.searchsorted(shares, drawn, side="right")]))
        assert words(run, ids) == row["tgt_tokens"]
    order = [2, 0, 3, 1]
    again = run(rows.take(pa.array(order))).kept["tgt"].to_pylist()
    assert again == [made["tgt"].to_pylist()[i] for i in order]
    assert translator(marian, top_k=4, seed=3)(rows).kept["tgt"] != made["tgt"]


def test_a_sentence_longer_than_the_model_is_rejected(marian, requests) -> None:
    made = translator(marian)(requests([TEXTS[1], "the red dog " * 20, ""]))
    assert made.kept["src"].to_pylist() == [TEXTS[1], ""]
    assert made.rejects["rule"].to_pylist() == ["too_long_for_model/1"]


def test_what_a_model_cannot_translate_is_refused(marian, m2m, random_model, tmp_path) -> None:
    def check(folder: str, *directions: tuple[str, str], **settings) -> None:
        config = Seq2seqConfig(**settings)
        Seq2seqEngine(folder=folder, digest="x", config=config).check(directions)

    check(marian, ("en", "de"))
    check(m2m, ("en", "de"), ("de", "ar"))
    with pytest.raises(ConfigError, match="translates one way only, but de -> en, en -> de"):
        check(marian, ("en", "de"), ("de", "en"))
    with pytest.raises(ConfigError, match=r"knows no language 'tlh'.*--language-code tlh=CODE"):
        check(m2m, ("en", "tlh"))
    check(m2m, ("en", "tlh"), language_codes={"tlh": "de"})
    with pytest.raises(ConfigError, match="is not an encoder-decoder"):
        check(random_model, ("en", "de"))


def test_a_pickle_is_never_loaded(marian, tmp_path) -> None:
    for path in Path(marian).iterdir():
        name = "pytorch_model.bin" if path.suffix == ".safetensors" else path.name
        (tmp_path / name).write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match="pickles are not loaded"):
        translator(str(tmp_path))
