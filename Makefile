# `make demo` and `make test` are all a new machine needs: Python 3.11, a C++ compiler, make, perl.

PYTHON ?= python3
VENV ?= .venv
PIP_ARGS ?=
OPS ?= build/demo/ops.json
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-long sim lint format clean

# The whole chain on a small network; see README.md.
demo: $(STAMP)
	$(BIN)/qosnets-hw demo --out build/demo --force

# Everything but the long suite.
test: $(STAMP)
	$(BIN)/python -W error -m pytest -m "not long"

# The long suite: every size with every number of multipliers, at three rates of stalls.
test-long: $(STAMP)
	$(BIN)/python -W error -m pytest -m long

# The cocotb regression of any ops.json: make sim OPS=path SIM_ARGS="--rows 4 --cols 4"
sim: $(STAMP)
	$(BIN)/qosnets-hw sim --ops $(OPS) $(SIM_ARGS)

lint: $(STAMP)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy sw/qosnets sw/qosnets_library sw/qosnets_search

format: $(STAMP)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf build

# PIP_ARGS passes options on to pip, for example another index with a smaller build of torch.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[search,sim,dev]"
	touch $@
