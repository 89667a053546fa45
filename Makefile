# gansfp: `make demo` and `make test` set everything up by themselves.

# An active environment that has torch is used as it is; otherwise .venv is made.
PYTHON ?= python3
ACTIVE := $(shell $(PYTHON) -c "import sys, importlib.util as u; print(sys.prefix if sys.prefix != sys.base_prefix and u.find_spec('torch') else '')" 2>/dev/null)
VENV   := $(if $(ACTIVE),$(ACTIVE),.venv)
BIN    := $(VENV)/bin
# TORCH_INDEX=URL takes torch from another index, such as a CPU-only one.
TORCH  := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX),)
READY  := $(VENV)/.gansfp-installed
TIME_LIMIT ?= 720
export OMP_NUM_THREADS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install which-python demo test test-full test-slurm sync contest-shape lint format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 16

install: $(READY)  ## make .venv and install everything

$(READY): pyproject.toml constraints.txt
	@test -n "$(ACTIVE)" || $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@test -n "$(ACTIVE)" || echo "Setting up .venv. On Linux torch comes with CUDA: about 3 GB to download, 7 GB on disk."
	@test -n "$(ACTIVE)" || echo "Without a GPU: make TORCH_INDEX=https://download.pytorch.org/whl/cpu (about 0.5 GB, 2 GB on disk)."
	@test -d "$(VENV)" || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH) -c constraints.txt -e '.[dev]'
	@touch $@

which-python: $(READY)
	@echo $(abspath $(BIN))/python

demo: $(READY)  ## both tasks on the embedded benchmarks, both leaderboards (2 minutes)
	@$(BIN)/python -m gansfp.demo

test: $(READY)  ## the tests, within 12 minutes
	@OMP_NUM_THREADS=1 timeout --foreground $(TIME_LIMIT) $(BIN)/python -m pytest -n 2 --durations=20 --durations-min=0.5 || { code=$$?; test $$code -ne 124 || echo "make test: over $(TIME_LIMIT) s"; exit $$code; }

test-full: $(READY)  ## the slow tests too
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations=20 -m ''

test-slurm: $(READY)  ## sweeps, kills, requeues on a real SLURM; as root it installs one (12 minutes)
	@test "$$(id -u)" = 0 || { echo "make test-slurm: skipped, a SLURM is installed and started by root alone"; exit 0; }; \
	OMP_NUM_THREADS=1 timeout --foreground 900 $(BIN)/python -m pytest -m slurm tests/slurm --durations=10

sync: $(READY)  ## send the offline runs of wandb below DIR (default runs); SYNC=--dry-run lists them
	@find $(or $(DIR),runs) -type d -name 'offline-run-*' -print0 | sort -z | xargs -0 -r -n 1 $(abspath $(BIN))/wandb sync $(SYNC)

contest-shape: $(READY)  ## every recipe on archives of the contest's size (5 hours of a core or more, 10 GB)
	@OMP_NUM_THREADS=1 $(BIN)/python experiments/contest_shape/run.py

lint: $(READY)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)  ## put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:  ## remove caches and the demo; runs stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache demo-output
