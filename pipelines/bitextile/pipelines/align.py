"""`bitextile align`: pairs -> aligned, by an aligner fitted once per language pair."""

from typing import Any

from bitextile.kernels.segment import segmenter_for
from bitextile.kernels.wordlinks import AlignConfig
from bitextile.pipelines.recipe import as_config
from bitextile.pipelines.running import Finished, RunOptions
from bitextile.pipelines.stage import run_stage
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED, PAIRS

# Cutting and aligning words takes some 100 us a pair, copying one 4 us.
_WORK = 25.0


def align(pairs: str, out: str, *, config: AlignConfig, options: RunOptions) -> Finished:
    """Aligns the words of a `pairs` dataset; the models stay in `OUT/models/KEY`.

    Args:
        pairs: folder of the dataset.
        out: folder for the `aligned` dataset.
        config: of segmentation, sample, aligner and symmetrisation.
        options: how to run.

    Raises:
        OutputExistsError: `out` is there.
        DatasetError: `pairs` is not a whole dataset; SchemaError: of another kind.
    """
    source = open_dataset(pairs, PAIRS)
    languages = {tag for entry in source.manifest.keys.values() for tag in entry["languages"]}
    segmenters = {tag: segmenter_for(tag, config.segmenter).name for tag in sorted(languages)}
    described = {"verb": "align", **as_config(config), "segmenters": segmenters}
    rows = {key: entry["rows"] for key, entry in source.manifest.keys.items()}

    def make(pairs_read: Any, place: str) -> Any:
        from bitextile.transforms.align import AlignWords

        return pairs_read | AlignWords(f"{place}/models", rows, config)

    return run_stage(
        source, out, make, kind=ALIGNED, config=described, options=options, work=_WORK
    )
