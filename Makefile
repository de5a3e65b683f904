# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONWARNINGS ?=

.PHONY: setup demo test coverage lint bench baselines docs clean lock

setup: .setup

# --no-compile: byte code is written on first use, which halves the time of the set-up. Where Python may not write
# any then, it is written at once: without it every command takes seconds longer.
.setup: requirements/lock.txt requirements/pip.txt requirements/embedded-redis.txt pyproject.toml
	@echo "setup  1/3  virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "setup: python3 has no venv module; on Debian: apt install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/pip.txt
	@echo "setup  2/3  packages from requirements/lock.txt (hashed)"
	@$(BIN)/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements/lock.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@[ -z "$$PYTHONDONTWRITEBYTECODE" ] || $(BIN)/python -m compileall -q -j 0 -x '/tests/' $(VENV)/lib amply_capacity
	@echo "setup  3/3  a Redis server"
	@$(BIN)/python -m amply_capacity.target.provision
	@touch .setup

demo: setup
	@$(BIN)/python -m amply_capacity.cli demo

test: setup
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest

# The same tests, twice as long: every line that runs, in every process, is counted.
coverage: setup
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=90

# libCacheSim (GPL) is what the emulator is timed against: no part of the toolkit, and left out where it is not to be had.
bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt \
		|| echo "bench: libcachesim cannot be installed here: the emulator is timed alone" >&2
	@$(BIN)/python -m bench

# The plans that tests/plan/test_baselines.py keeps: look at the difference before you commit it.
baselines: setup
	@PYTHONPATH=tests $(BIN)/python tests/plan/baseline_demands.py

# The pages that describe the command line and the demand are written from them.
docs: setup
	@$(BIN)/python tests/docs_reference.py
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "docs  reports/docs/index.html"

lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 --extra test --no-header --no-annotate pyproject.toml --output-file requirements/lock.txt
	uv pip compile --universal --generate-hashes --no-deps --python-version 3.11 --no-header --no-annotate requirements/bench.in --output-file requirements/bench.txt

clean:
	rm -rf $(VENV) .setup reports .pytest_cache .mypy_cache .ruff_cache
