"""The card of a fine-tuned classifier: what it learned from, with digests, and how to call it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bitextile.trainer.finetune.classify import Classify
from bitextile.trainer.finetune.config import FinetuneConfig
from bitextile.trainer.finetune.data import Task


def write_card(
    folder: Path,
    config: FinetuneConfig,
    objective: Classify,
    tasks: Sequence[Task],
    facts: dict[str, Any],
) -> None:
    """Writes README.md.

    Args:
        folder: the model's.
        config: of the run.
        objective: gives labels and what was augmented.
        tasks: what was learned from.
        facts: steps and the last loss.
    """
    rows = "\n".join(
        f"| {Path(t.path).name} | {len(t.rows):,} | {t.left_out:,} | `{t.digest}` |" for t in tasks
    )
    augmented = {
        "fields with switched copies": objective.copies,
        "fields with candidates to mix in": objective.choices,
    }
    facts = facts | {name: len(found) for name, found in augmented.items() if found is not None}
    facts_text = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    front = yaml.safe_dump({"library_name": "transformers", "pipeline_tag": "text-classification"})
    (folder / "README.md").write_text(
        f"---\n{front}---\n# A classifier of sentence pairs, fine-tuned with bitextile\n\n"
        f"Labels: {', '.join(objective.labels)}. Load it with "
        "`AutoModelForSequenceClassification.from_pretrained` and\n"
        "`AutoTokenizer.from_pretrained`; `tokenizer(premise, hypothesis)` gives the input it "
        "was trained on,\nfields cut to "
        f"{config.max_length} tokens together.\n\n"
        f"## Run\n\n{facts_text}\n\n## Data\n\n"
        "| file | rows | left out (no sentence) | digest |\n|---|---|---|---|\n"
        f"{rows}\n\n## Configuration\n\n```yaml\n{content}```\n",
        encoding="utf-8",
    )
