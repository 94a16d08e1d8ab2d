"""`backtranslate` through the command line, with a checkpoint trained here."""

import io
import json
import shutil
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sentencepiece
import torch
from apache_beam import Create, Pipeline
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from transformers import MarianConfig, MarianMTModel, MarianTokenizer

from bitextile.kernels.model_digest import encoder_digest, model_digest
from bitextile.schema.dataset import open_dataset, verify_dataset
from bitextile.schema.errors import OutputExistsError
from bitextile.schema.kinds import MONO
from bitextile.trainer.generate.checkpoint import model_tokenizer
from bitextile.trainer.generate.length_ratios import measure_ratios
from bitextile.transforms.batches import TrackedRows
from bitextile.transforms.write import WriteDataset

# What 40 steps have taught is the commonest token everywhere; drawn among the best 20, its words
# stutter, and the translation filter, which has tests of its own, must keep them.
LOOSE = ("--top-k", "20", "--max-repetition", "1")
# The sample has pairs with English only; between two others a ratio must be given.
CHINESE = ("--length-ratio", "de,zh=1.0")


@pytest.fixture(scope="module")
def made(world, call, tmp_path_factory) -> str:
    out = str(tmp_path_factory.mktemp("made") / "pseudo")
    given = ("--model", world.model, "--to", "de:2,en,zh", "--pairs", world.pairs, *CHINESE)
    assert call("backtranslate", world.mono, *given, "--out", out, "--workers", "1", *LOOSE) == 0
    return out


def test_every_sentence_has_a_pseudo_pair_or_a_reject(made, world) -> None:
    manifest = verify_dataset(made).manifest
    source = open_dataset(world.mono).table()
    train = source.filter(pc.equal(source["split"], "train"))
    assert manifest.counts.read == len(train) > 100
    rows = open_dataset(made).table().to_pylist()
    texts = dict(zip(train["text_id"].to_pylist(), train["text"].to_pylist()))
    assert len(rows) > 50
    for row in rows:
        assert texts[row["text_id"]] == row["src"]
        assert row["src_lang"] != row["tgt_lang"]
        assert row["tgt_tokens"]
        assert row["score"] < 0
    assert {row["generator"] for row in rows} == {f"camlm {encoder_digest(world.model)}"}


def test_the_manifest_names_model_settings_and_ratios(made, world) -> None:
    manifest = open_dataset(made).manifest
    digests = [entry["digest"] for entry in manifest.inputs]
    assert encoder_digest(world.model) in digests
    config = manifest.config
    assert (config["engine"], config["to"]) == ("camlm", {"de": 2.0, "en": 1.0, "zh": 1.0})
    assert (config["top_k"], config["mask_predict_passes"], config["seed"]) == (20, 0, 0)
    ratio = measure_ratios(model_tokenizer(world.model), [world.pairs])["de", "en"]
    assert config["length_ratios"]["de -> en"] == ratio
    assert config["length_ratios"]["de -> zh"] == 1.0
    assert config["translation_filter"]["scripts"]["en"] == ["LATIN"]
    assert "CJK" in config["translation_filter"]["scripts"]["zh"]


@pytest.mark.slow
def test_two_workers_write_the_same_digest(world, call, tmp_path) -> None:
    languages = ("--to", "en,zh", "--pairs", world.pairs, *CHINESE)
    given = ("--model", world.model, *languages, "--mask-predict-passes", "1", *LOOSE)
    mono = write(open_dataset(world.mono).table(), tmp_path / "mono")
    outs = [str(tmp_path / workers) for workers in ("1", "2")]
    for workers, out in zip("12", outs):
        assert call("backtranslate", mono, *given, "--out", out, "--workers", workers) == 0
    one, two = (open_dataset(out).manifest for out in outs)
    assert one.digest == two.digest
    assert one.counts == two.counts
    assert one.rows > 10


