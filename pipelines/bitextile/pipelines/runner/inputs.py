"""What a command was given: files with their digests, for manifests and for `--reuse`."""

from collections.abc import Iterable

from pyarrow import fs

from bitextile.kernels.bitext.dictionary.source import DictionarySource
from bitextile.kernels.readers.archives import archive_member
from bitextile.kernels.readers.source import CorpusSource
from bitextile.schema.dataset import Dataset, open_dataset
from bitextile.schema.errors import InputError
from bitextile.schema.manifest import Manifest
from bitextile.schema.storage import file_sha256, filesystem


def file_inputs(sources: Iterable[CorpusSource]) -> tuple[dict[str, str], ...]:
    """Returns path (as the recipe names it), size in bytes and sha256 of each source's files.

    Raises:
        InputError: a file is not there.
    """
    found: dict[str, dict[str, str]] = {}
    for source in sources:
        # By the name in the recipe: a resolved path would bring this machine's folders into the
        # manifest.
        for name, file in zip(source.names, source.files, strict=True):
            # Two corpora may name one file (another column of it); it is hashed once.
            if name not in found:
                # Of an archive its own digest: the member's place is in the name.
                found[name] = {"path": name, **_fingerprint(archive_member(file)[0], _hint(source))}
    return tuple(found.values())


def check_files(sources: Iterable[CorpusSource]) -> None:
    """Raises InputError for a file that is not there."""
    for source in sources:
        for file in source.files:
            _size(archive_member(file)[0], _hint(source))


def _hint(source: CorpusSource) -> str:
    return f"(corpus {source.corpus}); check the recipe's `files`"


def _fingerprint(path: str, hint: str) -> dict[str, str]:
    size = _size(path, hint)
    return {"digest": f"sha256:{file_sha256(path)}", "bytes": str(size)}


def _size(path: str, hint: str) -> int:
    filesystem_, place = filesystem(path)
    info = filesystem_.get_file_info(place)
    if info.type != fs.FileType.File:
        raise InputError(f"{path}: no such file {hint}")
    return int(info.size)


def plain_inputs(paths: Iterable[str]) -> tuple[dict[str, str], ...]:
    """Returns path, size in bytes and sha256 of files that no recipe names.

    Raises:
        InputError: a file is not there.
    """
    return tuple(
        {"path": path, **_fingerprint(archive_member(path)[0], "here; check the path")}
        for path in paths
    )


def dictionary_input(source: DictionarySource) -> dict[str, str]:
    """Returns a dictionary that was read as a manifest's `inputs` names it.

    Args:
        source: with its format found, as `read_dictionary` returns it.
    """
    if source.format == "lexicon":
        return dataset_input(open_dataset(source.path))
    return plain_inputs([source.path])[0]


def dataset_input(dataset: Dataset) -> dict[str, str]:
    """Returns a dataset as a manifest's `inputs` names it."""
    return {"path": dataset.path, "digest": dataset.manifest.digest}


def dataset_bytes(*manifests: Manifest) -> int:
    """Returns how much the shards take in memory, about: three times their compressed size."""
    return 3 * sum(shard.bytes for manifest in manifests for shard in manifest.shards)
