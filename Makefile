# Everything happens in .venv, from requirements.lock (with hashes). No root, no Docker, no Redis needed beforehand.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(INSTALLED) ## the virtual environment, with everything in it

up: $(INSTALLED) ## the whole system on this machine, with 25 simulated homes
	$(BIN)/eagle-logger up --homes 25

test: $(INSTALLED) ## all tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(INSTALLED) ## ruff, mypy strict, import law, generated docs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_import_law.py
	$(BIN)/python -m docs.generate --check

docs: $(INSTALLED) ## write the generated reference pages
	$(BIN)/python -m docs.generate

bench: $(INSTALLED) ## measure, side by side with what it is compared to
	$(BIN)/python -m benchmarks

format: $(INSTALLED) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock

clean: ## remove the virtual environment and what was built (never ./data)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install up test check docs bench format lock clean
