"""Where tests find the repository and the data that is not part of it."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
SHARED = REPOSITORY.parent / "shared"
"""Corpora and gold sets; tests that read them skip with the reason where the folder is absent."""
