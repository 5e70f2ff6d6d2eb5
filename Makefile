# Two commands a user needs: `make report` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
N ?= 2000
STAMP := $(VENV)/.installed
# Tests and reports start hundreds of processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: report test validate validation-data formulas calibration docs docs-outputs pictures lab app check check-cpus ci
.PHONY: nightly fuzz mutants terms bench bench-table lint audit lowest lock clean

report: $(STAMP)
	$(BIN)/costmodel report --out reports --jobs $(JOBS)

# -rs tells at the end how many tests were skipped and why.
test: $(STAMP)
	$(BIN)/python -m pytest -rs -m 'browser and not nightly' --numprocesses $(JOBS) --dist loadfile
	$(BIN)/python -m pytest -rs -m 'not browser and not nightly' --numprocesses $(JOBS) --dist loadfile

validate: $(STAMP)
	$(BIN)/costmodel validate

# All settings of the simulator and all certified regressions anew (minutes): after a change of a formula, of the simulator
# or of the solver. A test says when that is due; `make validate` only shows what was found.
validation-data: $(STAMP)
	$(BIN)/python -m tests.simulation.results
	$(BIN)/python -m costmodel.evidence.package

# The numeric forms of the formulas: after a change in costmodel/formulas.
formulas: $(STAMP)
	$(BIN)/python -m costmodel.formulas.compiled

# The parameter sets that are shipped: after a change of data/, or of the code of evidence, formulas or calibration.
calibration: $(STAMP)
	$(BIN)/python -m costmodel.calibration.calibrate

# The documentation as a site, docs/_build/html/index.html: offline, its notebooks run, every warning an error.
docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -n -b html docs docs/_build/html

# What README.md and docs/ show of the output of their commands, and reports/README.md.
docs-outputs: $(STAMP)
	$(BIN)/python -m tests.pages

# The pictures of README.md and reports/README.md, after a change of the reports; needs Chromium.
pictures: $(STAMP)
	$(BIN)/python -m tests.pictures

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks

# The explorer as a page without code, on this machine only and for whoever has the token: notebooks/voila.json says so.
app: $(STAMP)
	cd notebooks && $(abspath $(BIN))/voila explore.ipynb

check: $(STAMP)
	$(BIN)/costmodel report --check --out reports

# Are the committed reports the same on other CPUs? `make check-cpus` tries all kinds that this CPU can run.
check-cpus: $(STAMP)
	$(BIN)/python -m tests.cpus --jobs $(JOBS)

# What a push has to pass, in less than 20 minutes on two cores.
ci: lint $(STAMP)
	$(BIN)/python -m tests.cpus --jobs $(JOBS) Haswell Prescott
	$(MAKE) test

# What takes longer: the cases of which `make test` runs a sample, and all examples of each property.
nightly: ci check-cpus report
	$(BIN)/python -m pytest -rs -m 'nightly or hypothesis' --hypothesis-profile full
	$(MAKE) docs
# Its exit code is 1 where a row fails; the tests hold which ones do.
	$(BIN)/costmodel validate || test $$? -eq 1
	$(MAKE) fuzz mutants terms lowest

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(N)

mutants: $(STAMP)
	$(BIN)/python -m tests.mutants --sample 400 --jobs $(JOBS)

# Every term of every formula, one change at a time.
terms: $(STAMP)
	$(BIN)/python -m tests.mutants.terms

# Every benchmark, one after the other (a quarter of an hour on an idle machine of two cores), then the table of docs/benchmarks.md.
# lmfit, the rival of the calibration, belongs to no extra: it is installed beside the environment.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --target $(VENV)-bench lmfit
	mkdir -p benchmarks/results
	for name in cli calibration explore_step sweep trace_replay reports; do \
	  PYTHONPATH=$(VENV)-bench OPENBLAS_NUM_THREADS=1 \
	  $(BIN)/python benchmarks/$$name.py --out benchmarks/results/$$name.json || exit 1; done
	$(MAKE) bench-table

bench-table: $(STAMP)
	$(BIN)/python benchmarks/table.py

# The oldest versions that pyproject.toml allows, in an environment of their own.
lowest: $(STAMP)
	$(PYTHON) -m venv --clear $(VENV)-lowest
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --resolution lowest-direct --all-extras \
	  --output-file $(VENV)-lowest/requirements.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python -r $(VENV)-lowest/requirements.txt --editable .
	XDG_CACHE_HOME=$(abspath $(VENV)-lowest)/cache $(VENV)-lowest/bin/python -m pytest -m 'not browser' \
	  --numprocesses $(JOBS) --dist loadfile

# Also what .pre-commit-config.yaml runs before a commit.
lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(STAMP)
	$(BIN)/costmodel audit

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lock: $(STAMP)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-header --all-extras --output-file requirements.lock pyproject.toml
	sed -i '1i # Hash-locked dependency set of pyproject.toml with all extras; `make lock` renews it.' requirements.lock

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-bench docs/_build docs/generated .mypy_cache .pytest_cache .ruff_cache
