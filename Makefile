# Each target brings its environment with it: .venv is made, or renewed when the lock or the package's metadata changed.
.DEFAULT_GOAL := help
.PHONY: setup demo test check bench help

# 3.11 first: it is what the tests run on, and the only Python with a small CPU build of torch
PYTHON ?= $(firstword $(foreach python,python3.11 python3,$(shell \
	$(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(python))))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

setup: .venv/.ready  ## install everything into .venv, pinned by requirements.lock
	@echo ".venv is as requirements.lock says"

demo: .venv/.ready  ## train, judge and show counterfactual preference optimization on a generated world (about 5 minutes)
	$(BIN)/python train.py experiment=demo

test: .venv/.ready  ## doctests, unit, contract, equivalence and smoke tests (CPU, offline, at most 10 minutes)
	$(BIN)/python -m pytest -q

check: .venv/.ready  ## style, types and the dependency rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: .venv/.ready  ## how fast each stage is on this machine
	$(BIN)/python experiments/bench/stages.py
	$(BIN)/python -m experiments.bench.preference_step --policy tiny

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The stamp is written last, so an installation that was interrupted starts again.
.venv/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
		echo "got:    no Python 3.11 or newer on the PATH"; \
		echo "wanted: python3.11 (or a newer python3) with its venv module"; \
		echo "remedy: install it, or name it: make setup PYTHON=/path/to/python3.11"; exit 2; } >&2
	@echo "[1/4] environment: .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@echo "[2/4] torch (the largest part: 200 MB for a CPU, several GB with CUDA)"
	@$(PIP) "$$(grep '^torch==' requirements.lock)"
	@echo "[3/4] the other $$(grep -c '^[a-zA-Z]' requirements.lock) packages of requirements.lock"
	@$(PIP) -r requirements.lock
	@echo "[4/4] cpo itself, editable"
	@$(PIP) --no-deps --editable .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@touch $@
