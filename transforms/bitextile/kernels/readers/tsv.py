"""Tab-separated values: one row a line; quotes are text."""

import itertools
from collections.abc import Iterator

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import CorpusSource, Format, Row, UnreadableRow


def read_tsv(source: CorpusSource) -> Iterator[Row]:
    """Reads the columns of a table that hold the texts."""
    wanted = [int(column) for column in source.columns]
    least = max(wanted) + 1
    for line in itertools.islice(text_lines(source.files[0]), int(source.header), None):
        cells = [] if isinstance(line, UnreadableRow) else line.split("\t")
        if isinstance(line, UnreadableRow):
            yield line
        elif len(cells) < least:
            got = f"{len(cells)} columns, expected at least {least}"
            yield UnreadableRow("missing_columns/1", len(cells), got, line)
        else:
            yield tuple(cells[column] for column in wanted)


TSV = Format(name="tsv", read=read_tsv, endings=(".tsv", ".tab"), columns="numbers", header=True)
