"""Derived languages: sentences, or parsed files, into pairs with their derived form."""

from dataclasses import dataclass, field
from functools import partial

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints.decorators import no_annotations

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import derive_aligned, derive_rows, sentences_of
from bitextile.kernels.tasks.pos import derive_parsed
from bitextile.schema.kinds import SIDES
from bitextile.transforms.batches import AnyRows, FilterBatches, MapBatches, TrackedRows, track


@dataclass(eq=False)
class DeriveLanguage(beam.PTransform):
    """Pairs each sentence with its derived form: rows of MONO to rows of ALIGNED.

    Attributes:
        config: which transforms.
    """

    config: DeriveConfig = field(default_factory=DeriveConfig)

    @no_annotations
    def expand(self, mono: AnyRows) -> TrackedRows:
        """Returns kept and rejected batches."""
        return mono | FilterBatches(partial(derive_rows, config=self.config), "DeriveLanguage")


@dataclass(eq=False)
class ExplodePairs(beam.PTransform):
    """Takes the sentences of pairs one by one: rows of PAIRS or ALIGNED to rows of MONO.

    A sentence of several pairs comes as often; `DropDuplicates(kind=MONO)` leaves one.

    Attributes:
        sides: src, tgt or both.
    """

    sides: str = "both"

    @no_annotations
    def expand(self, pairs: AnyRows) -> AnyRows:
        """Returns batches of sentences."""
        # A pair counts once for each sentence, so that read = kept + rejected holds in sentences.
        kernel, n = partial(sentences_of, sides=self.sides), len(SIDES[self.sides])
        return pairs | MapBatches(kernel, "ExplodePairs", outputs_per_row=n)


@dataclass(eq=False)
class DeriveAligned(beam.PTransform):
    """Puts derived sentences in the place of aligned ones: rows of ALIGNED to rows of ALIGNED.

    Attributes:
        config: which transforms, which sides.
    """

    config: DeriveConfig = field(default_factory=DeriveConfig)

    @no_annotations
    def expand(self, aligned: AnyRows) -> TrackedRows:
        """Returns kept and rejected batches."""
        return aligned | FilterBatches(partial(derive_aligned, config=self.config), "DeriveAligned")


@dataclass(eq=False)
class DeriveParsed(beam.PTransform):
    """Reads CoNLL-U files and pairs each sentence with its derived form.

    Attributes:
        files: paths that workers can read; no two hold the same sentence.
        lang: BCP-47 tag of their text.
        config: which transforms.
    """

    files: tuple[str, ...]
    lang: str
    config: DeriveConfig = field(default_factory=DeriveConfig)

    @no_annotations
    def expand(self, root: beam.Pipeline) -> TrackedRows:
        """Returns rows of ALIGNED; read are the distinct sentences."""
        # One element a file: CoNLL-U has no place to split at without reading it from the start.
        read = beam.Map(_parsed, lang=self.lang, config=self.config)
        return track(
            root
            | "ListFiles" >> beam.Create(list(self.files))
            | "ReadParses" >> read.with_output_types(pa.RecordBatch)
        )


def _parsed(path: str, *, lang: str, config: DeriveConfig) -> pa.RecordBatch:
    return derive_parsed(path, lang=lang, config=config)
