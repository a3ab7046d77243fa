# Everything happens in .venv; install.py fills it from requirements.lock (with hashes). It needs no
# root, no Docker and no Redis.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12")'
	@$(PYTHON) install.py $(VENV)
	@touch $@

install: $(INSTALLED) ## the virtual environment, with everything in it

up: $(INSTALLED) ## the whole system on this machine, with 25 simulated homes
	$(BIN)/eagle-logger up --homes 25

test: $(INSTALLED) ## all tests, two at once (JOBS=0: one after the other)
	$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder \
		--hypothesis-profile repeatable $(PYTEST_ARGS)

quick: $(INSTALLED) ## the unit, contract and canary tests, for the inner loop (a minute on two cores)
	$(BIN)/python -m pytest -q tests/unit tests/contract tests/canaries $(PYTEST_ARGS)

faults: $(INSTALLED) ## strike the whole system in every way (SEED=7 ONLY=redis JOBS=1), and write the table of faults
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)") $(if $(JOBS),--jobs $(JOBS))

check: $(INSTALLED) ## ruff, mypy strict, law of imports, names of modules, generated docs up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/unit/test_import_law.py tests/unit/test_module_names.py
	$(BIN)/python -m docs.generate --check

docs: $(INSTALLED) ## write the generated reference pages
	$(BIN)/python -m docs.generate

store-test: $(INSTALLED) ## try the archive's contract on a store that others wrote (docs/how-to/choose-a-store.md)
	$(if $(REAL_S3_URL),,$(error set REAL_S3_URL, REAL_S3_BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY))
	$(BIN)/python -m pytest tests/contract/archive -k real_s3 $(PYTEST_ARGS)

compose-test: $(INSTALLED) ## build the images and try the whole system on this machine's Docker engine
	$(BIN)/python -m pytest tests/compose/whole_system.py $(PYTEST_ARGS)

bench: $(INSTALLED) ## measure, side by side with what it is compared to
	$(BIN)/python -m benchmarks

format: $(INSTALLED) ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header
lock: ## requirements.lock, and what the images take of it, from pyproject.toml (needs uv)
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) -c requirements.lock pyproject.toml -o docker/requirements.lock
	$(COMPILE) -c requirements.lock --extra tables pyproject.toml -o docker/requirements-tables.lock
	$(COMPILE) -c requirements.lock --extra stand-ins pyproject.toml -o docker/requirements-stand-ins.lock
	echo hatchling | $(COMPILE) -c requirements.lock - -o docker/requirements-build.lock

clean: ## remove the virtual environment and what was built (never ./data)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install up test quick faults check docs store-test compose-test bench format lock clean
