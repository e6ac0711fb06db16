# `make` alone says what there is.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PREFIX ?= /opt/micamessenger
# So many end-to-end tests run at once; most of them wait most of the time.
JOBS ?= 3
OLD = "Python 3.10 or newer is needed, such as: make venv PYTHON=python3.11"

help:
	@echo "make run     chat with the bot in a browser: no account, no network"
	@echo "make venv    make the environment in $(VENV)"
	@echo "make test    environment, unit and end-to-end tests, ruff, mypy"
	@echo "make unit    the unit tests alone: a minute or two"
	@echo "make bounds  the unit tests with the oldest libraries that will do"
	@echo "make bench   the benchmarks: half an hour; DOCS=docs writes their page"
	@echo "make install    as root: the service, in $(PREFIX), for systemd"
	@echo "make uninstall  as root: the opposite; configuration and store stay"
	@echo "make clean   remove what the others made"

venv: $(VENV)/installed

# compat: a plain editable installation would hide the twistd plugin.
$(VENV)/installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and $(OLD))'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install -qq --config-settings editable_mode=compat --editable '.[dev]'
	touch $@

# A key or a server of one's own makes the page talk to a real LLM.
run: export MICA_LLM_PROVIDER ?= $(if $(OPENAI_API_KEY)$(MICA_LLM_SERVER),openai,demo)
run: venv
	@$(BIN)/twistd -n micamessenger --config etc/sandbox.yaml

unit: venv
	$(BIN)/trial micamsgr

test: venv
	$(BIN)/trial micamsgr
	$(BIN)/trial -j $(JOBS) tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The unit tests with the oldest versions that setup.cfg allows.
bounds:
	$(PYTHON) -m venv --clear $(VENV)-bounds
	sed -n '/^install_requires/,/^$$/s/^ *\([a-z-]*\) >= /\1==/p' setup.cfg > $(VENV)-bounds/oldest
	$(VENV)-bounds/bin/pip install --quiet --constraint $(VENV)-bounds/oldest .
	cd $(VENV)-bounds && bin/trial micamsgr

# py-spy is for the flame graph.  DOCS=docs writes what is found into the page.
bench: venv
	$(BIN)/pip install -qq --config-settings editable_mode=compat --editable '.[dev,bench]'
	PYTHON=$(abspath $(BIN))/python bench/run $(if $(DOCS),--docs $(DOCS))

# Not with the Python that is the first one here, which may be root's alone:
# $(PYTHON) counts only if it was given.
install uninstall: export PYTHON := $(if $(filter file,$(origin PYTHON)),/usr/bin/python3,$(PYTHON))
# Only if it was given: what is installed may be elsewhere.
uninstall: export PREFIX := $(if $(filter file,$(origin PREFIX)),,$(PREFIX))
install: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install uninstall:
	@sh etc/install.sh $@

clean:
	rm -rf $(VENV) $(VENV)-bounds build dist *.egg-info _trial_temp* .hypothesis .mypy_cache .ruff_cache etc/sandbox.db*

.PHONY: help venv run unit test bounds bench install uninstall clean
