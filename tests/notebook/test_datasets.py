"""Datasets as a notebook shows them and as other libraries take them."""

import subprocess
import sys

import pytest

from bitextile.notebook import __version__, open_dataset, show
from bitextile.schema.errors import SchemaError
from bitextile.schema.kinds import ALIGNED
from report_rows import EVIL, write_all_kinds


@pytest.fixture
def all_kinds(tmp_path) -> list[str]:
    return write_all_kinds(tmp_path)


def test_every_kind_has_a_short_repr_and_html(all_kinds):
    for path in all_kinds:
        dataset = open_dataset(path)
        assert len(repr(dataset)) < 250
        assert len(repr(dataset.manifest)) < 120
        assert len(repr(dataset.kind)) < 300
        html = dataset._repr_html_()
        assert html.startswith("<div")
        assert html.endswith("</div>")
        assert EVIL not in html


def test_alignments_are_drawn_and_changed_words_marked(all_kinds):
    aligned, exchanged, switched = (open_dataset(all_kinds[n])._repr_html_() for n in (2, 4, 5))
    assert aligned.count("<svg") >= 4
    assert "القط" in aligned
    assert "<small>(rotes)</small>" in exchanged or "maison" in exchanged
    assert "<small>(نائم)</small>" in switched


def test_rows_go_to_pandas_and_datasets_and_back(all_kinds):
    pytest.importorskip("pandas")
    for path in all_kinds:
        dataset = open_dataset(path)
        frame = dataset.to_pandas()
        assert list(frame.columns) == dataset.table().schema.names
        assert len(frame) == dataset.manifest.rows
        if dataset.kind.name in ("pairs", "mono", "aligned", "exchange", "codeswitch"):
            assert show(frame)._repr_html_().startswith("<div")
    pytest.importorskip("datasets")
    rows = open_dataset(all_kinds[2]).to_datasets(key="ja-th", columns=["src", "links"])
    assert rows.column_names == ["src", "links"]
    assert rows[0]["links"][0]["src"] == 0


def test_show_says_which_rows_it_can_show(all_kinds):
    aligned = open_dataset(all_kinds[2], ALIGNED)
    assert repr(show(aligned.table(), 2)) == "Shown(2 rows)"
    with pytest.raises(SchemaError, match="rows of none of the kinds pairs, mono"):
        show(open_dataset(all_kinds[3]).table())


def test_the_version_is_that_of_the_distribution():
    assert __version__[0].isdigit()


def test_a_notebook_loads_neither_beam_nor_torch_nor_pandas():
    heavy = "{'apache_beam', 'torch', 'pandas'}"
    code = f"import sys, bitextile.notebook; print(*{heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
