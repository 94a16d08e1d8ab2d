"""The aligners there are, and what each of them can do.

A new aligner is a module with its configuration (an AlignerConfig) and its Aligner, and one member
of AlignConfig below; commands, recipes and pipelines take it from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, get_args

from bitextile.kernels.align.config import AlignerConfig
from bitextile.kernels.align.eflomal.config import EflomalConfig
from bitextile.kernels.align.encoder.config import SimalignConfig
from bitextile.kernels.align.hmm.config import HmmConfig
from bitextile.schema.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from bitextile.kernels.align.alignment import Alignment
    from bitextile.kernels.align.encoder.tokens import Subwords
    from bitextile.kernels.arrays import F32

AlignConfig = HmmConfig | EflomalConfig | SimalignConfig
"""The configuration of any aligner: one class for each, told apart by its field `aligner`."""

# Read off the union, so that a new aligner is added in one place only.
ENGINES: dict[str, type[AlignerConfig]] = {
    str(config.aligner): config for config in get_args(AlignConfig)
}
"""Configuration class of each aligner by its name; the aligner is its `aligner_class()`."""


class WordEncoder(Protocol):
    """A loaded encoder, which gives each subword of a sentence a vector."""

    @property
    def digest(self) -> str:
        """A sha256 over the encoder's files."""

    def tokenize(self, sentences: Sequence[list[str]]) -> "Subwords":
        """Returns the subwords of sentences, given as words; a word may have none."""

    def encode(self, subwords: "Subwords") -> "F32":
        """Returns the vector of each subword, float32 [subwords, H], in its sentence's context."""


def _no_encoder(folder: str, *, layer: int | None, prefix: str) -> WordEncoder:
    raise ConfigError(f"encoder {folder}: nothing was given that loads encoders")


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What an aligner works with. None of it changes a result, so none of it is configuration.

    Attributes:
        n_threads: threads to use. None lets the aligner choose: the HMM then fits on every core and
            aligns on one, as several Beam workers share a machine.
        load_encoder: from folder, layer and prefix to the encoder; kernels know no torch.
        progress: called with one line of text now and then.
    """

    n_threads: int | None = None
    load_encoder: Callable[..., WordEncoder] = _no_encoder
    progress: Callable[[str], None] = lambda line: None


class Aligner(Protocol):
    """Aligns the words of one language pair, after it was fitted to that pair or loaded.

    Words are list<string> arrays, one list per sentence, in any case; the first side is that of the
    smaller language tag wherever tags are known. Aligners that need more than the text's words
    (an encoder) get it by `Runtime`, when they are fitted or loaded.

    Attributes:
        pairs_per_call: pairs that `align` is given at a time where memory is to be bounded; None
            for an aligner that learns from what it aligns, and so wants all of it at once.
    """

    pairs_per_call: ClassVar[int | None]

    @classmethod
    def fit(
        cls,
        src: "pa.ListArray",
        tgt: "pa.ListArray",
        *,
        config: Any,
        runtime: Runtime,
        lexicon: "pa.Table | None" = None,
    ) -> Self:
        """Returns the aligner fitted to sentence pairs.

        Args:
            src: list<string> [pairs], words of the first side.
            tgt: list<string> [pairs], words of the second side.
            config: of this aligner's class.
            runtime: threads, encoders, progress.
            lexicon: known translations, columns src and tgt; where `config.takes_lexicon`.

        Raises:
            InputError: the sides are not lists of strings of the same length.
            ConfigError: a program, library or encoder that is needed is not there.
        """

    @classmethod
    def load(cls, folder: str, *, config: Any, runtime: Runtime) -> Self:
        """Returns the aligner that `save` wrote to a local folder.

        Raises:
            DatasetError: it is not a complete model of this aligner.
            ConfigError: this aligner is not fitted, so there is nothing to load.
        """

    def save(self, folder: str) -> str:
        """Writes what was fitted to a local folder and returns its digest.

        Raises:
            ConfigError: this aligner is not fitted, so there is nothing to save.
        """

    @property
    def digest(self) -> str:
        """A sha256 over what was fitted, or over the encoder; empty before that exists."""

    def align(self, src: "pa.ListArray", tgt: "pa.ListArray") -> "Alignment":
        """Returns the word alignment of sentence pairs.

        Raises:
            InputError: the sides are not lists of strings of the same length, or a sentence has
                more than 32,767 words.
        """

    def training_alignment(self) -> "Alignment | None":
        """Returns the word alignment of the pairs `fit` was given, if fitting yields it.

        None where it does not, so that `align` must be called for these pairs, too.
        """


def ready(config: AlignerConfig, *, runtime: Runtime) -> Aligner:
    """Returns an aligner that is not fitted (`config.fit_sample` is None), ready to align."""
    import pyarrow as pa

    # `fit` is where such an aligner loads its encoder; the pairs it is given do not matter.
    none = pa.array([], pa.list_(pa.string()))
    return config.aligner_class().fit(none, none, config=config, runtime=runtime)
