# Every target makes the environment it needs; `make demo` and `make test` work as the first command of a fresh clone.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
WORKERS ?= 2

.PHONY: demo test coverage test-system lint bench crash soak lock clean
.DEFAULT_GOAL := test

$(READY): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	$(BIN)/logkeep demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not system"

coverage: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not system" -q --cov --cov-report=term

test-system: $(READY)
	$(BIN)/python -m pytest -m system

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

crash: $(READY)
	$(BIN)/python tests/crash_points_long.py --workers $(WORKERS)

SEEDS ?= 20
DAYS  ?= 60
FIRST ?= 1
soak: $(READY)
	$(BIN)/python tests/soak.py --seeds $(SEEDS) --days $(DAYS) --first $(FIRST) --workers $(WORKERS)

bench: $(READY)
	$(BIN)/python bench/memory.py
	$(BIN)/python -m bench.records
	$(BIN)/python -m bench.records --memory

# Needs pip-tools in the environment that runs it; names packages only, never where they came from.
lock:
	$(PYTHON) -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
	$(PYTHON) -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra dev -c requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-archive
