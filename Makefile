# `make demo` and `make test` need Python 3.11+ and nothing else: they create .venv and install what constraints.txt pins.
# pip's own variables work as usual (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS: for example to take PyTorch's CPU wheel).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOWEST ?= .venv-lowest
SERVING ?= .venv-serving
INSTALLED := $(VENV)/installed

.PHONY: demo test test-committed test-slow test-lowest test-clusters test-serving goldens lint pyright wheel docs leaderboard validate soak clean

demo: $(INSTALLED)  ## train the three methods on the embedded model, score every sub-rank, compare, plot
	$(BIN)/aurac demo --out demo

test: $(INSTALLED)  ## the default suite, four to six minutes on 2 idle cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-committed: $(INSTALLED)  ## that the tables of results/ are what its records give, and that the notebooks run: a minute
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/test_results.py tests/test_notebooks.py -m "slow or not slow"

test-slow: $(INSTALLED)  ## what the default suite leaves out
	$(BIN)/python -m pytest -m slow

test-clusters: $(INSTALLED)  ## benchmarks on a two-node Ray cluster and submitit's queue on this machine, with kills
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,slurm]'
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/workflows/test_clusters.py tests/workflows/test_executors.py -m "slow or not slow"

test-lowest:  ## the default suite with the lowest versions that pyproject.toml allows, in an environment of its own
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable '.[test]'
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n 2 --dist worksteal

test-serving:  ## engines vllm and server over a real vLLM and llama.cpp, every answer compared with HFLM's, in an environment of its own
	$(PYTHON) benchmarks/serving_environment.py $(SERVING); status=$$?; [ $$status -eq 75 ] && exit 0; [ $$status -eq 0 ] || exit $$status; \
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(SERVING)/bin/python benchmarks/served.py --out build/served --lm-eval $(SERVED)

goldens: $(INSTALLED)  ## write the golden files of help texts and reports again; read the difference before you commit it
	AURAC_GOLDEN=write $(BIN)/python -m pytest tests/cli/test_help.py tests/report tests/adapters/test_docs.py

lint: $(INSTALLED)  ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

pyright: $(INSTALLED)  ## a second look at the types; needs Node.js and, the first time, a network
	$(BIN)/python -m pip install --quiet pyright==1.1.414
	$(BIN)/pyright --pythonpath $(BIN)/python

wheel: $(INSTALLED)  ## build the wheel, install it elsewhere, import it from there
	rm -rf dist build/elsewhere
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --no-deps --target build/elsewhere dist/aurac-*.whl
	cd build/elsewhere && PYTHONPATH=. ../../$(BIN)/python -c "import aurac, aurac_adapters, aurac.testbed as t; assert 'elsewhere' in aurac.__file__ and t.MODEL.joinpath('model.safetensors').exists()"

docs: $(INSTALLED)  ## the documentation site, in build/site; warnings are errors
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'aurac needs Python 3.11 or newer; set PYTHON=...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

ASKED = svd-lora matryoshka-projected dylora-prefix lora-prefix matryoshka-prefix
SHOWN = matryoshka-projected matryoshka-trained matryoshka-prefix grid-lora svd-lora lora-prefix dylora-prefix
leaderboard: $(INSTALLED)  ## results/LEADERBOARD.md and its plots, from the records beside them
	$(BIN)/aurac report results/
	$(BIN)/aurac plot curves $(foreach curve,$(SHOWN),results/smollm2-135m/$(curve)-seed-*) --by method --out results/plots/readme-curves.png
	$(BIN)/aurac plot curves $(foreach curve,$(ASKED),results/smollm2-135m-questions/$(curve)-seed-*) --by method \
	    --tasks arc_easy:gold_nll,commonsense_qa:gold_nll --out results/plots/smollm2-135m-questions-nats.png

validate: $(INSTALLED)  ## measure the coverage of the error bars again, about 8 minutes
	$(BIN)/python benchmarks/validate_statistics.py --out docs/validation.md
	$(BIN)/python benchmarks/validate_parts.py --out docs/validation.md

soak: $(INSTALLED)  ## inject every fault that the tests know and count what survived, about 15 minutes
	$(BIN)/python benchmarks/soak.py

clean:
	rm -rf $(VENV) $(LOWEST) $(SERVING) dist build demo
