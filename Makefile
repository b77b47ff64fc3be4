# Every target makes or refreshes .venv first, so none needs another one to be run by hand.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ADOT   := $(VENV)/adot/.ready
SHELL  := /bin/bash
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint format layer native bench accuracy clean

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make or refresh .venv (editable install with everything that development needs)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "afterglow needs Python 3.10 or newer, this is " + sys.version.split()[0] + ": set PYTHON=/path/to/python3")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## Profile four functions with a bug and their repaired twins under RIE, and show the reports
	@$(BIN)/python examples/demo.py

# AWS' own EMF exporter, for the tests that compare with it: its packages do not go with ours.
$(ADOT): tests/data/adot-requirements.txt $(STAMP)
	@$(BIN)/python -m venv --clear $(VENV)/adot
	@$(VENV)/adot/bin/python -m pip install --quiet --no-deps --requirement $<
	@touch $@

test: setup $(ADOT) ## Run the tests (ARGS='-k lingering -n 0': some of them; ARGS='-m slow': those that only CI runs)
	@$(BIN)/python -m pytest -n auto --dist worksteal --reruns 2 $(ARGS)

lint: setup ## Check format, lint, types and the import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

layer: setup ## Build dist/afterglow-layer-{x86_64,arm64}.zip
	@$(BIN)/afterglow layer build

native: setup ## Build the launcher anew after a change of its C (fetches zig, 80 MB)
	@$(BIN)/python -m afterglow_layer.native

bench: setup ## Measure the budgets (ARGS=cold: one of them), and write bench/RESULTS.md
	@$(BIN)/python -m bench $(ARGS)

accuracy: setup ## Run the functions with real libraries (ARGS=NAME: one of them), and write docs/accuracy.md
	@$(BIN)/python -m tests.real.accuracy $(ARGS)

clean: ## Remove .venv, dist and caches
	@rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
