# Everything a person does with Throughline from a clone. `make` alone lists it.
#
# Nothing has to be there but make and Python 3.11, 3.12 or 3.13; the rest comes into .venv. THROUGHLINE_* variables reach the
# commands, so `THROUGHLINE_SECONDS=30 make demo` and `make demo THROUGHLINE_SECONDS=30` are the same.

.DEFAULT_GOAL := help
.PHONY: help install install-runtime demo up test check static audit format bench faults lock clean
SHELL := /bin/sh
BIN := .venv/bin

# Any Python 3 can run the installer; it finds the one for .venv itself. Each is run, not only looked up: a version
# manager leaves names on the PATH that lead nowhere.
BOOT = $(shell for python in "$$PYTHON" python3 python3.13 python3.12 python3.11 python .venv/bin/python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 && { echo "$$python"; break; }; done)
define INSTALL
	@python='$(BOOT)'; if [ -z "$$python" ]; then \
		echo "Throughline needs Python 3.11, 3.12 or 3.13 and none was found. Install one, or name it: make PYTHON=..." >&2; \
		exit 2; fi; "$$python" -m scripts.install
endef

export PYTHON

help: ## list what can be done
	@echo "Throughline: make <target>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  %-16s %s\n", $$1, $$2 }' Makefile

install: ## create .venv with everything to run, test and check
	$(INSTALL) dev

install-runtime: ## create .venv with only what is needed to run
	$(INSTALL) runtime

demo: install-runtime ## the whole pipeline on a simulated exchange for a minute and a half, no accounts needed
	@$(BIN)/throughline demo

up: install-runtime ## the whole pipeline as configured, until Ctrl-C
	@$(BIN)/throughline up

test: install ## all tests
	@$(BIN)/python -m pytest $(ARGS)

check: static ## format, lint, strict types, import contracts and unit tests
	@echo "== unit tests" && $(BIN)/python -m pytest tests/unit

static: install ## the same without the tests
	@echo "== format" && $(BIN)/ruff format --check .
	@echo "== lint" && $(BIN)/ruff check .
	@echo "== types" && $(BIN)/mypy
	@echo "== import contracts" && $(BIN)/lint-imports

audit: install ## security: a static scan of our code, known vulnerabilities of what it is made with
	@$(BIN)/python -m scripts.audit

format: install ## put every file into the house format, mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install ## measure a decision beside chains of empty Celery tasks
	@$(BIN)/python -m benchmarks

faults: install ## the long fault suite: hundreds of kills, freezes and outages, half an hour (ARGS="--part redis --scale 0.1")
	@$(BIN)/python -m tests.fault $(ARGS)

lock: install ## resolve requirements.lock and requirements-dev.lock anew (ARGS="--upgrade-package ccxt")
	@scripts/lock.sh $(ARGS)

clean: ## remove .venv, caches and build leftovers; var/ with its ledger and logs stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
