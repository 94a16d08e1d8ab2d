"""Options of the aligner by an encoder; light to import."""

import json
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args

from bitextile.kernels.align.config import AlignerConfig, check_choices, check_ranges
from bitextile.kernels.text.segment import Choice
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    from bitextile.kernels.align.engine import Aligner

Matching = Literal["inter", "itermax", "mwmf", "softmax"]
TokenType = Literal["bpe", "word"]
SOFTMAX_THRESHOLD = 0.001
"""As in awesome-align."""


def default_layer(n_layers: int) -> int:
    """Returns the layer two thirds up.

    >>> default_layer(12), default_layer(24), default_layer(4)
    (8, 16, 3)
    """
    return round(n_layers * 2 / 3)


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """How the tokens of two sentences are matched."""

    matching: Matching
    """One of the four ways; see `kernels.align.encoder.matching`."""
    token_type: TokenType
    """`bpe` matches subwords and links two words where any of theirs match; `word` matches the mean
    vectors of words."""
    distortion: float
    """Similarities are multiplied by 1 - distortion * (difference of the relative positions) ** 2;
    0 does nothing."""
    threshold: float
    """Least probability in either direction, for `softmax`."""


@dataclass(frozen=True, kw_only=True)
class SimalignConfig(AlignerConfig):
    """Word alignment by the vectors of an encoder, as simalign does it; nothing is fitted."""

    aligner: Literal["simalign"] = "simalign"
    """The vectors of an encoder, matched as simalign does."""
    encoder: str
    """Folder of a transformers encoder, on every worker."""
    matching: Matching = "inter"
    """How similar tokens become links; see `kernels.align.encoder.matching`. `inter` is the most
    precise of simalign's, which word exchange and code-switching need."""
    layer: int | None = None
    """Layer whose vectors are compared. By default two thirds up, the 8th of 12 as in simalign and
    awesome-align: there words of two languages are closest, while the last layers turn back to the
    vocabulary they predict."""
    prefix: str = ""
    """Text put before each sentence, such as "query: " for an encoder that was trained with it."""
    token_type: TokenType = "bpe"
    """Whether subwords (`bpe`) or the mean vectors of words (`word`) are matched. `bpe` as in
    simalign."""
    distortion: float = 0.0
    """How much less similar tokens at different positions are, 0 to 1. 0 as in simalign."""
    threshold: float = SOFTMAX_THRESHOLD
    """Least probability of a link in both directions, of matching `softmax` alone. 0.001 as in
    awesome-align."""
    segmenter: Choice = "auto"
    """How unspaced scripts are cut into words; see `kernels.text.segment.segmenter_for`."""

    def __post_init__(self) -> None:
        """Raises ConfigError where a field is out of its range, or two do not go together."""
        check_choices(self, matching=get_args(Matching), token_type=get_args(TokenType))
        check_ranges(
            self,
            layer=self.layer is None or self.layer >= 0,
            distortion=0 <= self.distortion <= 1,
            threshold=0 < self.threshold < 1,
        )
        # An option without effect is refused rather than ignored; its default cannot be told from
        # not giving it.
        if self.matching != "softmax" and self.threshold != SOFTMAX_THRESHOLD:
            raise ConfigError("align: threshold is for softmax; with another matching leave it out")
        if self.matching == "softmax" and self.distortion:
            raise ConfigError(
                "align: distortion is for similarities; softmax has none, set it to 0"
            )

    @property
    def matcher(self) -> Matcher:
        """How tokens are matched."""
        return Matcher(
            matching=self.matching,
            token_type=self.token_type,
            distortion=self.distortion,
            threshold=self.threshold,
        )

    @property
    def encoders(self) -> tuple[str, ...]:
        """The encoder's folder."""
        return (self.encoder,)

    def with_encoder_defaults(self) -> Self:
        """Returns the configuration with the number of the layer that is compared."""
        path = Path(self.encoder) / "config.json"
        if self.layer is not None or not path.is_file():
            return self
        content = json.loads(path.read_text("utf-8"))
        found = [content[name] for name in ("num_hidden_layers", "n_layers") if name in content]
        # transformers knows more names for it; of those the number is left to when it is loaded.
        return replace(self, layer=default_layer(found[0])) if found else self

    def aligner_class(self) -> "type[Aligner]":
        """Returns EncoderAligner."""
        from bitextile.kernels.align.encoder.aligner import EncoderAligner

        return EncoderAligner

    def resolve_paths(self, folder: Path) -> Self:
        """Returns the configuration with `encoder` taken to be relative to `folder`."""
        return replace(self, encoder=str(folder / self.encoder))

    def check_installed(self) -> None:
        """Raises ConfigError if torch, transformers or, for `mwmf`, SciPy is missing."""
        # Looked for, not imported: the launcher may have no use for torch, which takes seconds to
        # load.
        needed = ["torch", "transformers", *(["scipy"] if self.matching == "mwmf" else [])]
        if missing := [name for name in needed if find_spec(name) is None]:
            raise ConfigError(
                f"aligner simalign needs {missing[0]}, which is not installed: "
                "pip install 'bitextile[align-neural]'"
            )
