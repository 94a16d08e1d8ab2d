"""The card of a fine-tuned classifier: what it learned from, with digests, and how to call it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from bitextile.trainer.evaluate.task import TaskData
from bitextile.trainer.finetune.config import FinetuneConfig


def write_card(
    folder: Path,
    config: FinetuneConfig,
    labels: Sequence[str],
    train: Sequence[TaskData],
    facts: dict[str, Any],
) -> None:
    """Writes README.md.

    Args:
        folder: the model's.
        config: of the run.
        labels: name of each class.
        train: what was learned from.
        facts: steps, the last loss and what was augmented.
    """
    rows = "\n".join(
        f"| {Path(t.path).name} | {len(t.rows):,} | {t.left_out:,} | {t.unlabelled:,} "
        f"| `{t.digest}` |"
        for t in train
    )
    facts_text = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    content = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    front = yaml.safe_dump({"library_name": "transformers", "pipeline_tag": "text-classification"})
    (folder / "README.md").write_text(
        f"---\n{front}---\n# A classifier of sentence pairs, fine-tuned with bitextile\n\n"
        f"Labels: {', '.join(labels)}. Load it with "
        "`AutoModelForSequenceClassification.from_pretrained` and\n"
        "`AutoTokenizer.from_pretrained`; `tokenizer(premise, hypothesis)` gives the input it "
        "was trained on,\nfields truncated to "
        f"{config.max_length} tokens together.\n\n"
        f"## Run\n\n{facts_text}\n\n## Data\n\n"
        "| file | rows | left out (no sentence) | left out (no label) | digest |\n"
        "|---|---|---|---|---|\n"
        f"{rows}\n\n## Configuration\n\n```yaml\n{content}```\n",
        encoding="utf-8",
    )
