"""Tab-separated values: one row a line, where quotes are text; or with cells in quotes."""

from collections.abc import Iterator

from bitextile.kernels.readers.lines import text_lines
from bitextile.kernels.readers.source import CorpusSource, Format, Located
from bitextile.kernels.readers.tables import quoted_records, split_records, table_rows


def read_tsv(source: CorpusSource) -> Iterator[Located]:
    """Reads the columns of a table that hold the texts."""
    lines = text_lines(source.files[0], source.encoding)
    records = quoted_records if source.quoted else split_records
    return table_rows(source, records(lines, "\t"))


TSV = Format(
    name="tsv",
    read=read_tsv,
    endings=(".tsv", ".tab"),
    columns="numbers",
    options=("encoding", "header", "quoted"),
)
