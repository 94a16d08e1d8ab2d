"""The GPU check itself, on a CPU at sizes that take seconds: it runs, and finds nothing unequal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECTIONS = {
    "equality": ["weam, dense, fp32", "camlm, dense, bf16", "moco, dense, bf16"],
    "throughput": ["dense"],
    "generation": ["backtranslate, camlm", "candidates", "align --aligner simalign"],
    "processes": ["one rank, process group", "one rank, FSDP"],
}
"""Rows of each section that must be there."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu") / "data"
    subprocess.run([sys.executable, HERE / "make_data.py", folder], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_runs_on_a_cpu(section, data, tmp_path):
    command = [sys.executable, HERE / "check.py", "--data", data, "--out", tmp_path]
    command += ["--device", "cpu", "--tiny", "--sections", section]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    rows = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["rows"]
    found = {row["what"]: row for row in rows}
    assert found.keys() >= set(SECTIONS[section])
    assert all(row["met"] is not False for row in rows if not row["goal"])
    assert found[SECTIONS[section][0]]["value"] in (tmp_path / "gpu.md").read_text("utf-8")
