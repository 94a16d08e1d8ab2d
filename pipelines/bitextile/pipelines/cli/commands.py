"""Which commands there are, in the order and the groups of help, each with an example."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Listed:
    """A command as it is listed.

    Attributes:
        module: of this package that has a function of the command's name.
        group: heading under which help lists it.
        example: a call that help shows.
    """

    module: str
    group: str
    example: str


RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "align-text": {"--output": "--out"},
        "codeswitch": {"--dictionary": "--lexicon"},
        "candidates": {"--task-language": "--language"},
    }
)
"""Options of 0.1 by command, and what each is called now: scripts that name them go on."""

_DATA, _ALIGNMENT, _VARIANTS = "Data", "Alignment", "Variants"
_MODELS, _INSPECTION, _CHAIN = "Models", "Inspection", "Whole chain"

COMMANDS: Mapping[str, Listed] = MappingProxyType(
    {
        "run": Listed("chain", _CHAIN, "bitextile run recipe.yaml --out out"),
        "demo": Listed("chain", _CHAIN, "bitextile demo --out demo-out"),
        "ingest": Listed("corpora", _DATA, "bitextile ingest recipe.yaml --out out"),
        "export": Listed(
            "corpora", _DATA, "bitextile export out/aligned --format moses --out out/moses"
        ),
        "tokenizer": Listed(
            "corpora",
            _DATA,
            "bitextile tokenizer out/pairs out/mono --out out/tokenizer --vocab-size 8000",
        ),
        "align": Listed("alignment", _ALIGNMENT, "bitextile align out/pairs --out out/aligned"),
        "align-text": Listed(
            "alignment", _ALIGNMENT, "bitextile align-text -i corpus.txt -o links.txt"
        ),
        "lexicon": Listed(
            "alignment",
            _ALIGNMENT,
            "bitextile lexicon out/aligned --out out/lexicon --min-count 3",
        ),
        "exchange": Listed(
            "variants", _VARIANTS, "bitextile exchange out/aligned --out out/exchange --rate 0.3"
        ),
        "codeswitch": Listed(
            "variants",
            _VARIANTS,
            "bitextile codeswitch out/mono --method dictionary --lexicon en,de=out/lexicon "
            "--out out/switched",
        ),
        "derive": Listed(
            "variants",
            _VARIANTS,
            "bitextile derive out/mono --transforms transliterate,invert --out out/derived",
        ),
        "backtranslate": Listed(
            "generation",
            _VARIANTS,
            "bitextile backtranslate out/mono --model out/model --to de,fr --out out/pseudo",
        ),
        "candidates": Listed(
            "generation",
            _VARIANTS,
            "bitextile candidates out/mono --model out/model --languages de,fr "
            "--vocabulary-data out/pairs --out out/candidates",
        ),
        "pretrain": Listed("training", _MODELS, "bitextile pretrain pretrain.yaml --out model"),
        "finetune": Listed(
            "training", _MODELS, "bitextile finetune finetune.yaml --out classifier"
        ),
        "evaluate": Listed(
            "training",
            _MODELS,
            "bitextile evaluate out/model --task retrieval --data out/pairs --split test",
        ),
        "status": Listed("corpora", _INSPECTION, "bitextile status out"),
        "verify": Listed("corpora", _INSPECTION, "bitextile verify out/pairs"),
        "report": Listed(
            "corpora", _INSPECTION, "bitextile report out/pairs out/aligned --out report.html"
        ),
    }
)
"""By name; what each takes is the signature of the function."""


def summary(name: str) -> str:
    """Returns the first line of a command's docstring, without importing its module.

    >>> summary("lexicon")
    'Makes a bilingual dictionary from the word alignments.'
    """
    return _summaries(COMMANDS[name].module)[name.replace("-", "_")]


def epilog(name: str) -> str:
    """Returns what stands below a command's options: its example, broken only at options.

    >>> print(epilog("verify").splitlines()[-1])
      bitextile verify out/pairs
    """
    # click rewraps all paragraphs but those behind \b; so that it can be copied, a long call is
    # broken as a shell reads it.
    parts = re.split(r" (?=--?[a-z])", COMMANDS[name].example)
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < _WIDTH:
            lines[-1] += f" {part}"
        else:
            lines[-1] += " \\"
            lines.append(f"    {part}")
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


_WIDTH = 72


@cache
def _summaries(module: str) -> dict[str, str]:
    source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return {node.name: (ast.get_docstring(node) or "").split("\n\n")[0] for node in found}
