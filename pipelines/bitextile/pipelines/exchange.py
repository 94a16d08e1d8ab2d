"""`bitextile exchange`: aligned -> exchange, linked words swapped between the sentences."""

from typing import Any

from bitextile.kernels.exchange import ExchangeConfig
from bitextile.pipelines.recipe import as_config
from bitextile.pipelines.running import Finished, RunOptions
from bitextile.pipelines.stage import run_stage
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED, EXCHANGE


def exchange(aligned: str, out: str, *, config: ExchangeConfig, options: RunOptions) -> Finished:
    """Writes word-exchange variants of an `aligned` dataset.

    Args:
        aligned: folder of the dataset.
        out: folder for the `exchange` dataset.
        config: rate, which links, how many variants.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.variants import ExchangeWords

        return rows | ExchangeWords(config)

    source = open_dataset(aligned, ALIGNED)
    described = {"verb": "exchange", **as_config(config)}
    return run_stage(source, out, make, kind=EXCHANGE, config=described, options=options)
