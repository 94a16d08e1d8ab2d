"""Examples made by hand for tests of the trainer, and the texts that examples hold."""

import numpy as np

from bitextile.trainer.data.examples import Example, Input


def sequence(number: int, length: int) -> Input:
    """Tokens that tell sequences apart, between two special ones."""
    tokens = (5 + (number * 7 + np.arange(length)) % 45).astype(np.int32)
    maskable = np.ones(length, bool)
    maskable[[0, -1]] = False
    return Input(tokens, maskable, np.zeros(length, np.int8), ("en",))


def example(number: int, *lengths: int, epoch: int = 0) -> Example:
    inputs = tuple(sequence(number + i, n) for i, n in enumerate(lengths))
    return Example(f"r{number}", np.uint64(number * 977 + 5), epoch, inputs)


def squeezed(string: str) -> str:
    """Without spaces: where a text was split, nothing says whether a space stood there."""
    return string.replace(" ", "")


def text(tokenizer, one: Input) -> str:
    return tokenizer.pretrained.decode(one.tokens[one.maskable].tolist()).replace("▁", " ").strip()


def decoded(tokenizer, objective, table, epoch: int = 0) -> list[str]:
    """The text of each example that an objective makes of rows."""
    examples = objective.examples(table, np.full(len(table), epoch), tokenizer)
    return [squeezed("".join(text(tokenizer, i) for i in e.inputs)) for e in examples]
