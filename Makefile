# Every target makes what it needs: `make demo` and `make test` work on an empty clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: help demo test quick-tests test-all lint bench screenshots soak validate clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   simulated Bitrix24 portal -> warehouse -> measurement -> report in demo/"
	@echo "make test   ruff, mypy, import contracts and the tests"
	@echo "make test-all  the same with further variants of what the tests prove (a quarter of an hour)"
	@echo "make lint   ruff, mypy and import contracts only"
	@echo "make screenshots  every page at three widths in two languages -> docs/images (needs Chromium)"
	@echo "make soak   500 nights with random faults and 90 kills on DuckDB and PostgreSQL (longer than an hour)"
	@echo "make validate  error rates on simulated and real launches -> docs/validation.md (half an hour on two free cores)"
	@echo "make bench  every benchmark (about an hour); single ones: see bench/README.md"

.venv/run: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/run
	$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

.venv/bench: .venv/dev
	$(PIP) install -c constraints.txt -e ".[bench]"
	@touch $@

demo: .venv/run
	$(BIN)/payback demo --out demo --open

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive pipeline connectors

# Three workers on two cores: many tests wait for processes of their own. Those are hundreds, so their compiled modules are kept,
# whatever the environment says.
test test-all soak: export PYTHONDONTWRITEBYTECODE :=

test: .venv/dev
	@$(MAKE) --no-print-directory --jobs=2 lint quick-tests  # mypy takes a minute of one core

quick-tests: .venv/dev
	PAYBACK_TRIALS=200 $(BIN)/pytest -n 3 --dist loadgroup -m "not thorough"

test-all: lint
	$(BIN)/pytest -n 3 --dist loadgroup

screenshots: .venv/dev
	$(BIN)/python -m tests.screenshots

soak: .venv/dev
	$(BIN)/pytest -n 3 --dist loadgroup -m thorough
	$(BIN)/python -m tests.faults --soak 500

bench: .venv/bench
	$(BIN)/python -m bench

validate: .venv/bench
	$(BIN)/python -m bench.validate

clean:
	rm -rf .venv demo
