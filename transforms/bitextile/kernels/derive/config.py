"""Which language is derived from another, and the tag that names it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bitextile.kernels.bitext.sides import Sides, check_sides
from bitextile.kernels.text.private_script import PRIVATE_SCRIPT
from bitextile.schema.errors import ConfigError

Transform = Literal["transliterate", "invert", "permute", "syntax"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
_VARIANTS = {"invert": "inverted", "permute": "permuted", "syntax": "headswap"}
"""Variant subtags of BCP 47 have five to eight letters."""


@dataclass(frozen=True, kw_only=True)
class DeriveConfig:
    """Which language is derived."""

    transforms: tuple[Transform, ...] = ("transliterate",)
    """Transforms, in this order: transliterate, invert, permute, syntax (needs a parse).
    Transliteration alone keeps word order, as the easiest of ALIGN-MLM's languages."""
    sides: Sides = "both"
    """Which sentences of a pair are derived. Both, so that neither language is the harder."""
    seed: int = 0
    """Seed of the permutations."""

    def __post_init__(self) -> None:
        """Raises ConfigError for an unknown transform, none, or one named twice, or other sides."""
        check_sides(self.sides)
        for name in self.transforms:
            if name not in TRANSFORMS:
                raise ConfigError(
                    f"transform {name!r}: expected one or several of {', '.join(TRANSFORMS)}"
                )
        if not self.transforms or len(set(self.transforms)) < len(self.transforms):
            raise ConfigError(
                f"transforms are {', '.join(self.transforms) or 'none'}; name one or several, "
                "each once"
            )


def derived_tag(lang: str, transforms: Sequence[str]) -> str:
    """Returns the tag of a derived language: Qaaa, a private script, and variants for the order.

    >>> derived_tag("en", ["transliterate", "invert"]), derived_tag("pt-BR", ["permute"])
    ('en-Qaaa-inverted', 'pt-BR-permuted')
    """
    parts = lang.split("-")
    if "transliterate" in transforms:
        # A language tag has one script subtag, of four letters (RFC 5646, section 2.2.3); Qaaa
        # takes its place.
        script = [p for p in parts[1:] if len(p) == 4 and p.isalpha()]
        parts = [p for p in parts if p not in script]
        # Behind the language and before regions and variants, as RFC 5646, section 2.1 orders
        # subtags.
        parts.insert(1, PRIVATE_SCRIPT)
    return "-".join([*parts, *(_VARIANTS[t] for t in transforms if t in _VARIANTS)])
