"""The manifest: the description of a dataset, written last; without it there is no dataset."""

import json
import re
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from bitextile.schema.errors import DatasetError, SchemaError
from bitextile.schema.json_file import MAX_BYTES, parse_json
from bitextile.schema.kinds import Kind, get_kind
from bitextile.schema.storage import exists, filesystem, is_local, write_atomically

FORMAT = "bitextile/1"
FILE_NAME = "manifest.json"

# A manifest may come from anywhere; no path in it leads out of its own folder.
_SHARD_PATH = re.compile(r"(data/[A-Za-z0-9-]+|rejects)/part-\d{5,}-of-\d{5,}\.parquet")

# Of a file or folder that is no shard: nothing hidden, and neither . nor ..
_FILE_NAME = re.compile(r"[^./\\_\0][^/\\\0]*")


@dataclass(frozen=True)
class Shard:
    """One Parquet file: path relative to the dataset, rows, size in bytes, sha256 in hex."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class OtherFile:
    """A file that is no shard, such as of an aligner's model: its path, size and sha256 in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Counts:
    """What happened to the rows: read = kept + rejected, by rule."""

    read: int
    kept: int
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, repr=False)
class Manifest:
    """A dataset's description.

    Attributes:
        kind: name of the dataset kind.
        schema_version: of that kind.
        columns: column name to its Arrow type, in file order.
        shards: of the data, sorted by path.
        rejects: shards of the dropped rows, sorted by path.
        files: all others, sorted by path; no part of the digest. None if it was written by a
            version that did not list them.
        counts: of rows, over all language pairs.
        keys: language pair or language to its rows, languages and statistics.
        config: the command and every option that shaped the rows.
        inputs: path and digest of each dataset or file read.
        software: name to version.
        created: UTC, ISO 8601; volatile, so not part of the digest.
    """

    kind: str
    schema_version: int
    columns: dict[str, str]
    shards: tuple[Shard, ...]
    counts: Counts
    rejects: tuple[Shard, ...] = ()
    files: tuple[OtherFile, ...] | None = ()
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[dict[str, str], ...] = ()
    software: dict[str, str] = field(default_factory=dict)
    created: str = ""

    def __repr__(self) -> str:
        parts = f"{self.rows:,} rows, {len(self.shards)} shards, {len(self.keys)} keys"
        return f"Manifest({self.kind}, {parts})"

    @property
    def rows(self) -> int:
        """Rows over all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def digest(self) -> str:
        """`sha256:...` over kind, schema and shards: equal digests mean equal rows and bytes."""
        # Not over config, inputs, software or time: two runs that give the same rows have the same
        # digest.
        shards = [[s.path, s.rows, s.sha256] for s in self.shards]
        content = [self.kind, self.schema_version, list(self.columns.items()), shards]
        return "sha256:" + sha256(json.dumps(content).encode()).hexdigest()

    def to_json(self) -> str:
        """Returns the manifest as it is written, ending in a newline."""
        body = {"format": FORMAT, "kind": self.kind, "schema_version": self.schema_version}
        body |= {"rows": self.rows, "digest": self.digest} | asdict(self)
        return json.dumps(body, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Manifest":
        """Reads a manifest back.

        Args:
            text: the file's content.
            where: its path, for messages.

        Raises:
            DatasetError: it is not a manifest, or its digest is not that of its shards.
            SchemaError: its format or schema version is newer than this software knows.
        """
        try:
            body = parse_json(text)
            if body["format"] != FORMAT:
                raise SchemaError(
                    f"{where}: format is {body['format']!r}, expected {FORMAT!r}; "
                    "read it with the version that wrote it"
                )
            # No default fills a gap: a manifest that lacks a field was not written by `to_json`.
            fields = {name: body[name] for name in cls.__dataclass_fields__ if name != "files"}
            # But for this one, which came later.
            files = body.get("files")
            fields["files"] = None if files is None else tuple(OtherFile(**f) for f in files)
            fields["shards"] = tuple(Shard(**s) for s in body["shards"])
            fields["rejects"] = tuple(Shard(**s) for s in body["rejects"])
            fields["counts"] = Counts(**body["counts"])
            fields["inputs"] = tuple(body["inputs"])
            manifest = cls(**fields)
            digest, written = manifest.digest, body["digest"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{where}: not a bitextile manifest ({type(error).__name__}: {error}); "
                "write the dataset again"
            ) from error
        if digest != written:
            raise DatasetError(
                f"{where}: digest is {written}, but its shards give {digest}; "
                "the manifest was changed by hand or damaged: write the dataset again"
            )
        _refuse_paths_outside(manifest, where)
        manifest.check_version(where)
        return manifest

    def check_version(self, where: str) -> Kind:
        """Returns the kind; raises SchemaError if this software does not know its version."""
        kind = get_kind(self.kind)
        if self.schema_version > kind.version:
            raise SchemaError(
                f"{where}: {self.kind} has schema version {self.schema_version}, this software "
                f"reads up to {kind.version}; upgrade bitextile"
            )
        return kind


def _refuse_paths_outside(manifest: Manifest, where: str) -> None:
    for shard in (*manifest.shards, *manifest.rejects):
        # JSON may hold any type here; fullmatch, as `$` would let a final newline pass.
        if not isinstance(shard.path, str) or not _SHARD_PATH.fullmatch(shard.path):
            raise DatasetError(
                f"{where}: shard {shard.path!r} lies outside the dataset's data and rejects; "
                "this manifest was not written by bitextile: do not trust it"
            )
    for file in manifest.files or ():
        parts = file.path.split("/") if isinstance(file.path, str) else ["/"]
        if parts[0] in ("data", "rejects", FILE_NAME) or not all(map(_FILE_NAME.fullmatch, parts)):
            raise DatasetError(
                f"{where}: file {file.path!r} lies outside the dataset or among its shards; "
                "this manifest was not written by bitextile: do not trust it"
            )


def write_manifest(dataset: str, manifest: Manifest) -> None:
    """Writes `manifest` into the folder `dataset`, atomically: the dataset exists from then on."""
    write_atomically(f"{dataset}/{FILE_NAME}", manifest.to_json().encode())


def read_manifest(dataset: str) -> Manifest:
    """Reads the manifest of the folder `dataset`.

    Raises:
        DatasetError: there is none, or it is damaged.
        SchemaError: it is newer than this software.
    """
    where = f"{dataset}/{FILE_NAME}"
    filesystem_, path = filesystem(where)
    try:
        with filesystem_.open_input_stream(path) as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        if is_local(dataset) and not exists(dataset):
            raise DatasetError(
                f"{dataset}: no such folder; give that of a dataset, or run the command that "
                "writes it"
            ) from error
        raise DatasetError(
            f"{dataset}: no {FILE_NAME}, so no finished dataset; "
            "give the folder that holds one, or run the command that writes it"
        ) from error
    except NotADirectoryError as error:
        raise DatasetError(f"{dataset} is a file, expected the folder of a dataset") from error
    except OSError as error:
        raise DatasetError(f"{where}: cannot be read ({error})") from error
    if len(content) > MAX_BYTES:
        raise DatasetError(
            f"{where}: larger than {MAX_BYTES >> 20} MB, which no manifest is; "
            "write the dataset again"
        )
    # A damaged byte becomes U+FFFD and reaches the user as a damaged manifest, by JSON or digest,
    # not as a UnicodeDecodeError.
    return Manifest.from_json(content.decode(errors="replace"), where)
