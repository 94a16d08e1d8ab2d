"""Texts, rows and settings for the tests of derived languages and of derived task files."""

import pyarrow as pa
from hypothesis import strategies as st

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.schema.ids import text_ids
from bitextile.schema.kinds import MONO

LANGS = ["en", "fr", "zh", "ar", "th"]
PIECES = ["dog", "L'été", "狗", "跑", "كلب", "หมา", "e\u0301", "𠀀", "😀", "\ue000", "\u200d"]
TEXTS = st.lists(
    st.sampled_from([*PIECES, " ", " ", "  ", ".", "!", "。", "?", ",", "(", "3.5", "\u0301"])
).map("".join)
ORDERS = st.lists(
    st.sampled_from(["transliterate", "invert", "permute"]), min_size=1, max_size=3, unique=True
)
CONFIGS = st.builds(DeriveConfig, transforms=ORDERS.map(tuple), seed=st.integers(0, 3))


def mono(*rows: tuple[str, str]) -> pa.RecordBatch:
    made = {
        (lang, text): {"lang": lang, "text": text, "corpus": "c", "file": "f", "line": line}
        | {"text_id": text_ids(lang, pa.array([text]))[0].as_py(), "split": "train"}
        for line, (lang, text) in enumerate(rows, 1)
    }
    return pa.RecordBatch.from_pylist(list(made.values()), schema=MONO.schema)


BATCHES = st.lists(st.tuples(st.sampled_from(LANGS), TEXTS), max_size=6).map(lambda r: mono(*r))


def words(row: dict, side: str) -> list[str]:
    return [row[side][s["start"] : s["end"]] for s in row[f"{side}_spans"]]


CONLLU = """# sent_id = 1
# text = The dog's tail wags.
1\tThe\tthe\tDET\t_\t_\t2\tdet\t_\t_
2-3\tdog's\t_\t_\t_\t_\t_\t_\t_\t_
2\tdog\tdog\tNOUN\t_\t_\t4\tnmod\t_\tSpaceAfter=No
3\t's\t's\tPART\t_\t_\t2\tcase\t_\t_
4\ttail\ttail\tNOUN\t_\t_\t5\tnsubj\t_\t_
5\twags\twag\tVERB\t_\t_\t0\troot\t_\tX=1|SpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t5\tpunct\t_\t_

"""


def file(tmp_path, text: str, name: str) -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


PLAIN_CONLLU = "\n".join(
    line for line in CONLLU.splitlines() if not line.startswith(("2-3", "# text"))
).replace("# sent_id = 1", "# sent_id = 1\n# text = The dog's tail wags.")
PLAIN_CONLLU += "\n"
