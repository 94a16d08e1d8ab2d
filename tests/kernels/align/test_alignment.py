"""Links as columns."""

import numpy as np
import pyarrow as pa
import pytest

from bitextile.kernels.align.alignment import LEAST_SCORE, MAX_WORDS, WordLinks, to_alignment
from bitextile.schema.errors import InputError
from bitextile.schema.kinds import LINKS


def links(*rows: tuple[int, int, int, float]) -> WordLinks:
    columns = [np.array(column) for column in zip(*rows)]
    return WordLinks(*columns) if rows else WordLinks(*[np.zeros(0, np.int64)] * 3, np.zeros(0))


def test_rows_without_links_lie_anywhere_and_score_least() -> None:
    made = to_alignment(links((1, 0, 2, 0.5), (1, 3, 0, 0.25), (3, 0, 0, 1.0)), 5)
    assert made.links.type == LINKS
    assert made.score.type == pa.float32()
    assert made.links.to_pylist() == [
        [],
        [{"src": 0, "tgt": 2, "score": 0.5}, {"src": 3, "tgt": 0, "score": 0.25}],
        [],
        [{"src": 0, "tgt": 0, "score": 1.0}],
        [],
    ]
    none = np.log(LEAST_SCORE)
    assert made.score.to_pylist() == pytest.approx([none, np.log(0.125) / 2, none, 0, none])
    assert made.slice(1, 2).links.to_pylist() == made.links.to_pylist()[1:3]
    assert len(made.slice(3, 9).score) == 2


def test_no_pairs_and_no_links() -> None:
    assert to_alignment(links(), 0).links.to_pylist() == []
    assert to_alignment(links(), 2).links.to_pylist() == [[], []]


@pytest.mark.parametrize("side", [1, 2])
def test_the_last_index_that_fits_and_the_first_that_does_not(side: int) -> None:
    row = [0, 0, 0, 1.0]
    row[side] = MAX_WORDS - 1
    assert list(to_alignment(links(tuple(row)), 1).links[0].as_py()[0].values())[side - 1] == 32766
    row[side] = MAX_WORDS
    with pytest.raises(InputError, match="32768 words, links number 32767"):
        to_alignment(links(tuple(row)), 1)
