"""Transforms and kernels of each command, used from the installed wheel by a foreign pipeline.

The wheel is built from this repository, installed without dependencies into a folder outside it,
and used there by scripts that know nothing of the repository.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMON = """
import apache_beam as beam, pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from bitextile.schema.kinds import ALIGNED, CANDIDATES, MONO, PAIRS

ID = "0123456789abcdef" * 2
PLACE = dict(corpus="mine", file="f", line=1, split="train")
spans = lambda *ends: [dict(start=s, end=e) for s, e in ends]
PAIR = dict(pair_id=ID, src_lang="en", tgt_lang="zh", src="The dog runs.", tgt="狗在跑。", **PLACE)
ALIGNED_ROW = dict(PAIR, src_spans=spans((0, 3), (4, 7), (8, 12), (12, 13)), align_score=-0.1,
    tgt_spans=spans((0, 1), (1, 2), (2, 3), (3, 4)),
    links=[dict(src=1, tgt=0, score=0.9), dict(src=2, tgt=2, score=0.9)])
MONO_ROW = dict(text_id=ID, lang="en", text="The dog runs.", **PLACE)
CANDIDATES_ROW = dict(text_id=ID, lang="en", text="The dog runs.", spans=spans((4, 7)),
    candidates=[[dict(text="Hund", lang="de", score=0.5)]])

def run(row, kind, transform, wanted):
    batch = pa.RecordBatch.from_pylist([row], schema=kind.schema)
    def check(found):
        assert found.to_pylist()[0].items() >= wanted.items(), found.to_pylist()
    with beam.Pipeline(runner=FnApiRunner()) as p:
        made = p | beam.Create([batch]) | transform
        getattr(made, "kept", made) | "Check" >> beam.Map(check)
"""
COMMANDS = {
    "ingest": """
from bitextile.kernels.filters.rules import FilterConfig, filter_rows
from bitextile.kernels.text.normalise import normalise_mono
from bitextile.transforms.ingest import Filter, Normalise
row = dict(MONO_ROW, text=" cafe\u0301 ")
batch = normalise_mono(pa.RecordBatch.from_pylist([row], schema=MONO.schema))
assert filter_rows(batch, kind=MONO, config=FilterConfig()).kept["text"][0].as_py() == "caf\xe9"
run(row, MONO, Normalise(MONO), dict(text="caf\xe9"))
""",
    "align": """
import tempfile
from bitextile.kernels.align.batches import segment_pairs
from bitextile.pipelines.recipe.recipe import Recipe
from bitextile.transforms.align import AlignWords
config = Recipe().align
batch = pa.RecordBatch.from_pylist([PAIR], schema=PAIRS.schema)
spans = segment_pairs(batch, segmenter=config.segmenter)["src_spans"][0].as_py()
assert spans[1] == dict(start=4, end=7)
run(PAIR, PAIRS, AlignWords(tempfile.mkdtemp(), {"en-zh": 1}, config), dict(src="The dog runs."))
""",
    "exchange": """
from bitextile.kernels.exchange import ExchangeConfig, exchange
from bitextile.transforms.exchange import ExchangeWords
config = ExchangeConfig(rate=1.0)
batch = pa.RecordBatch.from_pylist([ALIGNED_ROW], schema=ALIGNED.schema)
assert exchange(batch, config=config).kept["src_exchanged"][0].as_py() == "The 狗跑."
run(ALIGNED_ROW, ALIGNED, ExchangeWords(config), dict(src_exchanged="The 狗跑."))
""",
    "alignment": """
from bitextile.kernels.switch.alignment import AlignmentSwitchConfig, switch_by_alignment
from bitextile.transforms.switch import SwitchByAlignment
config = AlignmentSwitchConfig(token_rate=1.0, sides="src")
batch = pa.RecordBatch.from_pylist([ALIGNED_ROW], schema=ALIGNED.schema)
assert switch_by_alignment(batch, config=config).kept["text"][0].as_py() == "The 狗跑."
run(ALIGNED_ROW, ALIGNED, SwitchByAlignment(config), dict(text="The 狗跑."))
""",
    "multilingual": """
