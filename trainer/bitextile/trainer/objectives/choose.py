"""From a mixture entry of the configuration to its objective."""

from bitextile.trainer.config import DataConfig
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.objective import Objective
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam


def objective_of(entry: DataConfig, max_length: int) -> Objective:
    """Returns the objective an entry names, with its options.

    Args:
        entry: of the mixture.
        max_length: tokens of an input.
    """
    if entry.objective == "mlm":
        return Mlm(max_length)
    if entry.objective == "tlm":
        return Tlm(max_length)
    return Weam(
        max_length,
        exchange_layer=entry.exchange_layer,
        first_subword_only=entry.first_subword_only,
        one_to_one_only=entry.one_to_one_only,
    )
