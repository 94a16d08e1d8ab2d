"""How recipes and the command line write a value that Python holds in another form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_tag


@dataclass(frozen=True)
class FromText:
    """Marks a type, in `Annotated`, whose values users write as text.

    Attributes:
        read: from what a user wrote to the value; a value that is right already comes back as it
            is. Raises ConfigError.
        metavar: how help shows what to write.
    """

    read: Callable[[Any], Any]
    metavar: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Returns the type's own schema behind `read`, as the dict that pydantic takes."""
        # As a plain dict, so that this package needs no pydantic.
        function = {"type": "no-info", "function": self.read}
        return {"type": "function-before", "function": function, "schema": handler(source)}


def language_pair(value: str | Sequence[str]) -> tuple[str, str]:
    """Returns a source and a target language, canonical, of `SRC,TGT` or of two tags.

    Raises:
        ConfigError: it is not two language tags.

    >>> language_pair("DE,en"), language_pair(["en", "zh-hant"])
    (('de', 'en'), ('en', 'zh-Hant'))
    """
    tags = value.split(",") if isinstance(value, str) else list(value)
    if len(tags) != 2:
        raise ConfigError(f"{value!r}: expected SRC,TGT, two languages, as de,en")
    return language_tag(tags[0]), language_tag(tags[1])


Language = Annotated[str, FromText(language_tag, "LANG")]
"""A BCP-47 tag in its canonical form."""
LanguagePair = Annotated[tuple[str, str], FromText(language_pair, "SRC,TGT")]
"""Source and target language."""
