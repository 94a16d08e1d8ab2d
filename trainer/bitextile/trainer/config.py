"""The configuration of a run: what `pretrain` is told, checked before anything is read."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bitextile.schema.errors import ConfigError

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
M = TypeVar("M", bound=BaseModel)


class Settings(BaseModel):
    """A part of a configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class ModelConfig(Settings):
    """The encoder to train: exactly one of the three.

    Attributes:
        preset: `mini` (4 layers x 256, 4 heads: minutes on a CPU) or `base` (XLM-R's geometry,
            12 x 768 x 12, Conneau et al. 2020); fresh weights.
        config: a transformers configuration with `model_type`, such as bert, xlm-roberta or
            modernbert; fresh weights. Vocabulary and special ids come from the tokenizer.
        checkpoint: a local folder as `save_pretrained` writes it, with safetensors weights.
    """

    preset: Literal["mini", "base"] | None = None
    config: dict[str, Any] | None = None
    checkpoint: str | None = None

    @model_validator(mode="after")
    def _one(self) -> "ModelConfig":
        given = [n for n in ("preset", "config", "checkpoint") if getattr(self, n) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "nothing"
            raise ValueError(f"give one of preset, config or checkpoint, got {got}")
        if self.config is not None and "model_type" not in self.config:
            raise ValueError("config lacks model_type; such as bert, xlm-roberta or modernbert")
        return self


class EntryConfig(Settings):
    """What every entry of the mixture says.

    Attributes:
        dataset: folder of a finished dataset.
        weight: share of the micro-batches relative to the other entries; 1 makes all equal.
    """

    dataset: str
    weight: Annotated[float, Field(gt=0.0)] = 1.0


class MlmData(EntryConfig):
    """Masked language modelling of single sentences, from mono, pairs or aligned."""

    objective: Literal["mlm"]


class TlmData(EntryConfig):
    """Masked language modelling of pairs, from pairs, aligned or exchange."""

    objective: Literal["tlm"]


class CamlmData(EntryConfig):
    """Each sentence predicted from its translation alone, from pairs, aligned or exchange.

    Attributes:
        mask_rate: share of positions to predict; None for the run's (methods.md 2: 15 %).
        either_order: a coin per pair and epoch decides which sentence comes first, so that the
            model can write behind a sentence of either language (our choice: on); else the order
            is that of the dataset.
    """

    objective: Literal["camlm"]
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    either_order: bool = True


class BtmlmData(EntryConfig):
    """Masked language modelling beside pseudo translations, from pseudo."""

    objective: Literal["btmlm"]


class WeamData(EntryConfig):
    """Prediction from exchanged vectors, from aligned or exchange.

    Attributes:
        exchange_layer: an extra linear layer between the exchanged vectors and the head
            (methods.md 1, our choice: off, one shared head).
        first_subword_only: exchange the first subword of each word, not the mean of all
            (methods.md 1, our choice: the mean).
        one_to_one_only: exchange only where both words have no other link (methods.md 1, our
            choice: every link).
    """

    objective: Literal["weam"]
    exchange_layer: bool = False
    first_subword_only: bool = False
    one_to_one_only: bool = False


class MocoData(EntryConfig):
    """Contrast of sentences with a momentum queue, from pairs or aligned.

    Attributes:
        queue: keys that serve as negatives; 32,000 (methods.md 3, our choice).
        momentum: of the key encoder; 0.999 (our choice).
        temperature: of the similarities; 0.05 (our choice).
        projection: size of the compared vectors; 128 (our choice).
        tlm: add TLM on the same pairs, which makes it PPA's whole loss.
    """

    objective: Literal["moco"]
    queue: Positive = 32_000
    momentum: Share = 0.999
    temperature: Annotated[float, Field(gt=0.0)] = 0.05
    projection: Positive = 128
    tlm: bool = True


class AlignMlmData(EntryConfig):
    """MLM with a pull between the embeddings of dictionary pairs, from mono, pairs or aligned.

    Attributes:
        lexicon: folder of a lexicon dataset.
        strength: alpha of the paper, 10.
        sample: dictionary pairs per micro-batch; 0 takes all, as the paper does.
        share: of the dictionary to use; 0.25, 0.5 and 1 in the paper.
    """

    objective: Literal["align_mlm"]
    lexicon: str
    strength: Annotated[float, Field(ge=0.0)] = 10.0
    sample: Count = 0
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


class DictMlmData(EntryConfig):
    """MLM in which dictionary words stand for their translations, from mono, pairs or aligned.

    Attributes:
        lexicon: folder of a lexicon dataset.
        variant: predict_synonym (the label is the translation) or from_synonym (the input is).
        rate: probability that a selected dictionary word is translated; 0.5 in the paper.
        share: of the dictionary to use.
    """

    objective: Literal["dict_mlm"]
    lexicon: str
    variant: Literal["predict_synonym", "from_synonym"] = "predict_synonym"
    rate: Share = 0.5
    share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


DataConfig = (
    MlmData | TlmData | WeamData | CamlmData | BtmlmData | MocoData | AlignMlmData | DictMlmData
)
"""One entry of the mixture: what is learned from which dataset, and how often."""

Entry = Annotated[DataConfig, Field(discriminator="objective")]


class RunConfig(Settings):
    """What every run is told, whatever it learns.

    Attributes:
        steps: optimiser steps in all.
        accumulate: micro-batches of a step, over all devices; each is a lane of its own through
            the data, so that their number, not the machine, decides what a step sees.
        max_length: tokens of one input with its special tokens; a longer text is split at a word
            (mlm), a longer pair cut.
        row_tokens: width of a packed row, in which several inputs lie side by side; None for 256,
            or `max_length` if that is more. Wider rows leave less padding and cost attention more
            where its mask is dense; give a multiple of 128 with FlexAttention, such as 2048.
        lr: peak learning rate; 5e-4 suits mini, 1e-4 to 2e-4 base.
        warmup_steps: of linear rise from 0.
        schedule: after the warm-up: down to 0 at `steps` linearly or by a cosine, or constant.
        weight_decay: of AdamW, on matrices only (biases and norms are spared).
        clip: largest gradient norm; 0 turns clipping off.
        seed: of every draw: order, mixture, masks, dropout, fresh weights.
        device: auto (cuda if there is one), cpu or cuda.
        precision: auto (bf16 on cuda, fp32 on CPU), fp32 or bf16; bf16 keeps weights in float32.
        attention: auto (FlexAttention on cuda if the model has no dropout of attention weights,
            else dense), dense (SDPA with a dense mask) or flex.
        compile: run the encoder through torch.compile.
        parallel: over several processes (torchrun): ddp keeps the whole model in each, fsdp shards
            it, for encoders that do not fit.
        workers: processes per rank that read, tokenise and mask ahead of the model; 0 does it in
            the training process.
        evaluate_every: steps between validation losses on the `valid` split; 0 is never.
        checkpoint_every: steps between checkpoints; one is always written at the end.
        keep_checkpoints: the last so many stay.
    """

    steps: Positive
    accumulate: Positive = 1
    max_length: Annotated[int, Field(ge=8)] = 128
    row_tokens: Positive | None = None
    lr: Annotated[float, Field(gt=0.0)] = 5e-4
    warmup_steps: Count = 100
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.01
    clip: Annotated[float, Field(ge=0.0)] = 1.0
    seed: Count = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    attention: Literal["auto", "dense", "flex"] = "auto"
    compile: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    workers: Count = 0
    evaluate_every: Count = 0
    checkpoint_every: Count = 1000
    keep_checkpoints: Positive = 2

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
    """A pre-training run. Defaults suit the mini preset on a CPU within minutes.

    Attributes:
        tokenizer: local folder that `AutoTokenizer.from_pretrained` loads, a fast one.
        model: the encoder.
        data: the mixture.
        alpha: languages (or pairs) of an entry are drawn in proportion to rows ** alpha; 1 is
            proportional, 0 uniform. 0.5 after XLM (Conneau and Lample 2019, section 3.1).
        batch_tokens: useful (unpadded) tokens of one micro-batch, at most.
        language_embeddings: add an embedding of its language to each token (ERNIE-M), in
            pre-training only; what BTMLM's generation needs.
        mask_rate: share of positions to predict (BERT, Devlin et al. 2019: 15 %, 80/10/10).
        peak_flops: of the device at the precision used, floating-point operations per second, for
            the metric `mfu`; None looks cuda devices up by name and leaves it out elsewhere.
        evaluate_rows: rows per entry for a validation loss, at most.
    """

    tokenizer: str
    model: ModelConfig = ModelConfig(preset="mini")
    data: Annotated[tuple[Entry, ...], Field(min_length=1)]
    alpha: Share = 0.5
    batch_tokens: Positive = 4096
    language_embeddings: bool = False
    mask_rate: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    peak_flops: Annotated[float, Field(gt=0.0)] | None = None
    evaluate_rows: Positive = 512
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
meaning. `steps` stretches the schedule, which is what someone who trains on wants."""


def load_config(path: str) -> PretrainConfig:
    """Reads a run's configuration from a YAML file; relative paths start at the file's folder.

    Args:
        path: of the file.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown key or a wrong value; all are named.
    """
    return parse_config(read_yaml(path), base=Path(path).absolute().parent, where=str(path))


def read_yaml(path: str) -> object:
    """Returns what a YAML file holds.

    Raises:
        ConfigError: no such file, or no YAML.
    """
    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: not YAML ({reason})") from error


def parse_config(content: object, *, base: Path, where: str = "configuration") -> PretrainConfig:
    """Checks a configuration given as plain data.

    Args:
        content: what the YAML file holds.
        base: folder that relative paths start at.
        where: named in messages.

    Raises:
        ConfigError: an unknown key or a wrong value; all are named.
    """
    return _absolute(
        checked(PretrainConfig, content, where=where, keys="tokenizer, data, steps"), base
    )


def checked(model: type[M], content: object, *, where: str, keys: str) -> M:
    """Returns plain data as a configuration.

    Args:
        model: its class.
        content: what a YAML file holds.
        where: named in messages.
        keys: named as an example where there are none.

    Raises:
        ConfigError: an unknown key or a wrong value; all are named.
    """
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigError(f"{where}: holds a {kind}, expected keys such as {keys}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_problems(error)}") from error


def placed(path: str, base: Path) -> str:
    """Returns a path of a configuration, relative ones from the folder `base`; a URI as it is."""
    return path if "://" in path else str((base / Path(path).expanduser()).resolve())


def _problems(error: ValidationError) -> str:
    # Beside a refused entry pydantic says that its tuple is too short, which helps nobody.
    told = [e for e in error.errors() if not (e["type"] == "too_short" and e["input"])]
    return "; ".join(_problem(e) for e in told)


def _problem(error: Any) -> str:
    place = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        return _unknown(error["loc"])
    if error["type"] == "missing":
        return f"{place} is missing"
    if error["type"] == "union_tag_invalid":
        got, known = error["ctx"]["tag"], error["ctx"]["expected_tags"].replace("'", "")
        return f"{place}.objective is {got!r}, expected one of {known}"
    if error["type"] == "union_tag_not_found":
        strange = [k for k in error["input"] if not any(k in o.model_fields for o in OBJECTIVES)]
        unknown = [_unknown((*error["loc"], "", key)) for key in strange]
        return "; ".join([f"{place}.objective is missing", *unknown])
    message = error["msg"].removeprefix("Value error, ")
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return f"{place}: {message}{got}" if place else message


def _place(loc: tuple[Any, ...]) -> str:
    """Returns where a value stands, without the objective that pydantic puts behind an entry."""
    parts = (*loc[:2], *loc[3:]) if loc[:1] == ("data",) else loc
    return ".".join(str(part) for part in parts)


def _unknown(loc: tuple[Any, ...]) -> str:
    """Says that a key is unknown, or whose it is where another objective knows it."""
    key, objective = loc[-1], loc[2] if len(loc) == 4 else None
    others = [_named(o) for o in OBJECTIVES if key in o.model_fields]
    if loc[0] == "data" and others:
        return (
            f"{_place(loc[:-1])}: {key} is an option of {' and '.join(others)}, not of {objective}"
        )
    return f"unknown key {_place(loc)}; see trainer/README.md for the keys"


OBJECTIVES: tuple[type[EntryConfig], ...] = get_args(DataConfig)
"""What an entry can be."""


def _named(objective: type[EntryConfig]) -> str:
    return str(get_args(objective.model_fields["objective"].annotation)[0])


PATHS = frozenset({"dataset", "lexicon"})
"""Fields of an entry that name a dataset."""


def _absolute(config: PretrainConfig, base: Path) -> PretrainConfig:
    model = config.model
    if model.checkpoint is not None:
        model = model.model_copy(update={"checkpoint": placed(model.checkpoint, base)})
    data = tuple(
        d.model_copy(
            update={
                name: placed(getattr(d, name), base)
                for name in PATHS
                if name in type(d).model_fields
            }
        )
        for d in config.data
    )
    update = {"tokenizer": placed(config.tokenizer, base), "model": model, "data": data}
    return config.model_copy(update=update)
