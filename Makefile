# make demo   the whole chain on the embedded sample, into demo-out/
# make test   every test
# make check  format, lint, types, layers, documentation
# make docs   the documentation, into site/
# make dist   wheel and sdist, into dist/
# make mutate which faults the tests of the core modules miss (about an hour)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Twice quiet: errors are shown, notices and warnings about somebody else's packages are not.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet --quiet
DEMO ?= demo-out

.PHONY: demo check docs dist test mutate format clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	@$(BIN)/bitextile demo --out $(DEMO) --overwrite

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=pipelines:transforms:trainer $(BIN)/lint-imports
	$(MAKE) docs

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

dist: $(VENV)/.dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n logical

mutate: $(VENV)/.dev
	$(PIP) install -c constraints.txt --group mutate
	$(BIN)/python tests/mutation/mutate.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null || { echo "bitextile needs Python 3.11 or newer, and there is no '$(PYTHON)'; install one, or name it: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bitextile needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up $(VENV) (torch is some 200 MB; this takes a few minutes the first time)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing torch" >&2
	@$(PIP) install -c constraints.txt torch
	@echo "installing bitextile and what its commands need" >&2
	@$(PIP) install -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) install -c constraints.txt --group dev
	@touch $@

clean:
	rm -rf $(VENV) $(DEMO) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
