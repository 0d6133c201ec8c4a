# Each target makes the virtual environment, and again what has changed among the requirements.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

.PHONY: repro test quick lint paper clean

repro: .venv/installed ## the whole pipeline, by default on embedded data
	@python -m stages.recover # if an earlier run was killed
	dvc repro

test: .venv/installed ## every test: a tiny run of the whole pipeline, and every fault that is injected
	pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: .venv/installed ## the product alone, in about a minute
	pytest -n 2 -m "not slow and not faults"

lint: .venv/installed ## style and formatting
	ruff check .
	ruff format --check .

PAPER := -S 'digit_sets=[mnist_svhn]' -S 'caption_sets=[cub]' -S 'caption_images=[features]' -S 'seeds=[0,1,2,3,4]' \
	-S objective=dreg_iwae \
	-S features.cub.weights=IMAGENET1K_V1 -S features.cub.layer=layer4 -S features.cub.standardise=false \
	-S networks.cub.features.likelihood_scale=0.01 -S networks.cub.features.scaling=0.002

paper: .venv/installed ## the paper's experiments: real data, its budget, five seeds (a GPU is advised)
	dvc exp run $(PAPER)

clean: ## remove the data, models and checkpoints; the cache and the results in git stay
	rm -rf data models .checkpoints

.venv/installed: requirements.txt requirements-dev.txt constraints.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
