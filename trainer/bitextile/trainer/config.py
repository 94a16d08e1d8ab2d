"""The configuration of a run: what `pretrain` is given, checked before anything is read."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bitextile.trainer.objectives.config import AnyObjectiveSettings
from bitextile.trainer.settings import Count, FilePath, Fraction, Positive, Settings


class ModelConfig(Settings):
    """The encoder to train: exactly one of the three."""

    preset: Literal["mini", "base"] | None = None
    """`mini` (4 layers x 256, 4 heads: minutes on a CPU) or `base` (XLM-R's geometry, 12 x 768 x
    12, Conneau et al. 2020); fresh weights."""
    config: dict[str, Any] | None = None
    """A transformers configuration with `model_type`, such as bert, xlm-roberta or modernbert;
    fresh weights. Vocabulary and special ids come from the tokenizer."""
    checkpoint: FilePath | None = None
    """A local folder as `save_pretrained` writes it, with safetensors weights."""

    @model_validator(mode="after")
    def _one(self) -> "ModelConfig":
        given = [n for n in ("preset", "config", "checkpoint") if getattr(self, n) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "nothing"
            raise ValueError(f"give one of preset, config or checkpoint, got {got}")
        if self.config is not None and "model_type" not in self.config:
            raise ValueError("config lacks model_type; such as bert, xlm-roberta or modernbert")
        return self


class RunConfig(Settings):
    """The settings of every run, whatever it learns."""

    steps: Positive
    """Optimiser steps in all."""
    grad_accumulation: Positive = 1
    """Micro-batches of a step, over all devices; each is read by a stream of its own, so that their
    number, not the machine, decides what a step learns from."""
    max_length: Annotated[int, Field(ge=8)] = 128
    """Tokens of one input with its special tokens; a longer text is split at a word (mlm), a longer
    pair truncated."""
    row_tokens: Positive | None = None
    """Width of a packed row, in which several inputs lie side by side; None for 256, or
    `max_length` if that is more. Wider rows leave less padding and cost dense attention more;
    FlexAttention has all inputs of a micro-batch in one row and does not ask."""
    lr: Annotated[float, Field(gt=0.0)] = 5e-4
    """Peak learning rate; 5e-4 suits mini, 1e-4 to 2e-4 base."""
    warmup_steps: Count = 100
    """Steps of linear rise from 0."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """After the warm-up: down to 0 at `steps` linearly or by a cosine, or constant."""
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    """Weight decay of AdamW, on matrices only (biases and norms are spared)."""
    max_grad_norm: Annotated[float, Field(ge=0.0)] = 1.0
    """Largest gradient norm; 0 turns clipping off."""
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    """Seed of all random draws: order, mixture, masks, dropout, fresh weights; those of the entries
    of a mixture are drawn apart."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device: auto (cuda if there is one), cpu or cuda."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision: auto (bf16 on cuda, fp32 on CPU), fp32 or bf16; bf16 keeps weights in float32."""
    attention: Literal["auto", "dense", "flex"] = "auto"
    """Attention: auto (FlexAttention on cuda if the model has no dropout of attention weights, else
    dense), dense (SDPA with a dense mask) or flex."""
    compile: bool = False
    """Run the encoder through torch.compile."""
    gradient_checkpointing: bool = False
    """Compute each layer's activations again in the backward pass instead of keeping them: less
    memory for a third more computing."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How several processes (torchrun) share the model: ddp keeps the whole model in each, fsdp
    shards it, for encoders that do not fit."""
    workers: Count = 0
    """Processes per rank that read, tokenise and mask ahead of the model; 0 does it in the training
    process."""
    evaluate_every: Count = 0
    """Steps between validation losses on the `valid` split; 0 is never."""
    checkpoint_every: Count = 1000
    """Steps between checkpoints; one is always written at the end."""
    keep_checkpoints: Positive = 2
    """Checkpoints kept, the latest ones."""

    @model_validator(mode="after")
    def _wide_enough(self) -> "RunConfig":
        if self.row_tokens is not None and self.row_tokens < self.max_length:
            raise ValueError(
                f"row_tokens is {self.row_tokens}, less than max_length {self.max_length}; "
                "one full input must fit"
            )
        return self

    @property
    def width(self) -> int:
        """Tokens of a packed row."""
        return self.row_tokens or max(256, self.max_length)


class PretrainConfig(RunConfig):
    """A pre-training run. Defaults suit the mini preset on a CPU within minutes."""

    tokenizer: FilePath
    """Local folder that `AutoTokenizer.from_pretrained` loads, a fast one."""
    model: ModelConfig = ModelConfig(preset="mini")
    """The encoder."""
    data: Annotated[
        tuple[Annotated[AnyObjectiveSettings, Field(discriminator="objective")], ...],
        Field(min_length=1),
    ]
    """The mixture."""
    language_alpha: Fraction = 0.5
    """Languages (or language pairs) of an entry are drawn in proportion to rows ** language_alpha;
    1 is proportional, 0 uniform. 0.5 after XLM (Conneau and Lample 2019, section 3.1)."""
    batch_tokens: Positive = 4096
    """Useful (unpadded) tokens of one micro-batch, at most."""
    language_embeddings: bool = False
    """Add an embedding of its language to each token (ERNIE-M), in pre-training only; what BTMLM's
    generation needs."""
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    """Share of positions to predict (BERT, Devlin et al. 2019: 15 %, 80/10/10)."""
    peak_flops: Annotated[float, Field(gt=0.0)] | None = None
    """Floating-point operations per second of the device at the precision used, for the metric
    `mfu`; None looks cuda devices up by name and leaves it out elsewhere."""
    evaluate_rows: Positive = 512
    """Rows per entry for a validation loss, at most."""
    # Not 0, which is fine-tuning's word for each epoch: a mixture has no epochs.
    checkpoint_every: Positive = 1000

    @model_validator(mode="after")
    def _budget(self) -> "PretrainConfig":
        if self.batch_tokens < self.max_length:
            raise ValueError(
                f"batch_tokens is {self.batch_tokens}, less than max_length {self.max_length}; "
                "one full input must fit"
            )
        return self


FREE_ON_RESUME = frozenset(
    {
        "device",
        "precision",
        "attention",
        "compile",
        "gradient_checkpointing",
        "parallel",
        "workers",
        "peak_flops",
        "evaluate_every",
        "evaluate_rows",
        "checkpoint_every",
        "keep_checkpoints",
        "steps",
    }
)
"""Settings a resumed run may change: they touch neither the sequence of records nor the weights'
meaning. A larger `steps` lengthens the schedule, as continued training needs."""
