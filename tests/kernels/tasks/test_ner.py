import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitextile.kernels.derive.config import DeriveConfig
from bitextile.kernels.tasks.ner import reorder_tags
from bitextile.kernels.tasks.tasks import derive_task
from bitextile.schema.errors import InputError
from derive_cases import file


def test_bio_prefixes_are_repaired(tmp_path) -> None:
    text = "Anton\tB-PER\nMaria\tI-PER\nsieht\tO\nBonn\tB-LOC\nKöln\tB-LOC\n.\tO\n\nBonn\tI-LOC\n"
    path = file(tmp_path, text, "a.tsv")
    made = derive_task("ner", path, lang="de", config=DeriveConfig(transforms=("invert",)))
    assert made.lines == [
        *("Köln\tB-LOC", "Bonn\tB-LOC", "sieht\tO", "Maria\tB-PER", "Anton\tI-PER", ".\tO", ""),
        *("Bonn\tB-LOC", ""),
    ]
    with pytest.raises(InputError, match="S-PER"):
        reorder_tags(["S-PER"], [0])


@given(st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=8), st.data())
def test_entities_keep_their_words_in_any_order(tags, data) -> None:
    order = data.draw(st.permutations(range(len(tags))))
    new = reorder_tags(tags, order)
    assert [t[1:] for t in new] == [tags[k][1:] for k in order]
    for before, tag in zip(["O", *new], new):
        assert not tag.startswith("I-") or before[2:] == tag[2:]
    valid = reorder_tags(tags, range(len(tags)))
    back = np.argsort(order)
    whole = reorder_tags(valid, range(len(valid)))
    assert whole == valid
    if order == sorted(order, reverse=True):
        assert reorder_tags(new, back.tolist()) == valid


def test_a_word_that_stands_for_none_keeps_its_script(tmp_path) -> None:
    path = file(tmp_path, "_\tO\na\tB-LOC\n", "a.tsv")
    made = derive_task("ner", path, lang="en", config=DeriveConfig())
    assert made.lines == ["_\tO", "\U000f0061\tB-LOC", ""]
