# Each target sets up what it needs: `make test` in a fresh clone is enough.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p))))
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PYTEST := $(BIN)/python -m pytest
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder
COVERAGE := --cov --cov-report=term
EXAMPLE := $(BIN)/python examples/cremi
RUN := runs/cremi
DATA ?= $(or $(VOXFLOW_DATA),data)

# Tests start many interpreters, which import torch in a third of the time if its bytecode is kept,
# which it is from the first import on, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install format check kernels test test-all bench docs cremi fib25 gala clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): setup.cfg constraints.txt
	@test -n "$(PYTHON)" || { echo "voxflow needs Python 3.11 or newer; none was found (set PYTHON=)" >&2; exit 1; }
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "voxflow needs Python 3.11 or newer, $(VENV) has " + sys.version)'
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt -e ".[console,dev,docs,examples,jax,scan,torch,train,tune]"
	touch $@

install: $(STAMP)  ## make .venv with everything that development needs

format: $(STAMP)  ## put the code into the common form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: $(STAMP)  ## style, types, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -n 2
	$(BIN)/lint-imports

test: $(STAMP)  ## the tests that are quick
	$(PYTEST) $(SPREAD) -m "not slow"

kernels: $(STAMP)  # compiled once, without the tracer that counts lines, which makes compiling slow
	@echo "compiling the kernels"; $(PYTEST) -q $(SPREAD) tests/ops > /dev/null || true

test-all: kernels  ## all tests, with their coverage, which takes twice the time
	$(PYTEST) $(SPREAD) $(COVERAGE)

bench: $(STAMP)  ## the benchmarks, beside the peers in environments of their own
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.picture

docs: $(STAMP)  ## the documentation, into docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

cremi: $(STAMP)  ## the example from end to end, into runs/cremi: train, predict, segment, score, draw
	$(EXAMPLE)/sample.py
	$(EXAMPLE)/train.py
	$(EXAMPLE)/predict.py
	$(EXAMPLE)/segment.py $(RUN)/trained.hdf
	$(EXAMPLE)/segment.py $(RUN)/untrained.hdf
	$(EXAMPLE)/evaluate.py --data $(RUN)/data/sample_C.hdf $(RUN)/trained.hdf $(RUN)/untrained.hdf
	$(EXAMPLE)/picture.py --data $(RUN)/data/sample_C.hdf $(RUN)/trained.hdf

define score_held_out  # folder, data of the training, its planes, data that are held out, its planes
	$(EXAMPLE)/choose.py --mirror --out $(1) --data $(2) $(3)
	$(EXAMPLE)/predict.py --mirror --out $(1) --data $(4) $(5)
	$(EXAMPLE)/segment.py $(1)/trained.hdf $(1)/untrained.hdf
	$(EXAMPLE)/evaluate.py --data $(4) $(1)/trained.hdf $(1)/untrained.hdf
	$(EXAMPLE)/picture.py --data $(4) $(1)/trained.hdf
	$(BIN)/voxflow inspect $(4) $(1)/trained.hdf --png $(1)/sheet.png --html $(1)/page.html
endef

fib25: FIB25 := $(DATA)/fib25_train.hdf
fib25: $(STAMP)  ## the same with a real volume in DATA, of which planes are held out, into runs/fib25
	$(EXAMPLE)/train.py --out runs/fib25 --data $(FIB25) --planes 0 150 --iterations 800
	$(call score_held_out,runs/fib25,$(FIB25),--planes 110 150,$(FIB25),--planes 150 180)

gala: $(STAMP)  ## the same with two small real volumes in DATA, into runs/gala
	$(EXAMPLE)/train.py --out runs/gala --data $(DATA)/gala_train.hdf --mirror --iterations 1000
	$(call score_held_out,runs/gala,$(DATA)/gala_train.hdf,,$(DATA)/gala_test.hdf)

clean:  ## forget what the tools left behind (.venv stays)
	rm -rf build dist *.egg-info .coverage .coverage.* docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
