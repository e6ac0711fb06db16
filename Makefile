# `make` alone says what there is.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

help:
	@echo "make venv    make the environment in $(VENV)"
	@echo "make test    environment, unit and end-to-end tests, ruff, mypy"
	@echo "make unit    the unit tests alone: seconds"
	@echo "make bench   the benchmarks: minutes"
	@echo "make clean   remove what the others made"

venv: $(VENV)/installed

# compat: a plain editable installation would hide the twistd plugin.
$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --config-settings editable_mode=compat --editable '.[dev]'
	touch $@

unit: venv
	$(BIN)/trial micamsgr

test: venv
	$(BIN)/trial micamsgr
	$(BIN)/trial tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: venv
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .hypothesis .mypy_cache .ruff_cache

.PHONY: help venv unit test bench clean
