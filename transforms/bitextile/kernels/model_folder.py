"""Model folders, which may come from anybody: the one way in which transformers loads from them.

No file of a folder is run or unpickled, nothing is fetched, no question is asked on the terminal,
and no file outside the folder is read. Whatever a folder holds, a `ConfigError` says in one
sentence why it cannot be used. The classes of transformers are given by the caller, so that torch
is not imported here.
"""

import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bitextile.schema.confinement import refuse_outside
from bitextile.schema.errors import BitextileError, ConfigError

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 64 << 20
"""A larger JSON file of a model folder is not read; tokenizer.json, which the tokenizers library
reads, takes 17 MB for the 250,002 pieces of XLM-R."""

_JSON_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.safetensors.index.json",
)

# Scripts, the longest of their letters, what normalisers change, nothing at all: on one of these a
# tokenizer that panics for some text does, most of the time.
_PROBES = ("", " ", "a", "the dog", "ﬁ ½ É", "मुझे", "犬が走る", "السلام", "👩‍👩‍👧", "\0", "x" * 300)


def load_pretrained(
    loader: Any, folder: str, *, expected: str, weights: bool = False, **options: Any
) -> Any:
    """Returns what a class of transformers makes of a local folder, code and pickles left alone.

    Args:
        loader: class with `from_pretrained`, such as AutoModel, AutoConfig or AutoTokenizer.
        folder: as `save_pretrained` writes it.
        expected: what is looked for, such as "tokenizer", for messages.
        weights: whether weights are loaded; they must be safetensors then.
        options: more arguments of `from_pretrained`.

    Raises:
        ConfigError: the folder is not there, or transformers cannot load it.
    """
    check_model_folder(folder)
    # False, not None: without a word, transformers asks on the terminal whether to run code.
    options |= {"local_files_only": True, "trust_remote_code": False}
    if weights:
        options["use_safetensors"] = True
        _check_geometry(folder)
    refusal = f"{folder}: no {expected} that transformers can load"
    with model_errors(refusal, advice=_advice(Path(folder))):
        loaded = loader.from_pretrained(folder, **options)
        if backend := getattr(loaded, "backend_tokenizer", None):
            _try_out(backend)
    # With `output_loading_info` a pair, of which the first is the model.
    without_code(loaded[0] if isinstance(loaded, tuple) else loaded)
    return loaded


def load_weights(
    loader: Any, folder: str, *, expected: str, **options: Any
) -> tuple[Any, tuple[str, ...]]:
    """Returns a model, and the names of its weights that the folder does not have.

    Those are fresh, drawn from torch's generator: the caller seeds it, or refuses the folder.
    What transformers reports of a folder's weights is not shown; what is wrong with them, a
    sentence says.

    Args:
        loader: class of models with `from_pretrained`.
        folder: as `save_pretrained` writes it.
        expected: what is looked for, for messages.
        options: more arguments of `from_pretrained`.

    Raises:
        ConfigError: the folder cannot be loaded, or its weights have other shapes than its
            configuration says.
    """
    # Or else the sizes are named in the report alone, which is not shown.
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    with _report_unheard():
        model, report = load_pretrained(loader, folder, expected=expected, weights=True, **options)
    for name, found, wanted in sorted(report["mismatched_keys"]):
        raise ConfigError(
            f"{folder}: the weights {name} are {_size(found)}, expected {_size(wanted)} by "
            "config.json; is it that of the same model?"
        )
    body = f"{model.base_model_prefix}."
    # A pooler and the head of another task have no use here; numbers of positions are no weights.
    idle = ("pooler", "position_ids")
    unused = [n for n in sorted(report["unexpected_keys"]) if not any(part in n for part in idle)]
    if unused := [name for name in unused if name.startswith(body)]:
        logger.warning(
            "%s: %d of its weights have no place in the model that config.json describes, such as "
            "%s; they are left out",
            folder,
            len(unused),
            unused[0],
        )
    return model, tuple(sorted(report["missing_keys"]))


def check_whole(folder: str, missing: Sequence[str]) -> None:
    """Raises ConfigError if weights are missing, which would be noise.

    Args:
        folder: of the model.
        missing: names of them.
    """
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigError(
            f"{folder}: its weights lack {missing[0]}{others}; is it the whole model?"
        )


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


@contextmanager
def _report_unheard() -> Iterator[None]:
    """Keeps transformers' table of missing and unexpected weights off the screen."""
    # The logger that its set_verbosity_error sets.
    library = logging.getLogger("transformers")
    before = library.level
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(before)


def build_from_config(loader: Any, config: Any, *, refusal: str) -> Any:
    """Returns a model with fresh weights; the configuration may come from anybody.

    Args:
        loader: class with `from_config`.
        config: a configuration of transformers.
        refusal: how the sentence begins that says why it cannot be made.

    Raises:
        ConfigError: transformers does not accept it.
    """
    without_code(config)
    with model_errors(refusal):
        return loader.from_config(config, trust_remote_code=False)


def without_code(loaded: Any) -> None:
    """Takes away the names of code that a model, configuration or tokenizer came with.

    What is saved of it would ask the next one to run that code.
    """
    for part in (loaded, getattr(loaded, "config", loaded)):
        vars(part).pop("auto_map", None)
        getattr(part, "init_kwargs", {}).pop("auto_map", None)


