# Each command sets up what it needs, once, in .venv of this clone, and says so.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

USE := $(VENV)/.ready-to-use
DEVELOP := $(VENV)/.ready-to-develop
BENCH := $(VENV)/.ready-to-bench
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help demo test check bench
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: $(USE) ## train a small translator, a BERT and a GPT, open them up: some minutes, no GPU (ARGS="--quick")
	@env -u OMP_NUM_THREADS $(BIN)/triptych demo $(ARGS)

test: $(DEVELOP) ## run all tests, two files at a time (ARGS="tests/unit/core" for some of them)
	@echo "Running the tests."
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

check: $(DEVELOP) ## style and types
	@echo "Checking style (ruff) and types (mypy --strict)."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

BENCHMARKS := start train_translation pretrain_bert encode generate translate train_gpt

bench: $(BENCH) ## measure speed against the peers, in turn: some minutes on an idle machine
	@mkdir -p build/bench
	@for name in $(BENCHMARKS); do echo "$$name"; env -u OMP_NUM_THREADS $(BIN)/python \
		benchmarks/$$name.py --json build/bench/$$name.json $(ARGS) || exit 1; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "triptych needs Python 3.11 or later; '$(PYTHON)' is `$(PYTHON) -V 2>&1`." \
			"Name another one: make PYTHON=python3.12 …" >&2; exit 2; }
	@echo "Making a virtual environment in $(VENV)."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu, install python3-venv." >&2; exit 2; }

$(USE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing triptych and what it stands on (torch is large: this takes some minutes, once)."
	@$(INSTALL) -e .
	@touch $@

$(DEVELOP): pyproject.toml constraints.txt | $(USE)
	@echo "Installing the tools and peers that tests and benchmarks use."
	@$(INSTALL) -e '.[dev]'
	@touch $@

$(BENCH): pyproject.toml constraints.txt | $(DEVELOP)
	@echo "Installing the engines that benchmarks compare with."
	@$(INSTALL) -e '.[bench]'
	@touch $@
