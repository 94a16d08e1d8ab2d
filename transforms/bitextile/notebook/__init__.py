"""The short way for notebooks: align lists of sentences, open datasets and look at their rows.

>>> from bitextile.notebook import align
>>> pair = align(["the house", "a house"], ["das Haus", "ein Haus"], src_lang="en", tgt_lang="de")
>>> pair.words[0]
(['the', 'house'], ['das', 'Haus'])
"""

from bitextile.notebook.alignments import AlignedPair, Alignments, align
from bitextile.notebook.datasets import NotebookDataset, open_dataset, show
from bitextile.schema.version import __version__

__all__ = [
    "AlignedPair",
    "Alignments",
    "NotebookDataset",
    "__version__",
    "align",
    "open_dataset",
    "show",
]
