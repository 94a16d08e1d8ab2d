"""A model folder as one digest over the files that decide what the model says."""

import hashlib
from fnmatch import fnmatch
from pathlib import Path

from bitextile.schema.errors import ConfigError

MODEL_FILES = (
    "config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.spm",
    "generation_config.json",
    "model.bin",
    "*_vocabulary*.json",
    "*_vocabulary*.txt",
    "vmap.txt",
)
"""What of a model folder decides what it says; logs and cards beside it do not. The last four are
CTranslate2's."""


def encoder_digest(folder: str) -> str:
    """Returns a sha256 over an encoder's weight, configuration and tokenizer files.

    Args:
        folder: with config.json and *.safetensors.

    Raises:
        ConfigError: no such folder, or no encoder in it.
    """
    check_encoder(folder)
    return model_digest(folder)


def model_digest(folder: str) -> str:
    """Returns the same for a folder of any model, as `encoder_digest` for an encoder's.

    Args:
        folder: of a model of transformers or CTranslate2.

    Raises:
        ConfigError: no such folder.
    """
    digest = hashlib.sha256()
    for path in _model_files(folder):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        # By name and content, without the folder: a copy of a model elsewhere is the same model.
        digest.update(f"{path.name} {inner}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def check_encoder(folder: str) -> None:
    """Raises ConfigError unless a folder holds an encoder of transformers in safetensors."""
    found = [path.name for path in _model_files(folder)]
    if "config.json" not in found:
        raise ConfigError(f"encoder {folder}: has no config.json; expected a transformers model")
    # Unpickling runs what a file says; safetensors holds numbers only.
    if not any(name.endswith(".safetensors") for name in found):
        raise ConfigError(
            f"encoder {folder}: has no *.safetensors; pickled weights are not read, save the model "
            "again with a current transformers"
        )


def _model_files(folder: str) -> list[Path]:
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(
            f"encoder {folder!r}: no such folder; encoders are read from local folders as "
            "save_pretrained writes them, never by name from a hub"
        )
    names = sorted(p.name for p in place.iterdir() if p.is_file())
    return [place / n for n in names if any(fnmatch(n, pattern) for pattern in MODEL_FILES)]
