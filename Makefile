# The front door. `make demo` and `make test` need nothing but Python 3.11+ (python3-venv), make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format fast bench clean

# setuptools warns about every editable installation.
INSTALL = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.usable: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing Meshgate into $(VENV) ..."
	@$(INSTALL) --upgrade "pip>=25.1"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed: $(VENV)/.usable
	@echo "installing what its tests use ..."
	@$(INSTALL) --editable . --group dev
	@touch $@

demo: $(VENV)/.usable ## three domains and the gateway, on loopback; Ctrl-C stops all
	@exec $(BIN)/meshgate demo

# Tracing every line takes as long again: it is left out where cases are generated, and where other processes do most of the work.
UNTRACED := tests/differential tests/property $(addprefix tests/e2e/test_,forms_memory.py guide_domains.py hostile_totals.py tpch.py)
# Bounds on time hold as they are stated where nothing is traced, and in a process of their own.
TIMED = $(filter-out tests/bench/% tests/property/%,$(shell grep -rl "conftest import.*within" tests --include="test_*.py"))
ELSEWHERE = $(addprefix --ignore ,tests/bench $(UNTRACED) $(filter-out tests/unit/%,$(TIMED)))

test: check $(VENV)/.installed ## everything CI runs
	@rm -f .coverage .coverage.*
	@# As listed, so that what takes long is not left for the end, when one core would wait for the other.
	@$(BIN)/python -m pytest tests $(ELSEWHERE) --numprocesses 2 --dist loadscope --no-loadscope-reorder --cov --cov-report= --durations 10
	@$(BIN)/python -m pytest $(UNTRACED) --numprocesses 2 --dist worksteal --durations 10
	@$(BIN)/python -m pytest tests/bench
	@for timed in $(TIMED); do $(BIN)/python -m pytest $$timed || exit 1; done
	@$(BIN)/coverage report --fail-under=95

check: $(VENV)/.installed ## format, lint, types, imports
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo

fast: $(VENV)/.installed ## the tests that need no other process
	@$(BIN)/python -m pytest tests/unit tests/golden tests/property tests/differential tests/conformance

format: $(VENV)/.installed
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix --quiet .

bench: $(VENV)/.installed ## ratios against the floors; writes nothing
	@$(BIN)/python -m tests.bench

clean:
	@rm -rf $(VENV) .demo .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
