# The verbs of this project. Each sets up what it needs in .venv and is quick the second time.
#
#   make lab     JupyterLab on the notebooks, with the API under /lgnb/   (options: LAB_ARGS="--no-browser --port=8899")
#   make test    every test
#   make lint    ruff, pyright and the import contracts
#   make audit   known vulnerabilities of what is installed; needs the index of PyPI itself
#   make bench   the benchmark, in a quarter of an hour   (options: BENCH_ARGS="--quick")
#   make chaos   servers killed, stalled and cut off under load   (options: CHAOS_ARGS="--minutes 30 --seed 7")
#   make soak    whether memory stays flat   (options: SOAK_ARGS="--minutes 30")
#   make compare the answers of lgnb beside those of another LangGraph server, which it installs in .venv-reference

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
REFERENCE := .venv-reference

# The first interpreter that is new enough; `make PYTHON=/path/to/python3.12 …` chooses another one.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; exit 0; }; done)

.DEFAULT_GOAL := help
CHAOS_ARGS ?= --minutes 3

.PHONY: help lab test lint audit bench compare chaos soak

help:
	@sed -n '3,$${/^#/!q;s/^# \{0,1\}//p;}' Makefile

# Root is the usual user of a container, and Jupyter wants to be told that this is meant.
lab: $(VENV)/.installed-lab
	exec $(BIN)/jupyter lab --notebook-dir=notebooks --LabApp.default_url=/lab/tree/01-quickstart.ipynb \
		$$([ "$$(id -u)" -ne 0 ] || echo --allow-root) $(LAB_ARGS)

# Processes share the work by file; what measures time has the machine to itself. Servers are waited for more than worked
# with, so there are more processes than two cores. One that hangs where no timeout of a test reaches says where, and ends.
# With TEST_ARGS, only that: make test TEST_ARGS=tests/unit
PYTEST := $(BIN)/python -m pytest
GUARDED := $(PYTEST) -o faulthandler_timeout=660 -o faulthandler_exit_on_timeout=true

test: $(VENV)/.installed-test
ifdef TEST_ARGS
	$(PYTEST) $(TEST_ARGS)
else
	$(GUARDED) --numprocesses=2 tests/unit tests/integration
	$(GUARDED) --numprocesses=3 --dist=loadfile --no-loadscope-reorder -m "not alone" tests/acceptance tests/notebooks
	$(GUARDED) -m alone tests/acceptance
endif

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Strict, because a mirror that knows of no vulnerabilities would find none in anything.
audit: $(VENV)/.installed-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/frozen.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/frozen.txt

# Measures wall-clock time, so it wants the machine to itself.
bench: $(VENV)/.installed-bench
	$(BIN)/python -m bench $(BENCH_ARGS)

# The other server is a black box with a licence of its own: in an environment apart, for this comparison only.
compare: $(VENV)/.installed-test $(REFERENCE)/.installed
	$(BIN)/python tests/compare/compare.py $(REFERENCE)/bin/langgraph $(COMPARE_ARGS)

$(REFERENCE)/.installed: | $(BIN)/python
	$(BIN)/python -m venv $(REFERENCE)
	$(REFERENCE)/bin/python -m pip install --quiet --disable-pip-version-check 'langgraph-cli[inmem]>=0.4'
	@touch $@

chaos: $(VENV)/.installed-test
	cd tests && ../$(BIN)/python -m chaos $(CHAOS_ARGS)

soak: $(VENV)/.installed-test
	$(BIN)/python tests/soak.py $(SOAK_ARGS)

# One stamp per extra: installing again is needed only when pyproject.toml or the interpreter has changed.
$(VENV)/.installed-%: pyproject.toml $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "lgnb needs Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) lacks the venv module; install it (on Debian: apt install python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
