"""Dictionary files for tests: how to write and read them."""

from collections import Counter
from pathlib import Path

from bitextile.kernels.bitext.dictionary.source import Dictionary, DictionarySource

KNOWN = {"en": Counter({"the": 9, "dog": 3, "of": 5, "runs": 1})}

TEI = """<?xml version="1.0"?><TEI xmlns="http://www.tei-c.org/ns/1.0"><text><body>
<entry><form><orth>dog</orth></form><gramGrp><pos>n</pos></gramGrp>
<sense><def>mbwa<note>(animal)</note>, jibwa</def></sense></entry>
<entry><form><orth>of</orth></form><sense><cit type="trans"><quote>ya</quote></cit></sense></entry>
</body></text></TEI>"""
WIKTIONARY = """# English :: Czech dictionary extracted from somewhere
a {article} (an) SEE: an ::
dog {n} (animal (tame)) :: pes {m}, fena {f} [archaic] /pɛs/
Aaron's rod {n} :: divizna {f}; zlatobýl {m}
"""


def source(path: Path, tgt: str = "de", **options) -> DictionarySource:
    return DictionarySource(path=str(path), src_lang="en", tgt_lang=tgt, **options)


def written(tmp_path: Path, text: str, name: str = "d.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def entries(dictionary: Dictionary) -> list[tuple]:
    table = dictionary.entries
    return list(zip(*(table.column(c).to_pylist() for c in ("src", "tgt", "pos"))))
