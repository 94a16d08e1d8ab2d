"""Model folders from anybody: nothing of theirs runs, and what is wrong with one is a sentence."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: bitextile[train]")

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    PreTrainedTokenizerFast,
)

from bitextile.kernels.model_folder import build_from_config, load_pretrained, model_errors
from bitextile.kernels.tokenizer.text_encoder import TextEncoder
from bitextile.schema.errors import BitextileError, ConfigError, InputError

Edit = Callable[[Path], None]
GEOMETRY = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2}
GEOMETRY |= {"intermediate_size": 16, "max_position_embeddings": 32}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "good"
    specials = {"pad_token": "<pad>", "cls_token": "<s>", "sep_token": "</s>"}
    specials |= {"mask_token": "<mask>", "unk_token": "<unk>"}
    words = [*specials.values(), "dog", "كلب", "犬"]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, **specials).save_pretrained(folder)
    BertForMaskedLM(BertConfig(vocab_size=len(words), **GEOMETRY)).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def changed(name: str, **values: object) -> Edit:
    def edit(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | values
        (folder / name).write_text(json.dumps(content))

    return edit


def written(name: str, content: str | bytes) -> Edit:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw) and None


def indexed(weight_map: object) -> Edit:
    def edit(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "part.safetensors")
        content = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return edit


def load(loader: type, folder: Path, *, weights: bool) -> object:
    more = {"dtype": torch.float32} if weights else {}
    return load_pretrained(loader, str(folder), expected="thing", weights=weights, **more)


CODE = {"AutoConfig": "evil.C", "AutoModel": "evil.M", "AutoModelForMaskedLM": "evil.M"}
EVIL = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n"

BAD_MODELS: list[tuple[str, Edit, str]] = [
    ("code", changed("config.json", model_type="x", auto_map=CODE), "auto_map.*never run"),
    ("no json", written("config.json", "{"), "config.json: is damaged"),
    ("nested", written("config.json", '{"a":' * 100_000), "damaged .maximum recursion"),
    ("array", written("config.json", "[]"), "holds a list, expected an object"),
    ("unknown", changed("config.json", model_type="x"), "no thing that transformers can load"),
    ("type", changed("config.json", model_type=["bert"]), "no thing that transformers"),
    ("activation", changed("config.json", hidden_act="eval"), "no thing that transformers"),
    ("negative", changed("config.json", vocab_size=-1), "no thing that transformers"),
    ("huge", changed("config.json", vocab_size=10**12), "no thing that transformers"),
    ("layers", changed("config.json", num_hidden_layers=10**9), "num_hidden_layers 1,000,000,000"),
    ("labels", changed("config.json", num_labels=10**9), "num_labels 1,000,000,000, expected"),
    ("kernel", changed("config.json", attn_implementation="evil/code"), "code of its own"),
    ("pickle", changed("config.json", transformers_weights="adapter_model.bin"), "adapter_model"),
    ("adapter", written("adapter_config.json", "{}"), "is an adapter"),
    ("noise", written("model.safetensors", b"\xff" * 100), "no thing that transformers"),
    ("none", written("model.safetensors", b""), "no thing that transformers"),
    ("outside", indexed({"a": "../good/model.safetensors"}), "in the same folder"),
    ("absolute", indexed({"a": "/etc/passwd.safetensors"}), "in the same folder"),
    ("bin", indexed({"a": "pytorch_model.bin"}), "in the same folder"),
    ("number", indexed({"a": 3}), "in the same folder"),
    ("no map", indexed(None), "in the same folder"),
    ("empty map", indexed({}), "no thing that transformers"),
]


@pytest.mark.parametrize(
    ("edit", "reason"), [b[1:] for b in BAD_MODELS], ids=[b[0] for b in BAD_MODELS]
)
@pytest.mark.parametrize("loader", [AutoModel, AutoModelForMaskedLM])
def test_a_bad_model_is_one_sentence(folder, edit, reason, loader) -> None:
    (folder / "evil.py").write_text(EVIL)
    edit(folder)
    with pytest.raises(ConfigError, match=reason) as error:
        load(loader, folder, weights=True)
    assert "\n" not in str(error.value)
    assert not (folder / "ran").exists()


def charsmap(content: bytes) -> dict[str, str]:
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


SEQUENCE = {"Sequence": {"id": "A", "type_id": 0}}
TEMPLATE = {"type": "TemplateProcessing", "pair": [SEQUENCE], "special_tokens": {}}
TEMPLATE["single"] = [{"SpecialToken": {"id": "absent", "type_id": 0}}, SEQUENCE]
CUT = {"type": "FixedLength", "length": 0}

# The first four make the library panic, some when it reads them and some at the first text.
BAD_TOKENIZERS: list[tuple[str, Edit, str]] = [
    ("no map", changed("tokenizer.json", normalizer=charsmap(b"")), "precompiled_charsmap"),
    ("map", changed("tokenizer.json", normalizer=charsmap(b"\x10\0\0\0" + b"\xff" * 16)), "index"),
    ("template", changed("tokenizer.json", post_processor=TEMPLATE), "no entry found"),
    ("length", changed("tokenizer.json", pre_tokenizer=CUT), "non-zero"),
    ("nested", written("tokenizer.json", '{"a":' * 100_000), "no thing"),
    ("null", written("tokenizer.json", "null"), "no thing that transformers can load"),
    ("list", written("tokenizer_config.json", "[]"), "holds a list, expected an object"),
    ("class", changed("tokenizer_config.json", tokenizer_class=7), "no thing"),
    ("room", changed("tokenizer_config.json", model_max_length="x"), "model_max_length is 'x'"),
]


@pytest.mark.parametrize(
    ("edit", "reason"), [b[1:] for b in BAD_TOKENIZERS], ids=[b[0] for b in BAD_TOKENIZERS]
)
def test_a_bad_tokenizer_is_one_sentence_and_a_panic_is_not_printed(
    folder, edit, reason, capfd
) -> None:
    edit(folder)
    with pytest.raises(ConfigError, match=reason) as error:
        load(AutoTokenizer, folder, weights=False)
    assert "\n" not in str(error.value)
    assert "panicked" not in capfd.readouterr().err


def test_code_of_a_folder_is_left_alone_and_its_name_is_not_passed_on(folder, tmp_path) -> None:
    for name in ("evil.py", "pathlib.py"):
        (folder / name).write_text(EVIL)
    changed("config.json", auto_map=CODE)(folder)
    changed("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]})(folder)
    for loader, weights in ((AutoModel, True), (AutoConfig, False), (AutoTokenizer, False)):
        load(loader, folder, weights=weights).save_pretrained(tmp_path / "saved")
        for saved in (tmp_path / "saved").glob("*.json"):
            assert "evil" not in saved.read_text()
    config = BertConfig(**GEOMETRY, vocab_size=8, auto_map=CODE)
    assert type(build_from_config(AutoModel, config, refusal="no")).__name__ == "BertModel"
    assert not (folder / "ran").exists()


def test_no_question_is_asked_on_the_terminal(folder) -> None:
    (folder / "evil.py").write_text(EVIL)
    changed("config.json", model_type="x", auto_map=CODE)(folder)
    command = [sys.executable, "-m", "bitextile.pipelines.cli.main", "evaluate", str(folder)]
    gold = folder / "gold.tsv"
    gold.write_text("a\tb\n")
    for task in ("perplexity", "retrieval", "alignment", "classification"):
        call = [*command, "--task", task, "--data", str(gold), "--out", str(folder / "o.json")]
        ended = subprocess.run(call, input="y\ny\n", capture_output=True, text=True, timeout=200)
        assert ended.returncode in (1, 2), ended
        assert "[y/N]" not in ended.stdout + ended.stderr
        assert not (folder / "ran").exists()
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr


def test_what_is_not_of_a_panic_is_printed_and_ctrl_c_passes(capfd) -> None:
    with model_errors("no"):
        os.write(2, b"heard\n")
    with pytest.raises(KeyboardInterrupt), model_errors("no"):
        raise KeyboardInterrupt
    with pytest.raises(InputError), model_errors("no"):
        raise InputError("as it is")
    with pytest.raises(ConfigError, match=r"^no \(too\); do$"), model_errors("no", advice="; do"):
        raise ZeroDivisionError(os.write(2, b"too\n") and "too")
    assert capfd.readouterr().err == "heard\ntoo\n"


@pytest.mark.parametrize("text", ["dog", "كلب", "犬"])
def test_a_panic_at_a_text_is_an_error_of_the_input(good, text) -> None:
    definition = json.loads((good / "tokenizer.json").read_text()) | {"pre_tokenizer": CUT}
    encoder = TextEncoder(
        Tokenizer.from_str(json.dumps(definition)), special_ids=[0], unknown_id=None
    )
    with pytest.raises(InputError, match=r"cannot cut a text .*non-zero"):
        encoder.encode_batch([text])


def test_a_folder_that_is_fine_loads(folder) -> None:
    tensors = load_file(folder / "model.safetensors")
    model = load(AutoModelForMaskedLM, folder, weights=True)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in tensors.items())
    save_file(tensors, folder / "part.safetensors", {"format": "pt"})
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "part.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    again = load(AutoModelForMaskedLM, folder, weights=True)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in tensors.items())


def test_pickles_are_never_read(folder) -> None:
    class Run:
        def __reduce__(self):
            return (os.system, (f"touch {folder}/ran",))

    content = io.BytesIO()
    torch.save({"a": Run()}, content)
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.pt", "tf_model.h5", "adapter_model.bin"):
        (folder / name).write_bytes(content.getvalue())
    for loader in (AutoModel, AutoModelForMaskedLM):
        with pytest.raises(BitextileError, match="no thing that transformers can load"):
            load(loader, folder, weights=True)
    assert not (folder / "ran").exists()
