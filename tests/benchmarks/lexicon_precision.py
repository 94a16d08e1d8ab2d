"""Precision at 1 of the lexicon counted from links, against bilingual dictionaries.

    OMP_NUM_THREADS=1 python tests/benchmarks/lexicon_precision.py ALIGNED [--min-count 5]

ALIGNED is a folder of kind aligned that holds de-en, en-fr and cs-en. For each English word of the
lexicon, its most probable translation counts as right if the dictionary lists it: exact match of
both words as the lexicon writes them (lower case). Two figures: over entries of which the
dictionary has both words, which says how good the links are; and over those of which it has the
English word, which also counts every inflected form that the dictionary lacks ("blanket", in the
captions "dece", in the dictionary "deka") as wrong. The dictionaries lie in
../shared/data/dictionaries; MUSE for all three, Wiktionary, which has citation forms only, beside
it for de and cs. What the dictionary spells in several words is left out.
"""

import argparse
from pathlib import Path

import pyarrow as pa

from bitextile.kernels.bitext.dictionary.source import DictionarySource, read_dictionary
from bitextile.kernels.bitext.lexicon import (
    LexiconConfig,
    count_links,
    join_spellings,
    lexicon_rows,
    merge_counts,
)
from bitextile.kernels.text.folding import fold_word
from bitextile.schema.dataset import Dataset, open_dataset

DICTIONARIES = Path(__file__).parents[3] / "shared/data/dictionaries"
REFERENCES = {
    "de": ("muse/en-de.cosda-de2.txt.gz", "wiktionary/en-de-enwiktionary.txt.gz"),
    "fr": ("muse/en-fr.cosda-fr2.txt.gz",),
    "cs": ("muse/en-cs.dict.gz", "wiktionary/en-cs-enwiktionary.txt.gz"),
}
ORDER = {"muse/en-cs.dict.gz": "tgt,src"}


def best(dataset: Dataset, lang: str, min_count: int) -> dict[str, tuple[str, int]]:
    """Returns each English word's most probable translation, and its count."""
    key = "-".join(sorted(("en", lang)))
    counts = join_spellings(merge_counts(count_links(batch) for batch in dataset.batches(key=key)))
    config = LexiconConfig(min_count=min_count)
    rows = lexicon_rows(pa.Table.from_batches([counts]), config=config).kept.to_pylist()
    en, other = ("src", "tgt") if lang > "en" else ("tgt", "src")
    p = f"p_{other}_given_{en}"
    found: dict[str, tuple[str, int]] = {}
    for row in sorted(rows, key=lambda row: (row[p], row["count"], row[other])):
        found[fold_word(row[en])] = (fold_word(row[other]), row["count"])
    return found


def reference(path: str, lang: str) -> dict[str, set[str]]:
    """Returns the translations of each English word of a dictionary, both folded."""
    source = DictionarySource(
        path=str(DICTIONARIES / path),
        src_lang="en",
        tgt_lang=lang,
        columns=ORDER.get(path, "src,tgt"),
    )
    known: dict[str, set[str]] = {}
    entries = read_dictionary(source).entries
    for src, tgt in zip(entries["src"].to_pylist(), entries["tgt"].to_pylist()):
        if " " not in src + tgt:
            known.setdefault(fold_word(src), set()).add(fold_word(tgt))
    return known


def main() -> None:
    """Prints a line for each language and dictionary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("aligned")
    parser.add_argument("--min-count", type=int, default=5)
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong ones")
    options = parser.parse_args()
    dataset = open_dataset(options.aligned)
    for lang, paths in REFERENCES.items():
        words = best(dataset, lang, options.min_count)
        for path in paths:
            known = reference(path, lang)
            translations = set().union(*known.values())
            one = [word for word in words if word in known]
            both = [word for word in one if words[word][0] in translations]
            right = {word for word in both if words[word][0] in known[word]}
            print(
                f"en-{lang} against {path}: precision at 1 {len(right) / max(len(both), 1):.3f} "
                f"({len(right)} of {len(both)} entries with both words known; "
                f"{len(right) / max(len(one), 1):.3f} of {len(one)} with the English word known; "
                f"{len(words)} English words in the lexicon)"
            )
            wrong = [word for word in both if word not in right]
            for word in wrong[:: max(1, len(wrong) // max(options.wrong, 1))][: options.wrong]:
                print(f"   {word} -> {words[word]}, expected {sorted(known[word])[:5]}")


if __name__ == "__main__":
    main()
