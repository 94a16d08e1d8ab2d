"""What is kept of a run of eflomal to align other pairs with: the priors made of its links."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bitextile.kernels.align.eflomal.config import EflomalOptions
from bitextile.schema.errors import BitextileError, DatasetError
from bitextile.schema.json_file import read_json
from bitextile.schema.storage import arrow_file, write_atomically

FORMAT = "bitextile-eflomal/1"
PRIORS = pa.schema(
    [("kind", pa.string()), ("first", pa.string()), ("second", pa.string()), ("alpha", pa.string())]
)


@dataclass(frozen=True, kw_only=True)
class EflomalModel:
    """Priors of a language pair.

    Attributes:
        options: how eflomal was run.
        priors: PRIORS [priors], lines of eflomal's file: kind LEX, FERF, FERR, HMMF or HMMR; the
            word, pair of words, fertility or jump; the weight. `second` is "" for jumps.
        statistics: counts of the sample.
    """

    options: EflomalOptions
    priors: pa.Table
    statistics: Mapping[str, int]

    @cached_property
    def digest(self) -> str:
        """A sha256 over all content."""
        return str(self._header()["digest"])

    def save(self, folder: str | PathLike[str]) -> str:
        """Writes the model to a local folder and returns its digest; `model.json` comes last.

        Args:
            folder: made if need be.
        """
        header = self._header()
        write_atomically(f"{fspath(folder)}/priors.arrow", arrow_file(self.priors))
        text = json.dumps(header, indent=1, sort_keys=True)
        write_atomically(f"{fspath(folder)}/model.json", text.encode())
        return str(header["digest"])

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> "EflomalModel":
        """Reads a model that `save` wrote.

        Raises:
            DatasetError: a file is missing or not as it was written, or of another format.
        """
        place = Path(folder)
        try:
            header = read_json(place / "model.json")
            if header["format"] != FORMAT:
                raise DatasetError(
                    f"{place}: format is {header['format']!r}, expected {FORMAT!r}; "
                    "which --aligner fitted it?"
                )
            content = (place / "priors.arrow").read_bytes()
            priors = pa.ipc.open_file(pa.py_buffer(content)).read_all()
            options = EflomalOptions(**header["options"])
            model = cls(options=options, priors=priors, statistics=header["statistics"])
            if model.digest != header["digest"]:
                raise DatasetError(
                    f"{place}: content is {model.digest}, model.json says {header['digest']}; "
                    "fit and save it again"
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{place}: not a complete model of eflomal ({error!r})") from error
        return model

    def priors_of(self, src_words: Iterable[str], tgt_words: Iterable[str]) -> str:
        """Returns the lines of a priors file with the priors that bear on these words.

        eflomal would pass over the others, too, but take longer to read them than to align a batch.
        """
        kind, first, second = (self.priors[name] for name in ("kind", "first", "second"))
        src, tgt = (pa.array(sorted(set(side)), pa.string()) for side in (src_words, tgt_words))
        in_src, in_tgt = pc.is_in(first, src), pc.is_in(first, tgt)
        # Lexical priors by both words, fertilities by their one word, jumps always.
        wanted = pc.and_(pc.equal(kind, "LEX"), pc.and_(in_src, pc.is_in(second, tgt)))
        wanted = pc.or_(wanted, pc.and_(pc.equal(kind, "FERF"), in_src))
        wanted = pc.or_(wanted, pc.and_(pc.equal(kind, "FERR"), in_tgt))
        wanted = pc.or_(wanted, pc.equal(second, ""))
        kept = self.priors.filter(wanted)
        rows = zip(*(kept[name].to_pylist() for name in PRIORS.names))
        # Without the empty second field, jumps have three fields again.
        return "".join("\t".join(field for field in row if field) + "\n" for row in rows)

    def _header(self) -> dict[str, Any]:
        header = {
            "format": FORMAT,
            "options": asdict(self.options),
            "statistics": dict(self.statistics),
            "priors": sha256(arrow_file(self.priors)).hexdigest(),
        }
        digest = sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
        return {**header, "digest": f"sha256:{digest}"}


def parse_priors(lines: Iterable[str]) -> pa.Table:
    r"""Returns the lines that eflomal-makepriors writes as PRIORS.

    Raises:
        BitextileError: a line has not the fields of eflomal 2.

    >>> parse_priors(["LEX\tdas\tthe\t3.0", "HMMF\t1\t2.5"]).column("second").to_pylist()
    ['the', '']
    """
    rows = [_parse_prior(line) for line in lines]
    # Weights stay text: what eflomal wrote is what it reads again, to the last digit.
    columns: list[Any] = [list(column) for column in zip(*rows)] or [[], [], [], []]
    return pa.table(columns, schema=PRIORS)


def _parse_prior(line: str) -> list[str]:
    fields = line.split("\t")
    if len(fields) not in (3, 4):
        raise BitextileError(f"eflomal-makepriors wrote {line!r}, expected eflomal 2's priors")
    return [*fields[:-1], *[""] * (4 - len(fields)), fields[-1]]
