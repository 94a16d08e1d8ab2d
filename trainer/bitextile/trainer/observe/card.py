"""What lies beside a trained model: its card for people, bitextile.json for software."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bitextile.kernels.model_folder import read_json
from bitextile.schema.errors import ConfigError
from bitextile.trainer.config import PretrainConfig
from bitextile.trainer.objectives.objective import DatasetEntry

PROVENANCE = "bitextile.json"


def write_card(
    folder: Path, config: PretrainConfig, entries: Sequence[DatasetEntry], facts: dict[str, Any]
) -> None:
    """Writes README.md: what the model learned from, with digests, and the configuration.

    Args:
        folder: the model's.
        config: of the run.
        entries: the mixture.
        facts: steps, tokens, parameters and the last losses.
    """
    # Front matter that the model hub reads: languages, library, task.
    languages = sorted({tag for e in entries for tag in e.dataset.languages})
    rows = "\n".join(
        f"| {e.objective.name} | {e.weight:g} | {Path(e.dataset.path).name} | "
        f"{e.dataset.kind.name} | {e.dataset.manifest.rows:,} | `{e.dataset.manifest.digest}` |"
        for e in entries
    )
    facts_text = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    front = yaml.safe_dump(
        {"language": languages, "library_name": "transformers", "pipeline_tag": "fill-mask"}
    )
    (folder / "README.md").write_text(
        f"---\n{front}---\n# A masked language model trained with bitextile\n\n"
        f"Languages: {', '.join(languages)}. Load it with "
        "`AutoModelForMaskedLM.from_pretrained` and `AutoTokenizer.from_pretrained`.\n\n"
        f"## Run\n\n{facts_text}\n\n## Data\n\n"
        "| objective | weight | dataset | kind | rows | digest |\n|---|---|---|---|---|---|\n"
        f"{rows}\n\n## Configuration\n\n```yaml\n{content}```\n",
        encoding="utf-8",
    )


def write_provenance(folder: Path, provenance: dict[str, Any]) -> None:
    """Writes bitextile.json: digests of tokenizer and datasets, and the step."""
    text = json.dumps(provenance, ensure_ascii=False, indent=1) + "\n"
    (folder / PROVENANCE).write_text(text, encoding="utf-8")


def read_provenance(folder: str) -> dict[str, Any] | None:
    """Returns what `write_provenance` wrote, or None for a model from elsewhere.

    Raises:
        ConfigError: the file is damaged.
    """
    path = Path(folder) / PROVENANCE
    if not path.is_file():
        return None
    found = read_json(path)
    datasets = found.get("datasets", [])
    named = isinstance(datasets, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("objective"), str) for entry in datasets
    )
    whole = isinstance(found.get("tokenizer", ""), str) and type(found.get("max_length", 0)) is int
    if not (named and whole):
        raise ConfigError(
            f"{path}: not as bitextile writes it (datasets, tokenizer or max_length); remove it to "
            "use the model as one from elsewhere"
        )
    return found