from bitextile.kernels.switch.pivot import MultilingualSwitchConfig, switch_multilingual
from bitextile.transforms.switch import SwitchMultilingual
config = MultilingualSwitchConfig(pivot="zh", token_rate=1.0)
batch = pa.RecordBatch.from_pylist([ALIGNED_ROW], schema=ALIGNED.schema)
assert switch_multilingual(batch, config=config).kept["text"][0].as_py() == "dog 在 runs。"
run(ALIGNED_ROW, ALIGNED, SwitchMultilingual(config), dict(text="dog 在 runs。"))
""",
    "dictionary": """
import pathlib, tempfile
from bitextile.kernels.bitext.dictionary.source import DictionarySource, read_dictionary
from bitextile.kernels.switch.dictionary import DictionarySwitchConfig, index_of
from bitextile.kernels.switch.dictionary import switch_by_dictionary
from bitextile.transforms.switch import SwitchByDictionary
file = pathlib.Path(tempfile.mkdtemp()) / "d.txt"
file.write_text("dog 犬\\n", encoding="utf-8")
read = read_dictionary(DictionarySource(path=str(file), src_lang="en", tgt_lang="ja"))
config = DictionarySwitchConfig(token_rate=1.0)
batch = pa.RecordBatch.from_pylist([MONO_ROW], schema=MONO.schema)
made = switch_by_dictionary(batch, index=index_of([read]), config=config)
assert made.kept["text"][0].as_py() == "The 犬 runs."
run(MONO_ROW, MONO, SwitchByDictionary((read.source,), config), dict(text="The 犬 runs."))
""",
    "candidates": """
from bitextile.kernels.switch.candidates import switch_by_candidates
from bitextile.kernels.switch.candidates import CandidatesSwitchConfig
from bitextile.transforms.switch import SwitchByCandidates
config = CandidatesSwitchConfig(token_rate=1.0)
batch = pa.RecordBatch.from_pylist([CANDIDATES_ROW], schema=CANDIDATES.schema)
assert switch_by_candidates(batch, config=config).kept["text"][0].as_py() == "The Hund runs."
run(CANDIDATES_ROW, CANDIDATES, SwitchByCandidates(config), dict(text="The Hund runs."))
""",
    "task-field": """
import pathlib, tempfile
from bitextile.kernels.switch.task_field import TaskFieldSwitchConfig, TaskFiles
from bitextile.kernels.switch.task_field import read_task, switch_task_fields
from bitextile.transforms.switch import SwitchTaskFields
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "en.tsv").write_text("A.\\tB.\\tneutral\\n")
(folder / "de.tsv").write_text("X.\\tY.\\tneutral\\n")
files = TaskFiles(task="nli", language="en", file=f"{folder}/en.tsv",
    translations={"de": f"{folder}/de.tsv"})
config = TaskFieldSwitchConfig(token_rate=1.0)
made = switch_task_fields(read_task(files).kept, config=config)
assert made.kept["premise"][0].as_py() == "X."
with beam.Pipeline(runner=FnApiRunner()) as p:
    def check(found): assert found["hypothesis"][0].as_py() == "Y."
    (p | SwitchTaskFields(files, config)).kept | beam.Map(check)
""",
    "lexicon": """
