"""Options of `export` that say in which order rows come; light to import."""

from dataclasses import dataclass
from typing import Literal

Dropped = Literal["empty", "skip"]


@dataclass(frozen=True, kw_only=True)
class ExportOrder:
    """In which order the rows of an export come."""

    order: Literal["shard", "file"] = "shard"
    """Order of the rows: as they lie in the shards, by id; or as in the corpus files, each of which
    gets a folder named after its corpus, in which line n is record n of the file."""
    dropped: Dropped = "empty"
    """With `order: file`, what stands for records that were dropped: an empty line, and for a
    duplicate the row that was kept; or `skip`, nothing."""


DEFAULT_ORDER = ExportOrder()
