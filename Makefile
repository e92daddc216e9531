# Every target works on a fresh machine: the environment is made, from pinned versions, on first use.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
TILES ?= ../shared/data/magnetic_tiles
# One computing thread a process: results do not depend on it, and busy cores lose with two.
export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup benchmark test test-heavy lint gates tiles tiles-keep tiles-board readme lock clean

help: ## List every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python {v[0]}.{v[1]} found; ReShift needs 3.11 to 3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## Make .venv from the pinned versions

benchmark: $(STAMP) ## Train every model on every split of preset quick; boards in runs/quick/leaderboards
	$(BIN)/reshift run --preset quick --workers $(WORKERS)

test: $(STAMP) ## All tests (at most 15 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 -m "not heavy"

test-heavy: $(STAMP) ## Kill-and-resume and worker-count identity on the whole quick preset
	$(BIN)/python -m pytest -m heavy --timeout 5400

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

gates: $(STAMP) ## Measure the gates of the synthetic gearbox (20 minutes)
	$(BIN)/python -m reshift.benchmark.gates --images 2000 --folds 2 --components splined_shaft --out results/gates.json

tiles: $(STAMP) ## The committed board on the magnetic tiles (TILES=folder; hours, resumable)
	$(BIN)/reshift run --preset tiles --data-root $(TILES) --workers $(WORKERS)

tiles-keep: $(STAMP) ## Replace the committed tiles records by those of a finished `make tiles`
	$(BIN)/reshift status tiles
	rm -rf results/leaderboards/tiles
	$(BIN)/reshift merge results/leaderboards/tiles runs/tiles

tiles-board: $(STAMP) ## Rebuild the committed tiles board from its records
	$(BIN)/reshift board results/leaderboards/tiles

readme: $(STAMP) ## Renew README's board and picture from the records and the renderer
	$(BIN)/python -m reshift.results.front_table results/leaderboards/tiles README.md
	$(BIN)/python -m reshift.datamodules.contact_sheet docs/part.png p00000

lock: ## Renew requirements.lock from the newest versions pyproject.toml allows
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --upgrade pip setuptools
	.lock-venv/bin/python -m pip install --quiet '.[dev]'
	( head -1 requirements.lock; .lock-venv/bin/python -m pip freeze --all --exclude reshift --exclude pip \
	  | sed -E 's/^((nvidia|cuda|triton)[^ ]*)$$/\1 ; platform_system == "Linux"/' ) > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -r .lock-venv

clean: ## Remove the environment and all runs
	rm -rf $(VENV) runs
