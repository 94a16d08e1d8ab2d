"""`bitextile codeswitch`: aligned -> codeswitch, words replaced by their translations."""

from typing import Any

from bitextile.kernels.codeswitch import CodeswitchConfig
from bitextile.pipelines.recipe import as_config
from bitextile.pipelines.running import Finished, RunOptions
from bitextile.pipelines.stage import run_stage
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED, CODESWITCH


def codeswitch(
    aligned: str, out: str, *, config: CodeswitchConfig, options: RunOptions
) -> Finished:
    """Writes code-switched sentences made from the links of an `aligned` dataset.

    Args:
        aligned: folder of the dataset.
        out: folder for the `codeswitch` dataset.
        config: rates, sides, how many variants.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.variants import SwitchWords

        return rows | SwitchWords(config)

    source = open_dataset(aligned, ALIGNED)
    described = {"verb": "codeswitch", "method": "alignment", **as_config(config)}
    return run_stage(source, out, make, kind=CODESWITCH, config=described, options=options)
