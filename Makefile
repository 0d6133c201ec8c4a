# Each target makes the virtual environment if it is not there, and uses it as it is if it is.
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

.PHONY: repro test lint paper clean

repro: $(BIN)/dvc ## the whole pipeline, by default on embedded data
	dvc repro

test: $(BIN)/pytest ## every test, a tiny run of the whole pipeline included
	pytest

lint: $(BIN)/ruff ## style and formatting
	ruff check .
	ruff format --check .

paper: $(BIN)/dvc ## the paper's experiment: real data, its budget, five seeds (a GPU is advised)
	dvc exp run -S 'digit_sets=[mnist_svhn]' -S 'seeds=[0,1,2,3,4]' -S objective=dreg_iwae

clean: $(BIN)/dvc ## remove the data, models and checkpoints; the cache and the results in git stay
	rm -rf data models .checkpoints

$(BIN)/dvc $(BIN)/pytest $(BIN)/ruff: | .venv/installed

.venv/installed:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
