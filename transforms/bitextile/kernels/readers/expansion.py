"""A limit on how much more a file unpacks to than it is.

Text is packed to a tenth, hardly to a hundredth; a file of which a few bytes unpack to gigabytes is
made to fill memory, disk or time.
"""

from bitextile.schema.errors import InputError

MAX_RATIO = 2_000
"""Bytes unpacked from a byte; gzip has no more than 1,032, other compressions have no limit."""
FREE_BYTES = 64 << 20
"""Of any file; ratios of small ones say nothing."""
MAX_ROWS_OF_BYTE = 4
"""Rows from a byte, beyond FREE_ROWS. A sorted list of words packs to two bytes a row; a byte of
gzip may be a thousand empty lines, each of which becomes a reject."""
FREE_ROWS = 8_000_000


class Expansion:
    """Counts what is unpacked.

    Args:
        file: named in the message.
        packed: its bytes; of an archive those of all of it.
    """

    def __init__(self, file: str, packed: int) -> None:
        self._file, self._packed, self._unpacked = file, packed, 0

    def add(self, unpacked: int) -> None:
        """Counts more bytes.

        Raises:
            InputError: they are too many for what they came from.
        """
        self._unpacked += unpacked
        if self._unpacked > MAX_RATIO * self._packed + FREE_BYTES:
            raise InputError(
                f"{self._file}: {self._packed:,} bytes unpack to {self._unpacked:,} or more, over "
                f"{MAX_RATIO:,} times as much, as no text does; if it is meant, unpack it yourself"
            )


class RowCount:
    """Counts the rows of files.

    Args:
        files: named in the message.
        packed: their bytes.
    """

    def __init__(self, files: str, packed: int) -> None:
        self._files, self._packed, self._rows = files, packed, 0

    def add(self, rows: int) -> None:
        """Counts more rows.

        Raises:
            InputError: they are too many for what they came from.
        """
        self._rows += rows
        if self._rows > (most := MAX_ROWS_OF_BYTE * self._packed + FREE_ROWS):
            raise InputError(
                f"{self._files}: more than {most:,} rows in {self._packed:,} bytes, as no corpus "
                "has; if it is meant, unpack it yourself"
            )
