"""`bitextile lexicon`: aligned -> lexicon, a bilingual dictionary from the word alignments."""

from dataclasses import asdict
from typing import Any

from bitextile.kernels.bitext.lexicon import LexiconConfig
from bitextile.pipelines.runner.convert import convert_dataset
from bitextile.pipelines.runner.job import DatasetResult
from bitextile.pipelines.runner.options import RunOptions
from bitextile.schema.dataset import open_dataset
from bitextile.schema.kinds import ALIGNED, LEXICON


def lexicon(aligned: str, out: str, *, config: LexiconConfig, options: RunOptions) -> DatasetResult:
    """Writes the dictionary that the word alignments of an `aligned` dataset give.

    Args:
        aligned: folder of the dataset.
        out: folder for the `lexicon` dataset.
        config: which entries stay.
        options: how to run.
    """

    def make(rows: Any, _: str) -> Any:
        from bitextile.transforms.lexicon import CountLexicon

        return rows | CountLexicon(config)

    source = open_dataset(aligned, ALIGNED)
    described = {"command": "lexicon", **asdict(config)}
    return convert_dataset(source, out, make, kind=LEXICON, config=described, options=options)
