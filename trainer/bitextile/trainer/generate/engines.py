"""The engines that translate, one line each."""

from typing import Any

from bitextile.trainer.generate.config import Ctranslate2Config, Seq2seqConfig
from bitextile.trainer.generate.ctranslate2 import Ctranslate2Engine
from bitextile.trainer.generate.seq2seq import Seq2seqEngine
from bitextile.trainer.generate.translator import TranslatorEngine

TRANSLATORS: dict[type[Any], type[TranslatorEngine[Any]]] = {
    Seq2seqConfig: Seq2seqEngine,
    Ctranslate2Config: Ctranslate2Engine,
}
"""Engine of each kind of settings."""


def translator_engine(
    folder: str, *, digest: str, config: Seq2seqConfig | Ctranslate2Config
) -> TranslatorEngine[Any]:
    """Returns the engine that settings are for; unchecked, see `TranslatorEngine.check`.

    Args:
        folder: of the model with its tokenizer.
        digest: of its files.
        config: how to translate.
    """
    # By isinstance, not by type: the parts of a recipe are subclasses of these settings.
    kind = next(engine for known, engine in TRANSLATORS.items() if isinstance(config, known))
    return kind(folder=folder, digest=digest, config=config)
