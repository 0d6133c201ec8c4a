# Each target makes the virtual environment if it is not there, and uses it as it is if it is.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

.PHONY: repro test lint paper clean

repro: $(BIN)/dvc ## the whole pipeline, by default on embedded data
	@python -m stages.recover # if an earlier run was killed
	dvc repro

test: $(BIN)/pytest ## every test, a tiny run of the whole pipeline included
	pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(BIN)/ruff ## style and formatting
	ruff check .
	ruff format --check .

PAPER := -S 'digit_sets=[mnist_svhn]' -S 'caption_sets=[cub]' -S 'caption_images=[features]' -S 'seeds=[0,1,2,3,4]' \
	-S objective=dreg_iwae \
	-S features.cub.weights=IMAGENET1K_V1 -S features.cub.layer=layer4 -S features.cub.standardise=false \
	-S networks.cub.features.likelihood_scale=0.01 -S networks.cub.features.scaling=0.002

paper: $(BIN)/dvc ## the paper's experiments: real data, its budget, five seeds (a GPU is advised)
	dvc exp run $(PAPER)

clean: $(BIN)/dvc ## remove the data, models and checkpoints; the cache and the results in git stay
	rm -rf data models .checkpoints

$(BIN)/dvc $(BIN)/pytest $(BIN)/ruff: | .venv/installed

.venv/installed:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	touch $@
