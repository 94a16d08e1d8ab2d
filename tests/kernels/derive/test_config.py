import pytest

from bitextile.kernels.derive.config import DeriveConfig, derived_tag
from bitextile.schema.errors import ConfigError
from bitextile.schema.ids import language_tag


def test_tags_are_bcp_47() -> None:
    for lang in ("en", "zh-Hant", "pt-BR", "sr-Latn-RS"):
        tag = derived_tag(lang, ["transliterate", "invert", "permute", "syntax"])
        assert language_tag(tag) == tag


@pytest.mark.parametrize("transforms", [(), ("invert", "invert"), ("reverse",)])
def test_unknown_transforms_are_refused(transforms) -> None:
    with pytest.raises(ConfigError, match="transform"):
        DeriveConfig(transforms=transforms)


def test_other_sides_are_refused() -> None:
    with pytest.raises(ConfigError, match="sides is 'left'"):
        DeriveConfig(sides="left")
