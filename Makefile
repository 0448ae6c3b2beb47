# `make demo` and `make test` start from nothing: they make their own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Blender as a Python package, which comes for one Python only and wants an older numpy than ours.
BPY := .venv-bpy
BPY_PYTHON ?= python3.11

.PHONY: demo test check format bundle gpu clean
.DEFAULT_GOAL := test

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt --editable '.[train,experiments,report,flow,luxcore,export,dev]'
	touch $@

$(BPY)/installed: tests/bpy.txt
	@if command -v $(BPY_PYTHON) >/dev/null; then $(BPY_PYTHON) -m venv $(BPY) && \
	$(BPY)/bin/python -m pip install --quiet --no-deps --requirement tests/bpy.txt; \
	else mkdir -p $(BPY) && echo "No $(BPY_PYTHON): tests that need Blender are skipped."; fi
	touch $@

demo: $(VENV)/installed
	$(BIN)/kpcn demo --overwrite

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check $(BPY)/installed
	$(BIN)/pytest

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One file from which kpcn installs on a machine like this one, without network.
bundle: $(VENV)/installed
	$(BIN)/python -m deploy.bundle --extras '$(EXTRAS)'

# On a machine with a GPU: tests, times beside floors and goals, memory, quality; see gpu/gpu.md.
gpu: $(VENV)/installed
	$(BIN)/python -m benchmarks.gpu gpu

clean:
	rm -rf $(VENV) $(BPY) .mypy_cache .ruff_cache .pytest_cache
