# Every target first makes .venv from the hash-pinned locks; a second call reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export UV_NO_PROGRESS = 1
export DAGSTER_DISABLE_TELEMETRY = yes

.PHONY: run test faults scale lint audit ui bench bench-volume picture docs lock clean
.DEFAULT_GOAL := run

$(READY): requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"oretrace needs Python 3.11 to 3.13, found {sys.version.split()[0]}; set PYTHON=python3.12 or similar")'
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

run: $(READY) ## run the whole job in snapshot mode and publish
	@$(BIN)/oretrace run

test: $(READY) ## every test but those that take minutes each (make faults)
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

faults: $(READY) ## tests that take minutes each: killed runs, publications and daemons, full disks, a clock moved back, a restored home, large ensembles, a shared store
	@$(BIN)/python -m pytest -q -m long tests/pipeline/test_faults_*.py tests/pipeline/test_run.py tests/pipeline/test_restored_home.py tests/pipeline/test_fan_out.py tests/pipeline/test_shared_store.py

$(VENV)/.spark: requirements-spark.lock $(READY)
	@echo "adding Spark to $(VENV)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes --compile-bytecode -r requirements-spark.lock
	@touch $@

scale: $(VENV)/.spark ## the whole job on a real Spark cluster on loopback, a worker killed in mid-run (needs Java 17)
	@$(BIN)/python -m pytest -q -m long tests/pipeline/test_spark.py

lint: $(READY) ## style, types, SQL
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project/models dbt_project/tests dbt_project/macros

audit: $(READY) ## known vulnerabilities of what the locks pin
	@$(BIN)/python .ci/audit.py

ui: $(READY) ## Dagster on http://127.0.0.1:3000
	@$(BIN)/oretrace ui

bench: $(READY) ## time and memory: loading, the whole job, the gate, a BACI year, a reconciliation, the site, look-through, each beside the plain alternative
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.load
	@$(BIN)/python -m bench.gate
	@$(BIN)/python -m bench.baci_year
	@$(BIN)/python -m bench.reconcile
	@$(BIN)/python -m bench.site
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.look_through

bench-volume: $(READY) ## the job on 1, 4, 10 and 28 years of generated BACI: time and memory of each station (45 minutes, 25 GB of disk)
	@$(BIN)/python -m bench.volume --years 1 4 10 28

picture: $(READY) ## the picture of README, from the site of the last release (needs Debian's chromium)
	@$(BIN)/python -m tests.picture

docs: $(READY) ## the data dictionary of the last run, as one page
	@$(BIN)/oretrace docs

reference: $(READY) ## docs/reference, written from the program
	@$(BIN)/python -m docs.generate

lock: $(READY) ## resolve the locks again
	@grep -o '^uv==[^ ]*' bootstrap.lock > $(VENV)/uv.in
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate $(VENV)/uv.in -o bootstrap.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --constraint requirements.lock --extra dev --extra spark pyproject.toml -o requirements-spark.lock

clean: ## remove the environment and everything the program wrote
	@rm -rf $(VENV) var
