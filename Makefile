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

test: check $(VENV)/.installed ## everything CI runs
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest tests --ignore tests/bench --numprocesses 2 --dist loadscope --cov --cov-report= --durations 10
	@$(BIN)/python -m pytest tests/bench
	@# Once more without tracing, a process each: here bounds on time hold as they are stated.
	@for timed in $$(grep -rl "conftest import.*within" tests --include="test_*.py"); do $(BIN)/python -m pytest $$timed || exit 1; done
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
