"""What is printed: one function for each stream, and no text that steers the terminal.

Names from recipes, manifests, file names and corpora reach messages. A terminal obeys the control
characters in them (ESC begins colours, cursor moves, titles, links), and bidi overrides let a line
read otherwise than it is. Everything that is shown goes through `printable`.
"""

import logging
import re
import sys
import types
from functools import cache
from traceback import format_exception
from typing import Any

_UNPRINTABLE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1, where U+009B is ESC [ in one character
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates
    "\u2028\u2029"  # line and paragraph separator
    "\ud800-\udfff"  # bytes of a file name that are not UTF-8; no stream can encode them
    "\ufff9-\ufffb\U000e0000-\U000e007f"  # annotations and tags, which are not seen
    "]"
)


def printable(text: str, *, keep: str = "") -> str:
    r"""Returns a text with control characters and bidi controls as escapes.

    Args:
        text: to show.
        keep: characters that stay, such as the line break of a text of several lines.

    >>> print(printable("web\x1b[2J \u202egnp.exe"), printable("שלום\tعالم"))
    web\x1b[2J \u202egnp.exe שלום\tعالم
    """
    return _UNPRINTABLE.sub(
        lambda found: _escape(found[0]) if found[0] not in keep else found[0], text
    )


def say(line: str, *, style: str | None = None) -> None:
    """Prints a line on standard error, where all goes that is no result.

    Args:
        line: one line.
        style: of rich, such as red.
    """
    _stderr().print(printable(line), style=style, markup=False)


def answer(text: str) -> None:
    """Prints a result on standard output.

    In JSON the escapes are JSON's own, so that a program reads the same.
    """
    # write, not print: of a character that the encoding lacks, an escape says more than an error.
    encoding = sys.stdout.encoding or "utf-8"
    shown = printable(text, keep="\n")
    sys.stdout.write(shown.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def json_printable(text: str) -> str:
    r"""Returns JSON text in which what a terminal would obey is escaped as JSON has it.

    >>> json_printable('{"a": "\u202eb"}')
    '{"a": "\\u202eb"}'
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in "\n\t" else _json(found[0]), text)


def guard_logs_and_tracebacks() -> None:
    """Lets what is logged, and a traceback that ends the process, pass through `printable`."""
    handlers = [*logging.getLogger().handlers, logging.lastResort]
    for handler in filter(None, handlers):
        if not isinstance(handler.formatter, _Printable):
            handler.setFormatter(_Printable(handler.formatter))
    sys.excepthook = _show_traceback


class _Printable(logging.Formatter):
    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return printable(self._inner.format(record), keep="\n\t")


def _show_traceback(
    kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
) -> None:
    sys.stderr.write(printable("".join(format_exception(kind, error, trace)), keep="\n\t"))


@cache
def _console() -> Any:
    # In here: what only reads datasets does without rich.
    from rich.console import Console

    return Console


def _stderr() -> Any:
    # Made anew for each line: the stream may have been replaced since. soft_wrap leaves lines to
    # the terminal, since rich would break paths in two.
    return _console()(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else _json(character)


_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def _json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