from bitextile.kernels.bitext.lexicon import LexiconConfig, count_links
from bitextile.transforms.lexicon import CountLexicon
batch = pa.RecordBatch.from_pylist([ALIGNED_ROW], schema=ALIGNED.schema)
assert count_links(batch)["tgt"].to_pylist() == ["狗", "跑"]
run(ALIGNED_ROW, ALIGNED, CountLexicon(LexiconConfig(min_count=1)), dict(src="dog", tgt="狗"))
""",
    "derive": """
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import derive_rows, undo_derive
from bitextile.transforms.derive import DeriveLanguage
config = DeriveConfig(transforms=("invert",))
kept = derive_rows(pa.RecordBatch.from_pylist([MONO_ROW], schema=MONO.schema), config=config).kept
assert undo_derive(kept).to_pylist() == ["The dog runs."]
run(MONO_ROW, MONO, DeriveLanguage(config), dict(tgt="runs dog The."))
""",
    "exchange, recase": """
from bitextile.kernels.exchange import ExchangeConfig, exchange, undo_exchange
from bitextile.kernels.text.truecase import casing_of
from bitextile.transforms.exchange import ExchangeWords
row = dict(ALIGNED_ROW, links=[dict(src=0, tgt=1, score=0.9)])
seen = dict(row, src="In the dog", src_spans=spans((0, 2), (3, 6), (7, 10)))
casing = casing_of([pa.RecordBatch.from_pylist([seen], schema=ALIGNED.schema)])
config = ExchangeConfig(rate=1.0, recase=True)
batch = pa.RecordBatch.from_pylist([row], schema=ALIGNED.schema)
kept = exchange(batch, config=config, casing=casing).kept
assert undo_exchange(kept)[1].to_pylist() == [row["tgt"]]
run(row, ALIGNED, ExchangeWords(config, casing), dict(tgt_exchanged="狗 the 跑。"))
""",
    "derive, aligned": """
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import derive_aligned, undo_derive_aligned
from bitextile.transforms.derive import DeriveAligned
config = DeriveConfig(transforms=("invert",), sides="src")
batch = pa.RecordBatch.from_pylist([ALIGNED_ROW], schema=ALIGNED.schema)
kept = derive_aligned(batch, config=config).kept
assert undo_derive_aligned(kept, config=config)[0].to_pylist() == ["The dog runs."]
run(ALIGNED_ROW, ALIGNED, DeriveAligned(config), dict(src="runs dog The.", tgt="狗在跑。"))
""",
    "derive, pairs": """
from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.derive.rows import sentences_of
from bitextile.transforms.derive import DeriveLanguage, ExplodePairs
config = DeriveConfig(transforms=("invert",), sides="src")
batch = pa.RecordBatch.from_pylist([PAIR], schema=PAIRS.schema)
assert sentences_of(batch, sides="src")["text"].to_pylist() == ["The dog runs."]
with beam.Pipeline(runner=FnApiRunner()) as p:
    def check(found): assert found["tgt"][0].as_py() == "runs dog The."
    made = p | beam.Create([batch]) | ExplodePairs("src") | DeriveLanguage(config)
    made.kept | beam.Map(check)
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside the repository with the wheel's content."""
    pytest.importorskip("hatchling", reason="no hatchling here, which builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([sys.executable, *install, str(target), str(wheel)], check=True)
    return target


@pytest.mark.parametrize("command", COMMANDS)
def test_a_foreign_pipeline_uses_the_command(command: str, installed: Path, tmp_path: Path) -> None:
    run(COMMON + COMMANDS[command], installed, tmp_path)


def test_the_examples_of_the_documentation_run(installed: Path, tmp_path: Path) -> None:
    text = (ROOT / "transforms/VARIANTS.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) > 8
    # Beam's own default runner would look for a binary on the network first.
    code = "\n".join(blocks).replace("beam.Pipeline()", "beam.Pipeline(runner=FnApiRunner())")
    runner = "from apache_beam.runners.portability.fn_api_runner import FnApiRunner\n"
    run(runner + code, installed, tmp_path)


def run(code: str, installed: Path, folder: Path) -> None:
    """Runs a script that finds bitextile in `installed`, far from the repository."""
    script = folder / "script.py"
    found = "import sys, bitextile.schema.kinds as k\nassert k.__file__.startswith(sys.argv[1])\n"
    script.write_text(found + code, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(installed)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
