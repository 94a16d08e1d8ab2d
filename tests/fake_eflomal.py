"""A stand-in for eflomal's two programs, for tests: checks what it is given, links by position.

`install` writes it to a folder under the names eflomal-align and eflomal-makepriors, each with a
line that names the interpreter. Forward, every target word is linked to the source word at its
position or the last; reverse likewise. Where priors know a pair of words, forward takes that source
word instead.
"""

import argparse
import os
import sys
from pathlib import Path

MAX_WORDS = 1_024  # eflomal 2 silently gives no link beyond


def install(folder, program=None):
    """Writes the two programs, or others, to a folder and returns its path."""
    text = program if program is not None else Path(__file__).read_text(encoding="utf-8")
    Path(folder).mkdir(exist_ok=True)
    for name in ("eflomal-align", "eflomal-makepriors"):
        path = Path(folder, name)
        path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        path.chmod(0o755)
    return str(folder)


def lines_of(name):
    """The words of each line, which must be as eflomal needs them."""
    with open(name, encoding="utf-8") as file:
        lines = [line.split() for line in file]
    if not lines:
        sys.exit("ZeroDivisionError: float division by zero")
    for words in lines:
        if not 0 < len(words) <= MAX_WORDS:
            sys.exit(f"a line of {len(words)} words")
    return lines


def priors_of(name, src, tgt):
    """Source words by target word; raises SystemExit for a prior that bears on no word here."""
    sides = [{word for words in lines for word in words} for lines in (src, tgt)]
    known = {}
    with open(name, encoding="utf-8", newline="\n") as file:
        for line in file:
            kind, *fields, weight = line.rstrip("\n").split("\t")
            float(weight)
            if kind == "LEX":
                a, b = fields
                if a not in sides[0] or b not in sides[1]:
                    sys.exit(f"a prior for {a} {b}, which are not here")
                known.setdefault(b, set()).add(a)
            elif kind in ("FERF", "FERR"):
                word, _fertility = fields
                if word not in sides[kind == "FERR"]:
                    sys.exit(f"a fertility for {word}, which is not here")
            elif kind not in ("HMMF", "HMMR") or len(fields) != 1:
                sys.exit(f"a prior of kind {kind}")
    return known


def align(given):
    """Writes both directions."""
    src, tgt = lines_of(given.s), lines_of(given.t)
    if len(src) != len(tgt):
        sys.exit("Mismatched file sizes")
    known = priors_of(given.p, src, tgt) if given.p else {}
    with open(given.f, "w") as forward, open(given.r, "w") as reverse:
        for a, b in zip(src, tgt):
            chosen = [[i for i, word in enumerate(a) if word in known.get(w, ())] for w in b]
            source = [by[0] if by else min(j, len(a) - 1) for j, by in enumerate(chosen)]
            print(*(f"{i}-{j}" for j, i in enumerate(source)), file=forward)
            print(*(f"{i}-{min(i, len(b) - 1)}" for i in range(len(a))), file=reverse)


def make_priors(given):
    """Counts the links, as eflomal-makepriors does, of both directions alike."""
    src, tgt = lines_of(given.s), lines_of(given.t)
    links = []
    for name in (given.f, given.r):
        with open(name) as file:
            links.append([[tuple(map(int, p.split("-"))) for p in line.split()] for line in file])
    if {len(src)} != {len(tgt), *map(len, links)}:
        sys.exit("a file has another number of lines")
    pairs = {(a[i], b[j]) for a, b, points in zip(src, tgt, links[0]) for i, j in points}
    with open(given.p, "w", encoding="utf-8") as file:
        for a, b in sorted(pairs):
            print("LEX", a, b, "2", sep="\t", file=file)
        for kind, side in (("FERF", src), ("FERR", tgt)):
            for word in sorted({word for words in side for word in words}):
                print(kind, word, "1", "3", sep="\t", file=file)
        print("HMMF", "1", "9", sep="\t", file=file)
        print("HMMR", "-2", "1.5", sep="\t", file=file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for letter in "stfrpm":
        parser.add_argument(f"-{letter}")
    parser.add_argument("--length", type=float)
    parser.add_argument("--null-prior", type=float)
    is_align = os.path.basename(sys.argv[0]) == "eflomal-align"
    (align if is_align else make_priors)(parser.parse_args())
