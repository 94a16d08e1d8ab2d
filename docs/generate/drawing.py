"""The picture of README: a pair of the embedded sample, its word alignment, a switched sentence.

    python docs/generate/drawing.py > docs/alignment.svg

The aligner is fitted on the sample's 400 English-German pairs, as `make demo` does, and the
geometry is that of the report's drawings.
"""

import csv
import sys
from html import escape
from importlib import resources

import pyarrow as pa

from bitextile.kernels.align.hmm.config import HmmModelConfig
from bitextile.kernels.align.hmm.decode import align_pairs
from bitextile.kernels.align.hmm.fit import fit
from bitextile.kernels.drawing.geometry import Sentence, Word, two_lines
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.kernels.text.segment import cut_words, segment
from bitextile.schema.ids import pair_ids
from bitextile.schema.kinds import ALIGNED

STYLE = """\
text { font: 16px "Liberation Sans", Arial, Helvetica, sans-serif; fill: #1c1d21 }
.note { font-size: 11px; fill: #5b5e67 }
.stroke { fill: none; stroke: #2257c9; stroke-width: 1.9; stroke-linecap: round }
.switched { fill: #a8400f; font-weight: 700 }
@media (prefers-color-scheme: dark) {
  text { fill: #e9e8e4 } .note { fill: #a4a8b2 }
  .stroke { stroke: #86aefc } .switched { fill: #ffa27a }
}
"""
MARGIN_PX, NOTE_PX = 12, 22


def sample_pair() -> pa.RecordBatch:
    """Returns the first pair of the sample as an aligned batch of one row."""
    file = resources.files("bitextile.pipelines") / "sample/sentences.tsv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    texts = {lang: pa.array([row[lang] for row in rows]) for lang in ("en", "de")}
    spans = {lang: segment(texts[lang], lang) for lang in texts}
    words = {lang: cut_words(texts[lang], spans[lang]) for lang in texts}
    model = fit(words["en"], words["de"], config=HmmModelConfig())
    first = align_pairs(model, words["en"].slice(0, 1), words["de"].slice(0, 1))
    row = {
        "src_lang": "en",
        "tgt_lang": "de",
        "src": rows[0]["en"],
        "tgt": rows[0]["de"],
        "corpus": "sample",
        "file": "sentences.tsv",
        "line": 2,
        "split": "train",
        "src_spans": spans["en"][0].as_py(),
        "tgt_spans": spans["de"][0].as_py(),
        "links": first.links[0].as_py(),
        "align_score": first.score[0].as_py(),
    }
    sides = [pa.array([row[name]]) for name in ("src_lang", "tgt_lang", "src", "tgt")]
    row["pair_id"] = pair_ids(*sides)[0].as_py()
    return pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema)


def draw(aligned: pa.RecordBatch) -> str:
    """Returns the first pair of a batch, and a switched form of its source, as SVG.

    Args:
        aligned: of kind aligned.
    """
    row = aligned.slice(0, 1).to_pylist()[0]
    src, tgt = (
        Sentence(lang=row[f"{side}_lang"], words=_cut(row[side], row[f"{side}_spans"]))
        for side in ("src", "tgt")
    )
    links = [(link["src"], link["tgt"], link["score"]) for link in row["links"]]
    drawing = two_lines(src, tgt, links)
    config = AlignmentSwitchConfig(token_rate=0.5, sides="src", seed=3)
    (switched,) = switch_by_alignment(aligned.slice(0, 1), config=config).kept.to_pylist()
    top = drawing.height + 2 * NOTE_PX
    width, height = drawing.width + 2 * MARGIN_PX, top + NOTE_PX + 30
    parts = [
        f'<text class="note" x="{MARGIN_PX}" y="14">word alignment, English and German</text>',
        f'<g transform="translate({MARGIN_PX} {NOTE_PX})">',
        *(f'<path class="stroke" d="{stroke.path}"/>' for stroke in drawing.strokes),
        *map(_word, drawing.words),
        "</g>",
        f'<text class="note" x="{MARGIN_PX}" y="{top:.1f}">code-switched by this alignment</text>',
        f'<text x="{MARGIN_PX}" y="{top + NOTE_PX:.1f}">{_marked(switched)}</text>',
    ]
    said = f"{row['src']} / {row['tgt']} / {switched['text']}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" '
            f'width="{width:.1f}" height="{height:.1f}" role="img" aria-label="{escape(said)}">',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _cut(text: str, spans: list[dict[str, int]]) -> list[str]:
    return [text[span["start"] : span["end"]] for span in spans]


def _word(word: Word) -> str:
    return f'<text x="{word.x}" y="{word.y}" text-anchor="middle">{escape(word.text)}</text>'


def _marked(switched: dict) -> str:
    text, at, parts = switched["text"], 0, []
    for replaced in switched["replacements"]:
        start, end = replaced["start"], replaced["end"]
        parts += [
            escape(text[at:start]),
            f'<tspan class="switched">{escape(text[start:end])}</tspan>',
        ]
        at = end
    return "".join([*parts, escape(text[at:])])


if __name__ == "__main__":
    sys.stdout.write(draw(sample_pair()))
