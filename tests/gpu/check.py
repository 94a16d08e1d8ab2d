#!/usr/bin/env python
"""Correctness and speed of the trainer on one GPU: a Markdown table and a JSON file, in 8 minutes.

    python tests/gpu/make_data.py DATA                        # anywhere, with bitextile[all]
    python tests/gpu/check.py --data DATA --out RESULTS       # on the GPU, with bitextile[train]

Without a GPU, `--device cpu --tiny` runs the same code at sizes that a CPU does in a minute. Each
section runs by itself: what one of them fails on stands in the table, and the others go on. Results
are written after each section. Goals are printed beside the figures and fail nothing; differences
between devices beyond their tolerance do (exit code 1).
"""

import argparse
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import equality
import generation
import processes
import throughput
import torch
import transformers
from setting import Row, Setting

SECTIONS: dict[str, Callable[[Setting], list[Row]]] = {
    "equality": equality.rows,
    "throughput": throughput.rows,
    "loader": throughput.loader_rows,
    "trainer": throughput.trainer_rows,
    "generation": generation.rows,
    "processes": processes.rows,
}


def environment(setting: Setting) -> dict[str, str]:
    """Returns what the figures depend on."""
    name = "cpu"
    if setting.device.type == "cuda":
        name = torch.cuda.get_device_name(setting.device)
    return {
        "device": name,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "tiny": str(setting.tiny),
    }


def markdown(environment: dict[str, str], rows: list[Row]) -> str:
    """Returns the table of all rows."""
    head = ", ".join(f"{name} {value}" for name, value in environment.items())
    lines = [head, "", "| section | what | measured | goal | |", "|---|---|---|---|---|"]
    marks = {True: "met", False: "missed", None: ""}
    lines += [f"| {r.section} | {r.what} | {r.value} | {r.goal} | {marks[r.met]} |" for r in rows]
    return "\n".join(lines) + "\n"


def run(setting: Setting, names: list[str]) -> list[Row]:
    """Runs sections and writes what they found after each."""
    found: list[Row] = []
    about = environment(setting)
    for name in names:
        began = time.perf_counter()
        try:
            found += SECTIONS[name](setting)
        except Exception as error:  # noqa: BLE001 - the other sections are still wanted
            traceback.print_exc()
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            found.append(Row(name, "section", reason, "", False))
        took = time.perf_counter() - began
        found.append(Row(name, "seconds of the section", f"{took:.0f}"))
        text = markdown(about, found)
        content = {"environment": about, "rows": [vars(row) for row in found]}
        (setting.out / "gpu.md").write_text(text, encoding="utf-8")
        (setting.out / "gpu.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
        print(markdown(about, [r for r in found if r.section == name]), flush=True)
    return found


def main() -> int:
    """Runs all sections; returns 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of make_data.py")
    parser.add_argument("--out", type=Path, required=True, help="folder for gpu.md and gpu.json")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="small model, few steps")
    parser.add_argument("--sections", nargs="*", default=list(SECTIONS), choices=list(SECTIONS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    setting = Setting(given.data.absolute(), given.out, torch.device(given.device), given.tiny)
    found = run(setting, given.sections)
    return int(any(row.met is False and not row.goal for row in found))


if __name__ == "__main__":
    sys.exit(main())
