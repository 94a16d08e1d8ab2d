"""From an entry of the configuration's mixture to its objective: one line per objective."""

from typing import Any

from bitextile.trainer.data.tokens import Tokenizer
from bitextile.trainer.objectives.align_mlm import AlignMlm
from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.camlm import Camlm
from bitextile.trainer.objectives.config import (
    AlignMlmSettings,
    AnyObjectiveSettings,
    BtmlmSettings,
    CamlmSettings,
    DictMlmSettings,
    EntrySettings,
    MlmSettings,
    MocoSettings,
    TlmSettings,
    WeamSettings,
)
from bitextile.trainer.objectives.dict_mlm import DictMlm
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.objective import Objective
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam

# Apart from the classes of settings, which must be read before torch is loaded; a test holds the
# two lists to one order.
OBJECTIVES: dict[type[EntrySettings], Any] = {
    MlmSettings: Mlm,
    TlmSettings: Tlm,
    WeamSettings: Weam,
    CamlmSettings: Camlm,
    BtmlmSettings: Btmlm,
    MocoSettings: Moco,
    AlignMlmSettings: AlignMlm,
    DictMlmSettings: DictMlm,
}
"""What builds the objective of an entry, by the class of its settings."""


def build_objective(
    settings: AnyObjectiveSettings, tokenizer: Tokenizer, *, max_length: int, seed: int
) -> Objective:
    """Returns the objective an entry of the mixture names, with its options.

    Args:
        settings: the entry.
        tokenizer: tokenises dictionaries.
        max_length: tokens of an input.
        seed: of the entry; what it draws, but for the part of a lexicon to use, is keyed by it.

    Raises:
        DatasetError: the entry's dictionary is not whole.
        SchemaError: it is no lexicon.
    """
    objective: Objective = OBJECTIVES[type(settings)].build(
        settings, tokenizer, max_length=max_length, seed=seed
    )
    return objective
