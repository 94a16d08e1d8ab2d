"""Every aligner of the table keeps the protocol; one that is added needs no change elsewhere."""

from dataclasses import dataclass
from io import StringIO
from typing import get_args

import pyarrow as pa
import pytest

from bitextile.kernels.align.alignment import Alignment, WordLinks, to_alignment
from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.engine import ENGINES, AlignConfig, Aligner, Runtime, ready
from bitextile.kernels.align.pharaoh import align_text
from bitextile.schema.errors import ConfigError

WORDS = pa.list_(pa.string())
MEMBERS = [name for name in vars(Aligner) if not name.startswith("_")]


def test_the_table_has_each_configuration_once_under_its_name() -> None:
    assert list(ENGINES) == ["hmm", "eflomal", "simalign"]
    assert tuple(ENGINES.values()) == get_args(AlignConfig)


@pytest.mark.parametrize("name", ENGINES)
def test_an_aligner_has_all_the_protocol_asks(name: str) -> None:
    fields = {"encoder": "e"} if name == "simalign" else {}
    config = ENGINES[name](**fields)
    assert config.aligner == name
    aligner_class = config.aligner_class()
    assert {"fit", "load", "save", "digest", "align", "training_alignment"} <= set(MEMBERS)
    for member in [*MEMBERS, "pairs_per_call"]:
        assert hasattr(aligner_class, member), member


def test_without_a_loader_of_encoders_an_encoder_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder e: nothing was given that loads encoders"):
        ready(ENGINES["simalign"](encoder="e"), runtime=Runtime())


class Diagonal:
    """Links words by position."""

    pairs_per_call = 2
    digest = "sha256:diagonal"

    @classmethod
    def fit(cls, src, tgt, *, config, runtime, lexicon=None):
        """Nothing to learn."""
        return cls()

    def align(self, src, tgt) -> Alignment:
        """One link per position that both sides have."""
        sizes = [min(len(a), len(b)) for a, b in zip(src.to_pylist(), tgt.to_pylist())]
        rows = [(k, i, i, 1.0) for k, n in enumerate(sizes) for i in range(n)]
        columns = (pa.array(column).to_numpy() for column in zip(*rows))
        return to_alignment(WordLinks(*columns), len(src))

    def training_alignment(self) -> None:
        """None."""
        return None


@dataclass(frozen=True, kw_only=True)
class DiagonalConfig(AlignerConfig):
    """Of the aligner above."""

    aligner: str = "diagonal"
    segmenter: str = "auto"

    def aligner_class(self):
        """Returns it."""
        return Diagonal


def test_an_aligner_of_ones_own_aligns_text() -> None:
    out, said = StringIO(), []
    lines = ["a b ||| x y", "a ||| x y", "", "c d e ||| z"]
    runtime = Runtime(progress=said.append)
    summary = align_text(lines, out, config=DiagonalConfig(), runtime=runtime)
    assert out.getvalue().splitlines() == ["0-0 1-1", "0-0", "", "0-0"]
    assert summary.model == "sha256:diagonal"
    assert said == ["aligned 2 of 4 lines", "aligned 4 of 4 lines"]
