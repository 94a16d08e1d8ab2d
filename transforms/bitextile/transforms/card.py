"""The card of a dataset's folder: README.md, by which `datasets.load_dataset(FOLDER)` reads it.

Without one that library would take every Parquet file below the folder, the rejects among them.
"""

from bitextile.schema.manifest import Manifest
from bitextile.schema.shards import shard_key

CARD = "README.md"
"""Name of the file. It is no part of the manifest, so that people may write into it."""


def card_text(manifest: Manifest) -> str:
    """Returns the card of a dataset.

    One configuration holds all rows (`default`), one the rows of each language pair or language
    (`de-en`), one the rejects. The split of Hugging Face is `rows` in each: rows of train, valid
    and test lie in the same shards, and the column `split` tells them apart.

    Args:
        manifest: of the dataset.
    """
    keys = sorted({shard_key(shard) for shard in manifest.shards})
    folders = {"default": "data/*/*.parquet"} if keys else {}
    folders |= {key: f"data/{key}/*.parquet" for key in keys}
    folders |= {"rejects": "rejects/*.parquet"} if manifest.rejects else {}
    lines = ["---", "configs:" if folders else "configs: []"]
    for name, pattern in folders.items():
        lines += [f'- config_name: "{name}"', "  data_files:"]
        lines += ["  - split: rows", f'    path: "{pattern}"']
    lines += ["---", "", f"# {manifest.kind}", "", f"{manifest.rows:,} rows of kind `"]
    lines[-1] += f"{manifest.kind}`, written by bitextile; see manifest.json."
    if keys:
        lines += ["", "```python", "from datasets import load_dataset", ""]
        lines += ['rows = load_dataset(FOLDER)["rows"]']
        lines += [f'rows = load_dataset(FOLDER, "{keys[0]}")["rows"]  # of one key', "```"]
    return "\n".join(lines) + "\n"
