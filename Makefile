# Each target makes the virtual environment, and again what has changed among the requirements.
PYTHON ?= python3
IN := .venv/bin/python -m
override JOBS := $(if $(JOBS),--jobs $(JOBS))# make repro JOBS=2: stages at once, by default one for each core
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SHELL := /bin/sh# DVC starts the stages with it
export PIP_USER := 0
unexport PIP_PREFIX PIP_TARGET PYTHONHOME PYTHONPATH PYTHONSAFEPATH
ifneq (,$(findstring :,$(CURDIR)))
$(error No virtual environment works in a folder with a colon in its path: $(CURDIR). Rename or move the folder)
endif

.PHONY: repro test quick lint paper figure2 tuning ablations clean

repro: .venv/installed ## the whole pipeline, by default on embedded data
	$(IN) fanout $(JOBS)

test: .venv/installed ## every test: a tiny run of the whole pipeline, and every fault that is injected
	$(IN) pytest -n 3 --dist loadfile --no-loadscope-reorder

quick: .venv/installed ## the product alone, in two minutes
	$(IN) pytest -n 2 -m "not slow and not faults"

lint: .venv/installed ## style and formatting
	$(IN) ruff check .
	$(IN) ruff format --check .

PAPER := -S 'digit_sets=[mnist_svhn]' -S 'caption_sets=[cub]' -S 'caption_images=[features]' -S 'seeds=[0,1,2,3,4]' \
	-S objective=dreg_iwae \
	-S features.cub.network=resnet101 -S features.cub.weights=IMAGENET1K_V1 -S features.cub.layer=layer4 \
	-S features.cub.standardise=false -S cca.cub.components=40 -S cca.cub.ridge.image=0 -S cca.cub.ridge.sentence=0 \
	-S evaluate.cub.bigrams=0 \
	-S networks.cub.features.likelihood_scale=0.01 -S networks.cub.features.scaling=0.002

paper: .venv/installed ## the paper's experiments: real data, its budget, five seeds (a GPU is advised); SET="-S key=value" changes some
	$(IN) fanout $(JOBS) $(PAPER) $(SET)

figure2: .venv/installed ## every system of the paper's Figure 2, on the embedded digits
	cd studies/figure2 && ../../$(IN) fanout $(JOBS) figure2 images confusion

tuning: .venv/installed ## the values that Figure 2's systems were tuned among
	cd studies/figure2 && ../../$(IN) fanout $(JOBS) tuning

ablations: .venv/installed ## what reviewers and users asked: missing and further modalities, K, scales, families
	cd studies/ablations && ../../$(IN) fanout $(JOBS)

clean: ## remove the data, models and checkpoints; the cache and the results in git stay
	rm -rf data models .checkpoints

.venv/installed: requirements.txt requirements-dev.txt constraints.txt pyproject.toml | .venv/bin/python
	$(IN) pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	$(IN) pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	.venv/bin/python -c "import vl_convert; print(vl_convert.javascript_bundle(vl_version='5.20'))" > .venv/vega.js
	touch $@

.venv/bin/python: # or its link leads nowhere, since the system has another Python now
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer: make PYTHON=python3.11')"
	$(PYTHON) -m venv --clear .venv