def write(table: pa.Table, path: Path) -> str:
    with Pipeline(runner=FnApiRunner()) as root:
        kept = root | Create(table.combine_chunks().to_batches())
        read = root | "Read" >> Create([table.num_rows])
        rows = max(table.num_rows // 8, 1)
        _ = TrackedRows(kept, (), read) | WriteDataset(str(path), MONO, max_shard_rows=rows)
    return str(path)


def test_it_is_reused_only_with_the_same_settings(made, world, call, capsys) -> None:
    given = ("--model", world.model, "--to", "de:2,en,zh", "--pairs", world.pairs, *CHINESE, *LOOSE)
    arguments = ("backtranslate", world.mono, *given, "--out", made, "--reuse")
    assert call(*arguments) == 0
    assert "reused" in capsys.readouterr().err
    assert call(*arguments, "--seed", "1") == OutputExistsError.exit_code
    assert "--reuse cannot" in capsys.readouterr().err


def test_a_sentence_that_does_not_fit_is_among_the_rejects(world, call, tmp_path) -> None:
    rows = open_dataset(world.mono).table(key="de").slice(0, 3).to_pylist()
    rows[1] |= {"text": "Haus " * 300, "text_id": "f" * 32}
    mono = write(pa.Table.from_pylist(rows, schema=MONO.schema), tmp_path / "mono")
    given = ("--model", world.model, "--to", "en", "--pairs", world.pairs, "--split", "all")
    out = str(tmp_path / "out")
    assert call("backtranslate", mono, *given, "--out", out, *LOOSE) == 0
    assert open_dataset(out).manifest.counts.rejected["too_long_for_model/1"] == 1
    verify_dataset(out)


def test_what_is_wrong_is_said_in_a_sentence(world, call, capsys, tmp_path, train) -> None:
    def refused(*arguments: str, code: int = 2, model: str = world.model) -> str:
        out = str(tmp_path / "refused")
        assert call("backtranslate", world.mono, "--model", model, "--out", out, *arguments) == code
        assert not Path(out).exists()
        (said,) = capsys.readouterr().err.splitlines()
        return said

    mlm = train(world.pairs, world.model, objective="tlm", steps=1, warmup_steps=1)
    plain = train(world.pairs, world.model, language_embeddings=False, steps=1, warmup_steps=1)
    capsys.readouterr()
    assert "no embedding for ja" in refused("--to", "ja")
    assert "en, and --to names no other language" in refused("--to", "en")
    assert "no length ratio of de -> zh" in refused("--to", "zh,en", "--pairs", world.pairs)
    assert "expected SRC,TGT, two languages" in refused("--to", "en,de", "--length-ratio", "en=2")
    assert "is not a number" in refused("--to", "en,de", "--length-ratio", "en,de=x")
    assert "--beam-size is not an option of --engine camlm" in refused(
        "--to", "en", "--beam-size", "2"
    )
    given = ("--engine", "seq2seq", "--to", "en,de")
    assert "is not an encoder-decoder" in refused(*given)
    assert "--mask-predict-passes is not an option of --engine seq2seq" in refused(
        *given, "--mask-predict-passes", "1"
    )
    given = ("--engine", "ctranslate2", "--to", "en,de")
    assert "--mask-predict-passes is not an option of --engine ctranslate2" in refused(
        *given, "--mask-predict-passes", "1"
    )
    assert "--top-k is not an option of --engine ctranslate2" in refused(*given, "--top-k", "5")
    assert "'magic' is not one of 'camlm'" in refused("--to", "en", "--engine", "magic")
    assert "'dev' is not one of 'train'" in refused("--to", "en", "--split", "dev")
    assert "no such folder" in refused("--to", "en", model=str(tmp_path / "none"))
    assert "never with camlm" in refused("--to", "en,de", model=mlm)
    assert "has no language embeddings" in refused("--to", "en,de", model=plain)


def test_a_folder_with_a_pickle_or_another_tokenizer_is_refused(
    world, call, capsys, tmp_path
) -> None:
    for name in ("pickle", "other"):
        shutil.copytree(world.model, tmp_path / name)
    (tmp_path / "pickle/model.safetensors").rename(tmp_path / "pickle/pytorch_model.bin")
    (tmp_path / "pickle/languages.safetensors").unlink()
    definition = json.loads((tmp_path / "other/tokenizer.json").read_text())
    definition["model"]["vocab"][-1][0] = "another"
    (tmp_path / "other/tokenizer.json").write_text(json.dumps(definition))
    for name, said in (("pickle", "pickled weights are not read"), ("other", "its tokenizer is")):
        out = str(tmp_path / "out")
        given = ("--model", str(tmp_path / name), "--to", "en,de", "--pairs", world.pairs)
        assert call("backtranslate", world.mono, *given, *CHINESE, "--out", out) == 2
        assert said in capsys.readouterr().err
        assert not Path(out).exists()


def test_a_dataset_without_sentences_is_refused(world, call, capsys, tmp_path) -> None:
    empty = write(open_dataset(world.mono).table().slice(0, 0), tmp_path / "empty")
    given = ("--model", world.model, "--to", "en", "--out", str(tmp_path / "out"))
    assert call("backtranslate", empty, *given) == 1
    assert "has no sentence of split train" in capsys.readouterr().err


def test_what_is_no_translation_goes_to_rejects_with_its_rule(world, call, tmp_path) -> None:
    out = str(tmp_path / "out")  # the commonest token is a lone word boundary: no text at all
    given = (
        "--model",
        world.model,
        "--to",
        "de,en",
        "--pairs",
        world.pairs,
        "--mask-predict-passes",
        "1",
    )
    assert call("backtranslate", world.mono, *given, "--out", out) == 0
    manifest = verify_dataset(out).manifest
    assert manifest.counts.rejected["empty/1"] + manifest.rows == manifest.counts.read
    assert manifest.counts.rejected["empty/1"] > 100


def test_a_split_without_sentences_in_some_shards(world, call, tmp_path) -> None:
    # A shard of which nothing is taken is an empty batch on the way.
    table = open_dataset(world.mono).table(key="de")
    few = pc.equal(table["split"], "valid")
    mono = write(table.filter(few).slice(0, 1).combine_chunks(), tmp_path / "mono")
    given = ("--model", world.model, "--to", "en", "--pairs", world.pairs, "--split", "valid")
    assert call("backtranslate", mono, *given, "--out", str(tmp_path / "out"), *LOOSE) == 0
    assert open_dataset(str(tmp_path / "out")).manifest.counts.read == 1


@pytest.fixture(scope="module")
def marian(world, tmp_path_factory) -> str:
    """A random Marian model over pieces of the sample."""
    folder, written = tmp_path_factory.mktemp("marian"), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(open_dataset(world.mono).table()["text"].to_pylist()),
        model_writer=written,
        vocab_size=300,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    names = [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size())]
    vocabulary = {name: i for i, name in enumerate(["</s>", "<unk>", *names, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(written.getvalue())
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MarianTokenizer(*files).save_pretrained(folder)
    pad = len(vocabulary) - 1
    sizes = {f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in SIZES}
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=pad + 1, d_model=16, pad_token_id=pad, decoder_start_token_id=pad,
        eos_token_id=0, forced_eos_token_id=0, max_position_embeddings=64, **sizes,
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return str(folder)


SIZES = ("layers", "attention_heads", "ffn_dim")


@pytest.mark.slow
def test_an_encoder_decoder_writes_the_same_on_two_workers(marian, world, call, tmp_path) -> None:
    table = open_dataset(world.mono).table(key="de")
    mono = write(table, tmp_path / "mono")
    given = ("--model", marian, "--engine", "seq2seq", "--to", "en", "--top-k", "50")
    for workers in "12":
        out = str(tmp_path / workers)
        assert call("backtranslate", mono, *given, "--out", out, "--workers", workers) == 0
    one, two = (verify_dataset(str(tmp_path / workers)).manifest for workers in "12")
    assert one.digest == two.digest
    assert one.counts.read == pc.sum(pc.equal(table["split"], "train")).as_py()
    assert (one.config["engine"], one.config["beam_size"], one.config["top_k"]) == (
        "seq2seq",
        4,
        50,
    )
    assert "length_ratios" not in one.config
    assert one.rows > 0
    generators = set(open_dataset(str(tmp_path / "1")).table()["generator"].to_pylist())
    assert generators == {f"seq2seq {encoder_digest(marian)}"}


@pytest.fixture(scope="module")
def converted(marian, tmp_path_factory) -> str:
    """The same as CTranslate2's converter writes it."""
    reason = "ctranslate2 is not installed: bitextile[ctranslate2]"
    converters = pytest.importorskip("ctranslate2.converters", reason=reason)
    names = ["source.spm", "target.spm", "vocab.json", "tokenizer_config.json"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        made = converters.TransformersConverter(marian, copy_files=names)
        return made.convert(str(tmp_path_factory.mktemp("converted") / "model"))


@pytest.mark.slow
def test_a_converted_model_writes_the_same_on_two_workers(converted, world, call, tmp_path) -> None:
    mono = write(open_dataset(world.mono).table(key="de"), tmp_path / "mono")
    given = ("--model", converted, "--engine", "ctranslate2", "--to", "en", "--beam-size", "2")
    given += ("--max-repetition", "1")
    for workers in "12":
        out = str(tmp_path / workers)
        assert call("backtranslate", mono, *given, "--out", out, "--workers", workers) == 0
    one, two = (verify_dataset(str(tmp_path / workers)).manifest for workers in "12")
    assert (one.digest, one.counts) == (two.digest, two.counts)
    assert one.rows > 10
    digest = model_digest(converted)
    assert digest in [entry["digest"] for entry in one.inputs]
    assert (one.config["engine"], one.config["beam_size"]) == ("ctranslate2", 2)
    generators = set(open_dataset(str(tmp_path / "1")).table()["generator"].to_pylist())
    assert generators == {f"ctranslate2 {digest}"}


def test_the_digest_takes_in_what_a_converted_model_reads(converted, tmp_path) -> None:
    copied = shutil.copytree(converted, tmp_path / "model")
    (copied / "README.md").write_text("a card")
    before = model_digest(str(copied))
    assert before == model_digest(converted)
    for path in sorted(copied.iterdir()):
        if path.name != "README.md":
            content = path.read_bytes()
            path.write_bytes(content + b" ")
            assert model_digest(str(copied)) != before, path.name
            path.write_bytes(content)


def test_what_ctranslate2_cannot_load_is_said_in_a_sentence(
    converted, marian, world, call, capsys, tmp_path
) -> None:
    broken = shutil.copytree(converted, tmp_path / "broken")
    (broken / "model.bin").write_bytes(b"no model")
    mono = write(open_dataset(world.mono).table(key="de"), tmp_path / "mono")
    for model, code, said in (
        (marian, 2, "is not a CTranslate2 model; convert it"),
        (str(broken), 2, "CTranslate2 cannot load it"),
        (str(tmp_path / "none"), 2, "no such folder"),
    ):
        given = ("--model", model, "--engine", "ctranslate2", "--to", "en", "--split", "all")
        out = str(tmp_path / "out")
        assert call("backtranslate", mono, *given, "--out", out) == code
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
        assert not Path(out).exists()
