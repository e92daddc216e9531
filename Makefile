# Every target works on a fresh machine: the environment is made, from pinned versions, on first use.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
ROUNDS ?= 200
TILES ?= ../shared/data/magnetic_tiles
BSDATA ?= ../shared/data/bsdata
# One computing thread a process: results do not depend on it, and busy cores lose with two.
export OMP_NUM_THREADS := 1
# Albumentations asks the network for its newest version at every import, and warns where there is none.
export NO_ALBUMENTATIONS_UPDATE := 1

# Without a network every target takes OFFLINE=bundle.tar, which `make bundle` packs on a connected machine. These four
# are taken from the command line only: a DATA that happens to stand in the environment must not end up in a bundle.
OFFLINE =
BUNDLE = bundle.tar
WEIGHTS =
DATA =
UNPACKED := .offline
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ifneq ($(OFFLINE),)
# The bundle alone: no index, and no setting of the user or the machine that names one.
PIP_INSTALL := PIP_CONFIG_FILE=/dev/null $(PIP_INSTALL) --isolated --no-index --find-links $(UNPACKED)/wheels
endif
ifneq ($(OFFLINE)$(wildcard $(UNPACKED)),)
export HF_HUB_CACHE := $(CURDIR)/$(UNPACKED)/weights
endif

.DEFAULT_GOAL := help
.PHONY: help setup bundle unpack benchmark test test-browser test-heavy api lint gates tiles tiles-baselines tiles-weights tiles-tuned localisation bsdata gearbox-worlds diecasting multiview noise noise-views noise-ablation noise-gearbox noise-separation speed precision devices torture soak fuzz simulate mutants coverage audit-dependencies keep boards readme lock clean

help: ## List every target
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 40

$(STAMP): requirements.lock pyproject.toml $(if $(OFFLINE),| unpack)
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else f"Python {v[0]}.{v[1]} found; ReShift needs 3.11 to 3.13: make PYTHON=python3.12 ...")'
ifeq ($(OFFLINE),)
	$(PYTHON) -m venv $(VENV)
else # a bare machine may have Python without pip: the bundle's installs itself
	$(PYTHON) -m venv --without-pip $(VENV)
	PYTHONPATH=$$(echo $(UNPACKED)/wheels/pip-*.whl) $(PIP_INSTALL) pip
endif
	$(PIP_INSTALL) -r requirements.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

unpack: # at every call with OFFLINE, so that another bundle is noticed; the same one is left as it stands
	@PYTHONPATH=src $(PYTHON) -m reshift.benchmark.bundle.unpack "$(OFFLINE)" $(UNPACKED) --lock requirements.lock

setup: $(STAMP) ## Make .venv from the pinned versions

bundle: $(STAMP) ## Pack what OFFLINE=bundle.tar needs (BUNDLE=tar, WEIGHTS="name ..." or none, DATA="folder ...")
	$(BIN)/python -m reshift.benchmark.bundle.pack "$(BUNDLE)" --lock requirements.lock --weights $(WEIGHTS) --data $(DATA)

benchmark: $(STAMP) ## Train every model on every split of preset quick; boards and report in runs/quick
	$(BIN)/reshift run --preset quick --workers $(WORKERS)
	$(BIN)/reshift report quick

test: $(STAMP) ## All tests (at most 15 minutes on 2 cores)
	$(BIN)/python -m pytest -n 2 -m "not heavy and not browser"

test-browser: $(STAMP) ## The report in a real browser (Debian's chromium, fetched where it is missing and may be)
	command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && timeout 300 sh -c 'apt-get update -qq && apt-get install -yqq chromium'; } || true
	$(BIN)/python -m pytest -m browser -rs

test-heavy: $(STAMP) ## Kill-and-resume, worker-count identity and installation without a network, whole
	$(BIN)/python -m pytest -m heavy --timeout 5400

api: $(STAMP) ## API reference from the docstrings: build/api/index.html
	$(BIN)/python -m pdoc -d google --no-show-source -o build/api reshift

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

gates: $(STAMP) ## Measure the gates of the synthetic gearbox (20 minutes)
	$(BIN)/python -m reshift.benchmark.gates --images 2000 --folds 2 --components splined_shaft --out results/gates.json

tiles tiles-baselines tiles-weights tiles-tuned localisation noise noise-views noise-ablation: $(STAMP) ## The committed boards on the magnetic tiles (TILES=folder; long, resumable)
	$(BIN)/reshift run --preset $@ --data-root $(TILES) --workers $(WORKERS)

bsdata: $(STAMP) ## The committed board of remaining life on a ball screw (BSDATA=folder)
	$(BIN)/reshift run --preset $@ --data-root $(BSDATA) --workers $(WORKERS)

gearbox-worlds diecasting multiview noise-gearbox: $(STAMP) ## The committed boards on synthetic worlds (up to an hour, resumable)
	$(BIN)/reshift run --preset $@ --workers $(WORKERS)

noise-separation: $(STAMP) ## How well wrong labels are found, on the splits of the noise boards (resumable)
	for preset in noise noise-views; do $(BIN)/reshift audit --separation --preset $$preset --data-root $(TILES) --repeats 2 \
	  --models gaussian padim --out results/separation/$$preset || exit 1; done

