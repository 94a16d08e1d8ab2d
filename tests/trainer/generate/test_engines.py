"""Settings find the engine that they are for."""

from dataclasses import dataclass

from bitextile.trainer.generate.config import Ctranslate2Config, Seq2seqConfig
from bitextile.trainer.generate.ctranslate2 import Ctranslate2Engine
from bitextile.trainer.generate.engines import translator_engine
from bitextile.trainer.generate.seq2seq import Seq2seqEngine


@dataclass(frozen=True, kw_only=True)
class _Part(Seq2seqConfig):
    """Settings with more to them, as a recipe has."""


def test_settings_and_what_extends_them_find_their_engine() -> None:
    for config, kind in (
        (Seq2seqConfig(), Seq2seqEngine),
        (_Part(), Seq2seqEngine),
        (Ctranslate2Config(), Ctranslate2Engine),
    ):
        engine = translator_engine("folder", digest="sha256:0", config=config)
        assert type(engine) is kind
        assert (engine.folder, engine.digest, engine.config) == ("folder", "sha256:0", config)
