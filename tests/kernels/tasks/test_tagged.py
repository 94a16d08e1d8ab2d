import pytest

from bitextile.kernels.tasks.tagged import TaggedSentence, read_tagged, tagged_lines
from bitextile.schema.errors import InputError
from derive_cases import CONLLU, file


def test_sentences_are_read_and_written_again(tmp_path) -> None:
    sentences = read_tagged(file(tmp_path, CONLLU, "a.conllu"), n_cells=10)
    assert [len(sentence.rows) for sentence in sentences] == [7]
    assert tagged_lines(sentences) == CONLLU.split("\n")[:-1]
    two = read_tagged(file(tmp_path, "#\tO\n\n\na\tB-LOC", "a.tsv"), n_cells=2)
    assert two == [TaggedSentence([], [["#", "O"]]), TaggedSentence([], [["a", "B-LOC"]])]


def test_another_number_of_cells_is_refused_with_the_line(tmp_path) -> None:
    with pytest.raises(InputError, match="line 2: 3 cells, expected 2"):
        read_tagged(file(tmp_path, "a\tO\nb\tc\tO\n", "a.tsv"), n_cells=2)