speed: $(STAMP) ## Measure what the suite costs, each figure side by side (10 minutes; leave the machine alone)
	$(BIN)/python -m reshift.benchmark.speed

torture: $(STAMP) ## Kill, fill and damage a run ROUNDS times; nothing may be lost (half an hour)
	$(BIN)/python -m reshift.benchmark.torture --rounds $(ROUNDS)

soak: $(STAMP) ## 300 cells in one process tree: memory and file handles stay flat
	$(BIN)/python -m reshift.benchmark.soak

fuzz: $(STAMP) ## 10,000 hostile inputs for each reader: one clear line each, or accepted
	$(BIN)/python -m reshift.benchmark.fuzz

simulate: $(STAMP) ## How often every interval, bound and test does what it states, in 2,000 simulated studies each (13 minutes)
	$(BIN)/python tests/simulate.py --workers $(WORKERS)

mutants: $(STAMP) ## Change verifier, metrics and statistics in one place at a time and see that a test notices
	rm -rf build/mutants && mkdir -p build/mutants
	find -L src tests -name '*.py' -not -path '*/leaderboards/*' | tar -chf - -T - | tar -xf - -C build/mutants
	cp pyproject.toml build/mutants/
	cd build/mutants && $(abspath $(BIN))/mutmut run --max-children $(WORKERS) && $(abspath $(BIN))/mutmut results

coverage: $(STAMP) ## Branch coverage of splits, refinement, results and benchmark by the tests of make test (half an hour)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n 2 -m "not heavy and not browser" --timeout 900
	$(BIN)/python -m coverage run -m pytest -m heavy tests/test_executor_ray.py
	# What measures the suite from outside is tested by short runs of itself.
	$(BIN)/python -m coverage run -m reshift.benchmark.torture --rounds 12 --cells 24
	$(BIN)/python -m coverage run -m reshift.benchmark.soak --cells 80
	$(BIN)/python -m coverage run -m reshift.benchmark.fuzz --inputs 60
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered
	for room in splits refinement results benchmark; do $(BIN)/python -m coverage report --include "$$room/*" \
	  --format total | sed "s/^/$$room: /; s/$$/ %/" || exit 1; done

audit-dependencies: ## Compare requirements.lock with known vulnerabilities; NOT AUDITED where none are to be had
	$(PYTHON) -m venv build/audit # a place of its own, so that it changes nothing of what it looks at
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	PYTHONPATH=src build/audit/bin/python -m reshift.benchmark.dependency_audit requirements.lock || [ $$? = 3 ]

precision: $(STAMP) ## How far training in bf16 moves models on the tiles (TILES=folder; 5 minutes, resumable)
	mkdir -p build && { cat benchmark/presets/tiles.yaml; echo 'precision: bf16'; } > build/tiles-bf16.yaml
	for preset in tiles build/tiles-bf16.yaml; do $(BIN)/reshift run --preset $$preset \
	  --run precision-$$(basename $$preset .yaml) --data-root $(TILES) --protocols in_distribution \
	  --models differnet classifier --seeds 0 1 --workers $(WORKERS) || exit 1; done
	$(BIN)/python -m reshift.benchmark.devices.precision runs/precision-tiles runs/precision-tiles-bf16

devices: $(STAMP) ## How far scores move under other kernels, threads and devices (10 minutes)
	$(BIN)/python -m reshift.benchmark.devices
	$(BIN)/python -m reshift.benchmark.devices.table results/devices docs/trust.md

keep: $(STAMP) ## Replace the committed records of RUN=name by those of a finished run of that name
	$(BIN)/reshift status $(RUN)
	rm -rf results/leaderboards/$(RUN)
	$(BIN)/reshift merge results/leaderboards/$(RUN) runs/$(RUN)

boards: $(STAMP) ## Rebuild every committed board from its records
	for run in results/leaderboards/*/; do $(BIN)/reshift board $$run || exit 1; done

readme: $(STAMP) ## Renew README's boards, tables and picture from the records, the code and the renderer
	$(BIN)/python -m reshift.results.front_table results/leaderboards README.md docs/line.md
	$(BIN)/python -m reshift.results.noise_page results/leaderboards docs/noise.md
	$(BIN)/python -m reshift.benchmark.inventory README.md
	$(BIN)/python -m reshift.benchmark.speed.table results/speed README.md
	$(BIN)/python -m reshift.benchmark.speed.scale docs/scale.md
	$(BIN)/python -m reshift.datamodules.contact_sheet docs/part.png p00000

lock: ## Renew requirements.lock from the newest versions pyproject.toml allows
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet --upgrade pip setuptools
	.lock-venv/bin/python -m pip install --quiet '.[dev]'
	( head -1 requirements.lock; .lock-venv/bin/python -m pip freeze --all --exclude reshift --exclude pip \
	  | sed -E 's/^((nvidia|cuda|triton)[^ ]*)$$/\1 ; platform_system == "Linux"/' ) > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm -r .lock-venv

clean: ## Remove the environment, the unpacked bundle and all runs
	rm -rf $(VENV) $(UNPACKED) runs
