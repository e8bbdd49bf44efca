# `make` sets up and runs the main job; `make test` sets up and runs the tests.
# Both can be repeated: what is done is not done again.

PYTHON ?= python3
CORES ?= all
CONFIG ?=
DATA ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SNAKEMAKE := $(BIN)/snakemake
SETTINGS := $(if $(CONFIG),--configfile $(CONFIG)) $(if $(DATA),--config data_root=$(DATA))

.PHONY: run setup report unlock test lint docs format help

run: setup
	@echo "== Running the workflow (snakemake --cores $(CORES))"
	@$(SNAKEMAKE) --cores $(CORES) --rerun-incomplete $(SETTINGS)
	@$(MAKE) --no-print-directory results/report.html
	@echo "== Done"
	@echo "   report:     results/report.html"
	@echo "   scorecard:  results/scorecard.md"
	@echo "   benchmarks: results/benchmarks.md"
	@echo "   figures:    results/figures/"

help:
	@echo "make          set up, run everything, write the report"
	@echo "make setup    the virtual environment $(VENV) alone"
	@echo "make report   results/report.html from the results that are there"
	@echo "make test     set up, check style, run all tests"
	@echo "make docs     write config/README.md and the tables of docs/universe.md"
	@echo "make format   put code into the project's style"
	@echo "make unlock   after a crash of the machine, before the next run"
	@echo "CORES=2       cores to use (all)"
	@echo "CONFIG=...    configuration files laid over config/config.yaml"
	@echo "DATA=PATH     folder of your own data (data_root)"
	@echo "PYTHON=...    interpreter for the environment (python3)"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "== Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	    { echo "python3 cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "== Installing the pinned requirements (a few minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

report: setup
	@rm -f results/report.html
	@$(MAKE) --no-print-directory results/report.html

# Written again only if a figure or the scorecard is newer.
results/report.html: $(wildcard results/figures/*/*.pdf results/scorecard.parquet)
	@echo "== Writing the report"
	@$(SNAKEMAKE) present --report $@ --quiet progress rules $(SETTINGS)

unlock: setup
	@$(SNAKEMAKE) --unlock

test: setup lint
	@echo "== Running the tests"
	@$(BIN)/python -m pytest

lint: setup
	@echo "== Checking style"
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(SNAKEMAKE) --lint

docs: setup
	@$(BIN)/python -c 'from uraniborg.settings import manual; print(manual("workflow/schemas"), end="")' \
	    > config/README.md
	@$(BIN)/python -c 'from uraniborg.universe_manual import update; update("docs/universe.md")'

format: setup
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(BIN)/snakefmt Snakefile workflow
