"""What holds for every test: hypothesis draws the same examples each run, no clock judges."""

from hypothesis import settings

settings.register_profile(
    "bitextile", derandomize=True, deadline=None, database=None, max_examples=60
)
settings.load_profile("bitextile")
