"""Writes the shared gold alignments as bitextile reads them: JSON lines with words as spans.

    python tests/real_input/make_gold.py [OUT]

The gold sentences are tokenised; their text here is the tokens joined by spaces.
"""

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
GOLD = HERE.parents[2] / "shared" / "data" / "alignment_gold"

Sentence = tuple[list[str], list[str], list[tuple[int, int]], list[tuple[int, int]]]


def awesome(folder: Path, name: str) -> Iterator[Sentence]:
    """Yields sentences of a `src ||| tgt` file with 1-based links, p for possible."""
    texts = (folder / f"{name}.src-tgt").read_text(encoding="utf-8").splitlines()
    golds = (folder / f"{name}.gold").read_text(encoding="utf-8").splitlines()
    for text, gold in zip(texts, golds, strict=True):
        src, tgt = (side.split() for side in text.split("|||"))
        links: dict[str, list[tuple[int, int]]] = {"-": [], "p": []}
        for link in gold.split():
            kind = "p" if "p" in link else "-"
            i, j = (int(word) - 1 for word in link.split(kind))
            if i < len(src) and j < len(tgt):  # six links of KFTT point past the end
                links[kind].append((i, j))
        yield src, tgt, links["-"], links["p"]


def czenali(folder: Path) -> Iterator[Sentence]:
    """Yields sentences of the CzEnAli JSON lines; all links are sure."""
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                links = [(i, j) for i, j in row["alignment"]]
                yield row["src_words"], row["tgt_words"], links, []


def spans(words: list[str]) -> list[list[int]]:
    """Returns where each word stands in the words joined by spaces."""
    found, at = [], 0
    for word in words:
        found.append([at, at + len(word)])
        at += len(word) + 1
    return found


def write(path: Path, languages: tuple[str, str], sentences: Iterator[Sentence]) -> None:
    """Writes one gold file."""
    with path.open("w", encoding="utf-8") as out:
        for number, (src, tgt, sure, possible) in enumerate(sentences):
            row = {"id": f"{path.stem}-{number}"}
            row |= {"src_lang": languages[0], "tgt_lang": languages[1]}
            row |= {"src": " ".join(src), "tgt": " ".join(tgt)}
            row |= {"src_spans": spans(src), "tgt_spans": spans(tgt)}
            row |= {"sure": sure, "possible": possible}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    """Writes all three sets."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "gold"
    out.mkdir(parents=True, exist_ok=True)
    hansards = awesome(GOLD / "hansards_en-fr", "awesome-align.enfr")
    write(out / "hansards.en-fr.jsonl", ("en", "fr"), hansards)
    write(out / "czenali.en-cs.jsonl", ("en", "cs"), czenali(GOLD / "czenali_en-cs"))
    write(out / "kftt.ja-en.jsonl", ("ja", "en"), awesome(GOLD / "kftt_ja-en", "jaen"))


if __name__ == "__main__":
    main()
