"""One dataset of each kind, for all tests of drawings."""

import pytest

from report_rows import write_all_kinds


@pytest.fixture
def all_kinds(tmp_path) -> list[str]:
    return write_all_kinds(tmp_path)
