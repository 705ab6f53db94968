# Greenroom. `make run` starts it, `make test` runs every test that ends in minutes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
FINETUNE_STAMP := $(VENV)/.installed-finetune
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run install-finetune test test-loop check lint types unit format bench bench-peers soak faults eval eval-statistics eval-routing lock clean

help:
	@echo 'make run          start Greenroom on http://127.0.0.1:8484'
	@echo 'make test         every test that ends in minutes'
	@echo 'make install-finetune  what trains models: PyTorch and its kin, 1.4 GB'
	@echo 'make test-loop    an empty folder to a trained, deployed, answering model: the whole form'
	@echo 'make check        format, lint, types, layers, quick tests'
	@echo 'make format       write the format that make check asks for'
	@echo 'make bench        speed against nginx (where it is installed)'
	@echo 'make bench-peers  the same with LiteLLM beside it (downloads it)'
	@echo 'make eval         accuracy of every step on the development sets (DATA=folder)'
	@echo 'make eval-statistics  false alarms and power of greenroom eval, simulated'
	@echo 'make eval-routing how well a learned router chooses (DATA=folder)'
	@echo 'make soak         the long tiers: load for hours, kill -9, memory'
	@echo 'make faults       the fault matrix, row by row (FAULTS="--seeds 1000")'
	@echo 'make lock         pin the dependencies anew'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Greenroom needs Python 3.11 or newer; name one: make PYTHON=python3.12 run' >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

# Builds of PyTorch for processors are published by PyTorch itself on Linux; where pip's own settings don't name that
# place, TORCH_FROM does: make install-finetune TORCH_FROM='--extra-index-url ADDRESS' (docs/finetuning.md).
$(FINETUNE_STAMP): requirements-torch.lock requirements-finetune.lock $(DEV_STAMP)
	$(PIP) install --quiet --no-deps --require-hashes $(TORCH_FROM) -r requirements-torch.lock -r requirements-finetune.lock
	@touch $@

install-finetune: $(FINETUNE_STAMP)

run: $(RUN_STAMP)
	@exec $(BIN)/greenroom serve

# Tests run in half as many processes again as there are cores, since many wait; those of a file mostly in one.
# PYTEST=-n0 runs them in this one.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
BESIDE := -n $(shell expr $(CORES) + $(CORES) / 2) --dist worksteal
# Hundreds of servers are started: without compiled files beside the sources each compiles nine hundred modules anew.
unexport PYTHONDONTWRITEBYTECODE

test: $(DEV_STAMP)
	$(BIN)/python -m pytest $(BESIDE) $(PYTEST)

# With -s it shows each step, and at the end the share of right answers and the seconds of CPU.
test-loop: $(FINETUNE_STAMP)
	LOOP=whole $(BIN)/python -m pytest -n0 -s tests/cli/test_finetune_loop.py $(PYTEST)

# Lint, types and tests beside each other: types take half a minute of one core.
check: $(DEV_STAMP)
	@$(MAKE) --no-print-directory -j2 lint types unit

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -q tests/test_layers.py

types: $(DEV_STAMP)
	$(BIN)/mypy

unit: $(DEV_STAMP)
	$(BIN)/python -m pytest -q -m 'not slow and not browser' --ignore=tests/test_layers.py $(BESIDE) $(PYTEST)

format: $(DEV_STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(RUN_STAMP)
	$(BIN)/python -m benchmarks.bench $(BENCH)

bench-peers: $(RUN_STAMP)
	$(BIN)/python -m benchmarks.peers $(BENCH)

soak: $(DEV_STAMP)
	$(BIN)/python -m benchmarks.soak $(SOAK)

faults: $(DEV_STAMP)
	$(BIN)/python -m tests.faults $(FAULTS)

DATA ?= $(firstword $(wildcard data/text/..) $(wildcard ../shared/data) data)

eval: $(DEV_STAMP)
	$(BIN)/python -m evals --data $(DATA) $(EVAL)

eval-statistics: $(DEV_STAMP)
	$(BIN)/python -m evals.significance

# Fits three routers, which takes minutes: not part of eval.
eval-routing: $(DEV_STAMP)
	$(BIN)/python -m evals --data $(DATA) $(EVAL) routing

COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --no-strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header

lock: $(DEV_STAMP)
	$(COMPILE) -o requirements.lock requirements.in
	$(COMPILE) -o requirements-dev.lock requirements-dev.in
	$(COMPILE) --no-allow-unsafe --unsafe-package torch --unsafe-package setuptools \
		-o requirements-finetune.lock requirements-finetune.in

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
