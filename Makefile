# The commands a newcomer types. Everything happens in .venv, made once from constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Two processes of one thread each, a file of tests to one of them: nothing here is large enough for more threads.
WORKERS ?= 2
RUN := PYTHONHASHSEED=0 OMP_NUM_THREADS=1
SPREAD := -n $(WORKERS) --dist loadfile

.PHONY: install demo test test-all check docs clean

install: $(VENV)/.installed

# uv where it is installed and works, else pip; either way .venv contains pip.
$(VENV)/.installed: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1 && uv venv --quiet --allow-existing --seed --python $(PYTHON) $(VENV) \
	    && uv pip install --quiet --python $(BIN)/python -c constraints.txt -e .; then :; \
	 else test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV); \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .; fi
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

clean:
	rm -rf $(VENV) build dist site
