"""The encoder: any BERT-like masked language model of transformers, its body and head apart."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import linear as functional_linear
from torch.nn.functional import pad

from bitextile.kernels.arrays import Bool
from bitextile.schema.errors import ConfigError
from bitextile.trainer.data.packed import Packed
from bitextile.trainer.losses import LossSum, masked_lm
from bitextile.trainer.model.attention import PACKED, block_mask, dense_mask, has_varlen
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
        is_head_trained: whether the head has learned anything before.
    """

    unused_rows: torch.Tensor | None
    is_head_trained: bool = True

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
        self._losses: Callable[[torch.Tensor, torch.Tensor], LossSum] = self._eager_losses
        # Called for its error: a model without a known head is refused before training.
        head_of(mlm)
        _set_attention(mlm, "flex_attention" if flex else "sdpa")
        # Not saved: what is a token follows from the tokenizer, which is.
        self.register_buffer("unused_rows", _unused_rows(mlm, is_piece), persistent=False)
        if flex:
            mlm.set_attn_implementation(PACKED)
        _narrow_norms(mlm)

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
            output_hidden_states=layer is not None,
            **self._visible(packed),
        )
        hidden = output.last_hidden_state if layer is None else output.hidden_states[layer]
        return hidden.flatten(0, 1)

    def _visible(self, packed: Packed) -> dict[str, Any]:
        """Returns what tells the body which tokens attend to which."""
        make = block_mask if self.flex else dense_mask
        if "sliding_attention" not in (getattr(self.mlm.config, "layer_types", None) or ()):
            if self.flex and has_varlen(packed):
                return {
                    "attention_mask": None,
                    "boundaries": packed.boundaries,
                    "longest": packed.longest,
                }
            return {"attention_mask": make(packed)}
        # A body with both kinds of layers (ModernBERT) takes a mask for each, by the layer's type.
        window = self.mlm.config.sliding_window
        masks = {"full_attention": make(packed), "sliding_attention": make(packed, window=window)}
        return {"attention_mask": masks}

    def prediction_loss(self, vectors: torch.Tensor, targets: torch.Tensor) -> LossSum:
        """Returns the negative log likelihood of ids under the head, summed.

        Args:
            vectors: [M, width] of the predicted positions.
            targets: [M] int64 the ids that stood there.
        """
        return self._losses(vectors, targets)

    def _eager_losses(self, vectors: torch.Tensor, targets: torch.Tensor) -> LossSum:
        return masked_lm(self._scores(vectors), targets)

    def compile_parts(self) -> None:
        """Runs the body and the prediction loss through torch.compile, each by itself.

        In place, so that the names of parameters stay.
        """
        self.mlm.base_model.compile()
        pad_decoder(self.mlm)

        # Apart from the body, for what lies between them is the objective's. The number of
        # predictions is another in each batch. What it saves: eager, [M, vocabulary] scores are
        # written and read some eight times, at 250,002 pieces more than the head computes.
        @torch.compile(dynamic=True)
        def losses(vectors: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
            found = self._eager_losses(vectors, targets)
            return found.total, found.weight

        self._losses = lambda vectors, targets: LossSum(*losses(vectors, targets))

    def logits(self, vectors: torch.Tensor) -> torch.Tensor:
        """Returns the head's scores of vectors [M, width] as [M, vocabulary].

        Those of rows that are no token are -inf: they get no probability, and no gradient.

        Only for positions that are predicted: on a CPU with 15 % of 32,000-word logits that is
        most of a mini model's time.
        """
        # A compiled head has columns beyond the vocabulary.
        return self._scores(vectors)[:, : self.table.shape[0]]

    def _scores(self, vectors: torch.Tensor) -> torch.Tensor:
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


def pad_decoder(mlm: Any) -> None:
    """Lets the last layer of a head give columns up to a multiple of 64, of -inf; in place."""
    decoder = mlm.get_output_embeddings()
    decoder.forward = partial(_padded_linear, decoder)


def _padded_linear(linear: nn.Linear, vectors: torch.Tensor) -> torch.Tensor:
    """Returns the scores of a head's last layer, and -inf up to a multiple of 64 columns.

    With XLM-R's 250,002 pieces cuBLAS takes kernels of an older generation, which do without rows
    aligned to 16 bytes: 6.6 ms for the gradient of the table, a quarter of the card's rate (H200,
    4,900 predictions). Compiled, the padding is part of the cast to bf16.
    """
    more = -linear.out_features % 64
    bias = vectors.new_zeros(linear.out_features) if linear.bias is None else linear.bias
    weight = pad(linear.weight, (0, 0, 0, more))
    return functional_linear(vectors, weight, pad(bias, (0, more), value=-torch.inf))


def _narrow_norms(mlm: nn.Module) -> None:
    """Lets norms give bf16 where the rest computes in it.

    Autocast leaves them float32, so that all that lies between two matrix products is twice as
    large, and moving it is a sixth of a compiled step (H200). They still compute in float32.
    """
    for module in mlm.modules():
        if isinstance(module, nn.LayerNorm):
            module.register_forward_hook(_as_autocast)


def _as_autocast(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    kind = output.device.type
    return output.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else output


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
