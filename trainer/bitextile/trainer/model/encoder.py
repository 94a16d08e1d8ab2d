"""The encoder: any BERT-like masked language model of transformers, its body and head apart."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bitextile.kernels.arrays import Bool
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.model.attention import block_mask, dense_mask
from bitextile.trainer.model.heads import head_of
from bitextile.trainer.model.languages import language_table

Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From [R, W, width] the embeddings of tokens, and E, to embeddings of the same shape."""


class Encoder(nn.Module):
    """A masked language model whose body and head can be called apart, on packed rows.

    Attributes:
        mlm: the transformers model, what `save_pretrained` writes.
        languages: tags with an embedding of their own, added to the input embeddings during
            pre-training (ERNIE-M, section 3.2) and ignored by whoever loads `mlm` alone.
        language: that table, or None.
        flex: FlexAttention instead of SDPA with a dense mask.
        unused_rows: [n] int64 rows of the embeddings that are no token of the tokenizer, as in a
            table that was rounded up; they are never predicted. None where there are none.
    """

    unused_rows: torch.Tensor | None

    def __init__(
        self,
        mlm: Any,
        languages: Sequence[str] = (),
        *,
        flex: bool = False,
        is_piece: Bool | None = None,
    ) -> None:
        """Takes a model apart.

        Args:
            mlm: masked language model of transformers.
            languages: tags that get an embedding of their own.
            flex: FlexAttention instead of SDPA.
            is_piece: [ids of the tokenizer] False where an id stands for nothing; None where every
                row of the embeddings is a token.
        """
        super().__init__()
        self.mlm: Any = mlm
        self.languages = tuple(languages)
        self.language = language_table(len(languages), mlm.config) if languages else None
        self.flex = flex
        # Called for its error: a model without a known head is refused before training.
        head_of(mlm)
        _set_attention(mlm, "flex_attention" if flex else "sdpa")
        # Not saved: what is a token follows from the tokenizer, which is.
        self.register_buffer("unused_rows", _unused_rows(mlm, is_piece), persistent=False)

    @property
    def width(self) -> int:
        """Size of a vector."""
        return int(self.mlm.config.hidden_size)

    @property
    def layers(self) -> int:
        """Number of layers above the embeddings."""
        return int(self.mlm.config.num_hidden_layers)

    @property
    def table(self) -> torch.Tensor:
        """The input embedding table E, [vocabulary, width]."""
        return self.mlm.get_input_embeddings().weight

    def vectors(
        self,
        packed: Packed,
        *,
        layer: int | None = None,
        body: nn.Module | None = None,
        language: nn.Module | None = None,
        change: Change | None = None,
    ) -> torch.Tensor:
        """Returns the vectors of all positions, flat.

        Args:
            packed: the rows.
            layer: 0 is the embeddings, `layers` or None the last one.
            body: computes in place of the encoder's own, a copy of it.
            language: language embeddings in place of the encoder's own, a copy of them.
            change: gives other embeddings for those of the tokens; SALT's mixup.

        Returns:
            [R * W, width]; position w of row r has the flat index r * W + w.
        """
        transformer: Any = self.mlm.base_model if body is None else body
        table = transformer.get_input_embeddings()
        embedded = table(packed.inputs)
        if change is not None:
            embedded = change(embedded, table.weight)
        language = self.language if language is None else language
        if language is not None and packed.languages is not None:
            embedded = embedded + language(packed.languages)
        # By embeddings, so that what is added to them goes through the body's own norm and dropout.
        # Positions must be given: a body counts along the row, and here several inputs begin in
        # one.
        output = transformer(
            inputs_embeds=embedded,
            position_ids=packed.positions + first_position(transformer),
            attention_mask=self._visible(packed),
            output_hidden_states=layer is not None,
        )
        hidden = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return hidden.flatten(0, 1)

    def _visible(self, packed: Packed) -> Any:
        make = block_mask if self.flex else dense_mask
        if "sliding_attention" not in (getattr(self.mlm.config, "layer_types", None) or ()):
            return make(packed)
        # A body with both kinds of layers (ModernBERT) takes a mask for each, by the layer's type.
        window = self.mlm.config.sliding_window
        return {"full_attention": make(packed), "sliding_attention": make(packed, window=window)}

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the head's scores of vectors [M, width] as [M, vocabulary].

        Those of rows that are no token are -inf: they get no probability, and no gradient.

        Only for positions that are predicted: on a CPU with 15 % of 32,000-word logits that is
        most of a mini model's time.
        """
        for part in head_of(self.mlm):
            vectors = part(vectors)
        if self.unused_rows is not None:
            vectors = vectors.index_fill(1, self.unused_rows, -torch.inf)
        return vectors


def _unused_rows(mlm: Any, is_piece: Bool | None) -> torch.Tensor | None:
    if is_piece is None:
        return None
    used: Bool = np.zeros(mlm.get_input_embeddings().num_embeddings, bool)
    used[: len(is_piece)] = is_piece[: len(used)]
    return None if used.all() else torch.from_numpy(np.flatnonzero(~used))


def first_position(body: Any) -> int:
    """Returns the number of position 0: RoBERTa-like models count from the padding id + 1."""
    embeddings = getattr(body, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_input_ids"):
        return int(embeddings.padding_idx) + 1  # type: ignore[union-attr]
    return 0


def _set_attention(mlm: Any, name: str) -> None:
    try:
        mlm.set_attn_implementation(name)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"model class {type(mlm).__name__} has no {name} attention, which packed rows need "
            f"({reason}); use a BERT-, RoBERTa- or ModernBERT-like one"
        ) from error
