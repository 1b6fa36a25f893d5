# Every target makes what it needs: .venv, and in it the package with the extra that the target uses.

PYTHON ?= python3
GROUP ?= small models
CALLS ?= 100000
PROGRAMS ?= 10000
SUITE ?= ../array-api-tests
venv := .venv/bin/python
comma := ,
# What is compared; JAX where JAX=../jax/bin/python names a Python that has it.
LIBS := --libs torch,cresset
MODELS := --libs torch,torch:compile,$(if $(JAX),jax$(comma))cresset,cresset:compile \
	$(if $(JAX),--python jax=$(JAX)) --cold --warm

.PHONY: demo test compare bench lint accuracy coverage fuzz notes array-api
.NOTPARALLEL:

demo: .venv/installed-plot  ## train a network on handwritten digits
	$(venv) examples/digits.py

test: .venv/installed-test  ## run every test
	$(venv) -m pytest --numprocesses auto

compare: .venv/installed-compare  ## install PyTorch, so that `make test` compares with it live

bench: .venv/installed-compare  ## measure beside PyTorch: make bench GROUP="big matmul conv"
	$(venv) benchmarks/start.py
	@$(foreach group,$(GROUP),$(venv) benchmarks/side_by_side.py --markdown --group $(group) \
		$(if $(filter models,$(group)),$(MODELS),$(LIBS)) &&) true

coverage: .venv/installed-test  ## how many of the names that programs use are there
	$(venv) scripts/coverage.py

notes: .venv/installed-test  ## build the notebooks of docs/notes from their sources
	$(venv) scripts/build_notes.py

fuzz: .venv/installed-test  ## random calls with bad arguments, and random programs, compiled
	$(venv) tests/fuzz.py --calls $(CALLS)
	$(venv) tests/test_compile_random.py --programs $(PROGRAMS)

array-api: .venv/installed-array-api  ## the standard's suite, a copy of which lies in SUITE
	@for module in cresset.array_api cresset; do \
		(cd $(SUITE) && ARRAY_API_TESTS_MODULE=$$module ARRAY_API_TESTS_VERSION=2024.12 \
			$(CURDIR)/$(venv) -m pytest array_api_tests --max-examples=5 --derandomize \
			--disable-deadline --xfails-file=$(CURDIR)/tests/array_api/$$module.txt) || exit; \
	done

accuracy: .venv/installed-test  ## the errors of the mathematics over millions of floats
	$(venv) tests/accuracy.py

lint: .venv/installed-lint  ## style and types
	$(venv) -m ruff check .
	$(venv) -m mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

# One stamp for each extra: pip runs again only when pyproject.toml has changed.
.venv/installed-%: pyproject.toml | .venv/bin/python
	$(venv) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
