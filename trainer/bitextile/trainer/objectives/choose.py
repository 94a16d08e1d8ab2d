"""From a mixture entry of the configuration to its objective."""

from bitextile.trainer.config import (
    AlignMlmData,
    BtmlmData,
    CamlmData,
    DataConfig,
    DictMlmData,
    MlmData,
    MocoData,
    TlmData,
    WeamData,
)
from bitextile.trainer.data.tokens import Coder
from bitextile.trainer.objectives.align_mlm import AlignMlm
from bitextile.trainer.objectives.btmlm import Btmlm
from bitextile.trainer.objectives.camlm import Camlm
from bitextile.trainer.objectives.dict_mlm import DictMlm
from bitextile.trainer.objectives.dictionary import subword_entries, token_entries
from bitextile.trainer.objectives.mlm import Mlm
from bitextile.trainer.objectives.moco import Moco
from bitextile.trainer.objectives.objective import Objective
from bitextile.trainer.objectives.tlm import Tlm
from bitextile.trainer.objectives.weam import Weam


def objective_of(data: DataConfig, coder: Coder, *, max_length: int, seed: int) -> Objective:
    """Returns the objective an entry of the mixture names, with its options.

    Args:
        data: the entry.
        coder: tokenises dictionaries.
        max_length: tokens of an input.
        seed: of the run.

    Raises:
        DatasetError: the entry's dictionary is not whole.
        SchemaError: it is no lexicon.
    """
    match data:
        case MlmData():
            return Mlm(max_length)
        case TlmData():
            return Tlm(max_length)
        case CamlmData():
            return Camlm(
                max_length,
                mask_rate=data.mask_rate,
                either_order=data.either_order,
                seed=seed,
            )
        case BtmlmData():
            return Btmlm(max_length)
        case WeamData():
            return Weam(
                max_length,
                exchange_layer=data.exchange_layer,
                first_subword_only=data.first_subword_only,
                one_to_one_only=data.one_to_one_only,
            )
        case MocoData():
            return Moco(
                max_length,
                queue=data.queue,
                momentum=data.momentum,
                temperature=data.temperature,
                projection=data.projection,
                tlm=data.tlm,
                seed=seed,
            )
        case AlignMlmData():
            entries = subword_entries(data.lexicon, coder, share=data.share, seed=seed)
            return AlignMlm(
                max_length, entries, strength=data.strength, sample=data.sample, seed=seed
            )
        case DictMlmData():
            entries_ = token_entries(data.lexicon, coder, share=data.share, seed=seed)
            return DictMlm(max_length, entries_, variant=data.variant, rate=data.rate)