def check_model_folder(folder: str) -> None:
    """Checks what a folder says of itself before a library reads it.

    Raises:
        ConfigError: it is not there, a JSON file in it is damaged or too large, or it names files
            outside itself, pickles, code or another model.
    """
    place = Path(folder)
    refuse_outside(place)
    if not place.is_dir():
        raise ConfigError(f"{folder}: no such model folder; give a local one")
    for path in place.iterdir():
        refuse_outside(path)  # libraries follow links by themselves
    if (place / "adapter_config.json").is_file():
        raise ConfigError(
            f"{folder}: is an adapter (adapter_config.json), which names another model; merge the "
            "two and save the whole"
        )
    found = {path.name: read_json(path) for name in _JSON_FILES for path in place.glob(name)}
    room = found.get("tokenizer_config.json", {}).get("model_max_length")
    if not isinstance(room, int | float | None):
        raise ConfigError(f"{folder}: model_max_length is {room!r}, expected a number of tokens")
    config = found.get("config.json", {})
    if named := config.get("transformers_weights"):
        _check_weight_names(folder, "config.json", [named])
    for name, content in found.items():
        if name.endswith(".index.json"):
            weight_map = content.get("weight_map")
            files = list(weight_map.values()) if isinstance(weight_map, dict) else [weight_map]
            _check_weight_names(folder, name, files)
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        # "owner/name" would be looked for among the kernels of a hub: compiled code.
        if "/" in json.dumps(config.get(key)):
            raise ConfigError(f"{folder}: config.json names code of its own ({key}); remove that")


def _check_geometry(folder: str) -> None:
    """Raises ConfigError for a configuration of which the model cannot be made of these weights.

    transformers would first build all it declares, in hours or until memory ends.
    """
    place = Path(folder)
    if not (place / "config.json").is_file():
        return  # transformers says that it is missing
    # Each layer has tensors of its own, at least one.
    n_tensors = sum(map(_count_tensors, place.glob("*.safetensors")))
    if not n_tensors:
        return  # the same of weights
    for key, value in read_json(place / "config.json").items():
        layers = "layers" in key and isinstance(value, int) and value > n_tensors
        labels = key == "num_labels" and isinstance(value, int) and value > _MAX_LABELS
        if layers or labels:
            raise ConfigError(
                f"{folder}: config.json has {key} {value:,}, expected at most "
                f"{n_tensors if layers else _MAX_LABELS:,}; is it that of the same model?"
            )


_MAX_LABELS = 1_000_000


def _count_tensors(path: Path) -> int:
    with path.open("rb") as file:
        # https://huggingface.co/docs/safetensors: the header's length, 8 bytes, and JSON.
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, MAX_JSON_BYTES))
    return header.count(b'"data_offsets"')


def _check_weight_names(folder: str, where: str, names: list[Any]) -> None:
    for name in names:
        plain = isinstance(name, str) and Path(name).name == name and "\\" not in name
        if not (plain and name.endswith((".safetensors", ".safetensors.index.json"))):
            raise ConfigError(
                f"{folder}: {where} names {name!r} as a file of weights; expected the name of a "
                "*.safetensors in the same folder"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file of a model folder.

    Raises:
        ConfigError: it holds something else, or is damaged, too large or nested too deeply.
    """
    content = read_json_value(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds a {type(content).__name__}, expected an object")
    return content


def read_json_value(path: Path) -> Any:
    """Returns what a JSON file of a model folder holds, of whatever type.

    Raises:
        ConfigError: it is damaged, too large or nested too deeply.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise ConfigError(f"{path}: has {size:,} bytes, expected at most {MAX_JSON_BYTES:,}")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is damaged ({first_line(error)})") from error


@contextmanager
def model_errors(refusal: str, *, advice: str = "") -> Iterator[None]:
    """Turns whatever a library makes of bad input, a panic of Rust too, into a ConfigError.

    What a panic prints is not shown; all else that is printed is.

    Args:
        refusal: how the sentence begins, before the reason in brackets.
        advice: how it goes on behind them.
    """
    try:
        with _panic_unheard():
            yield
    except BitextileError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise  # Ctrl-C, or the end of the process
        raise ConfigError(f"{refusal} ({first_line(error)}){advice}") from error


def is_panic(error: BaseException) -> bool:
    """Returns whether an error is a panic of a library in Rust.

    Its class derives from BaseException and has no module to be imported from.
    """
    return type(error).__name__ == "PanicException"


def first_line(reason: BaseException | str) -> str:
    """Returns the first line of a reason, 200 characters at most; the class of a silent error."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    text = lines[0] if lines else type(reason).__name__
    return text if len(text) <= _MAX_REASON else text[:_MAX_REASON] + "..."


_MAX_REASON = 200


def _advice(folder: Path) -> str:
    names = [name for name in ("config.json", "tokenizer_config.json") if (folder / name).is_file()]
    if any("auto_map" in read_json(folder / name) for name in names):
        return "; it brings code of its own (auto_map), which is never run"
    return "; expected a folder as save_pretrained writes it"


def _try_out(backend: Any) -> None:
    """Encodes and decodes a few texts, as a tokenizer may panic at the first one only."""
    for text in _PROBES:
        for special in (False, True):
            # A text that a tokenizer has no token for is no reason to refuse it.
            with suppress(Exception):
                backend.encode([text], is_pretokenized=True, add_special_tokens=special)
                backend.decode(backend.encode(text, add_special_tokens=special).ids)


# Two threads at once would take each other's file for the terminal.
_STDERR = threading.RLock()


@contextmanager
def _panic_unheard() -> Iterator[None]:
    """Drops what is written to the terminal's error stream if a panic ends the block.

    Rust prints a panic to file descriptor 2 before Python hears of it.
    """
    with _STDERR:
        try:
            sys.stderr.flush()
            kept = os.dup(2)
        except (OSError, ValueError, AttributeError):  # there is no such stream
            yield
            return
        with tempfile.TemporaryFile() as heard:
            os.dup2(heard.fileno(), 2)
            panic = False
            try:
                yield
            except BaseException as error:
                panic = is_panic(error)
                raise
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                os.close(kept)
                heard.seek(0)
                if not panic:
                    os.write(2, heard.read())
