# The commands a newcomer types. Everything happens in .venv, made once from constraints.txt: `make install` brings what
# the demo and tables need, `make test` all that the tests need (and so most extras; `pip install .` alone is light).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Two processes of one thread each, a file of tests to one of them: nothing here is large enough for more threads.
WORKERS ?= 2
RUN := PYTHONHASHSEED=0 OMP_NUM_THREADS=1
SPREAD := -n $(WORKERS) --dist loadfile

.PHONY: install demo test test-all check docs lowest clean

install: $(VENV)/.installed

# uv where it is installed and works, else pip; either way .venv contains pip.
$(VENV)/.installed: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1 && uv venv --quiet --allow-existing --seed --python $(PYTHON) $(VENV) \
	    && uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[demo]"; then :; \
	 else test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV); \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo]"; fi
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $@

demo: install
	@$(BIN)/scalarize demo --out runs/demo --resume

test: $(VENV)/.installed-test
	$(RUN) $(BIN)/python -m pytest $(SPREAD) -m "not slow"

test-all: $(VENV)/.installed-test
	$(RUN) $(BIN)/python -m pytest $(SPREAD)

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

$(VENV)/.installed-docs: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	@touch $@

# The lowest versions that pyproject.toml states, beside the torch of constraints.txt, in an environment of their own.
LOWEST := .venv-lowest
lowest:
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python tests/packaging/lowest.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(LOWEST)/lowest.txt -e ".[demo,vision,bo,ray]" \
	    pytest pytest-timeout hypothesis "torchjd[cagrad,quadprog-projector]==0.18.0"
	$(RUN) $(LOWEST)/bin/python -m pytest -m "not slow" tests/methods tests/balancer tests/search

clean:
	rm -rf $(VENV) $(LOWEST) build dist site
