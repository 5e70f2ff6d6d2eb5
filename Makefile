# Two commands a user needs: `make report` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
STAMP := $(VENV)/.installed

.PHONY: report test validate lab check lint audit lock clean

report: $(STAMP)
	$(BIN)/costmodel report --out reports --jobs $(JOBS)

test: $(STAMP)
	$(BIN)/python -m pytest -m browser
	$(BIN)/python -m pytest -m 'not browser' --numprocesses $(JOBS) --dist loadfile

validate: $(STAMP)
	$(BIN)/costmodel validate

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks

check: $(STAMP)
	$(BIN)/costmodel report --check --out reports --jobs $(JOBS)

lint: $(STAMP)
	$(BIN)/ruff check .

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
	rm -rf $(VENV) .pytest_cache .ruff_cache
