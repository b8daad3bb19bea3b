# Each target is one line over the real tool. `make` alone lists them.
# A fresh machine needs Python >= 3.12 and make; everything else is installed here.

PYTHON ?= $(firstword $(foreach p,python3.14 python3.13 python3.12 python3 python,$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null && echo $(p))))
BIN := .venv/bin
FLAGS ?=

.PHONY: help serve test test-long test-node lint typed types format docs bench-converge bench-api bench-heal bench-idle bench-many-apps bench-serve-start bench-pod-start bench-first-answer bench-reload bench-help bench-memory bench-wrong-logins clean record-watch

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

.venv/.runtime: pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python >= 3.12 found; install one, or: make PYTHON=/path/to/python3.12"; exit 2; }
	@echo "installing jac-converge and what it needs into .venv (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "this Python cannot make a venv; on Debian: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@PYTHONWARNINGS='ignore:Editable installation' $(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/.dev: .venv/.runtime
	@echo "installing the development tools into .venv (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

serve: .venv/.runtime ## run the example app on http://127.0.0.1:8000, data on the shelf
	@cd examples/todo && ../../$(BIN)/jac serve todo.jac $(FLAGS)

test: .venv/.dev ## run every test but the long ones, with real servers (builds them once, about 6 minutes)
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(FLAGS)

test-long: .venv/.dev ## minutes of load and faults; prints calls and replays per second
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m pytest -m long -s $(FLAGS)
	@JAC_CONVERGE_ORACLE_PAIRS=2000 $(BIN)/python -m pytest tests/cluster/test_oracle.py $(FLAGS)

test-node: .venv/.dev ## real pods on two nodes of this machine (root, Linux; builds them once, about 10 minutes)
	@$(BIN)/python -m tests.servers.build_node
	@$(BIN)/python -m pytest -m node tests/node -s $(FLAGS)

record-watch: .venv/.dev ## jac scale --watch on real nodes, as asciicast and picture for the README (root, Linux, tmux)
	@$(BIN)/python -m tests.servers.build_node
	@$(BIN)/python -m tests.node.record_watch docs/images

lint: .venv/.dev typed ## ruff, import contracts, spelling, Dockerfile
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check .
	@cd .build/typed && ../../$(BIN)/lint-imports --config ../../pyproject.toml --no-logo
	@$(BIN)/codespell
	@$(BIN)/hadolint Dockerfile

# Tools that follow imports by path see the mapped packages in a regular install only.
typed: .venv/.dev
	@rm -rf .build/typed && $(BIN)/python -m pip install --quiet --no-deps --target .build/typed . && rm -rf build

# What `jac scale` runs has to do without what only POSIX has.
ON_WINDOWS := -p jac_converge.reconciler -p jac_converge.config -m jac_converge.app_runtime.syntax \
	-m jac_converge.app_runtime.bridge.precompile -m jac_converge.app_runtime.flags

types: .venv/.dev typed ## mypy --strict, on a regular install; of jac scale as on Windows, too
	@cd .build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p jac_converge
	@cd .build/typed && ../../$(BIN)/mypy --config-file ../../pyproject.toml --platform win32 --no-warn-unreachable \
		--cache-dir .windows $(ON_WINDOWS)
	@MYPYPATH=.build/typed $(BIN)/mypy --explicit-package-bases tests benchmarks

format: .venv/.dev ## let ruff format and fix
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: .venv/.dev ## write the jac.toml reference and schema anew
	@$(BIN)/python -m jac_converge.config.reference

bench-api: .venv/.dev ## calls per second beside bare FastAPI and jac-scale (FLAGS=--quick)
	@$(BIN)/python -m benchmarks.api $(FLAGS)

bench-converge: .venv/.dev ## the reconciler beside kubectl, helm and Argo CD's engine (FLAGS=--quick)
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m benchmarks.converge $(FLAGS)

bench-heal: .venv/.dev ## 100 foreign edits on a real API server: how fast they are put back
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m benchmarks.heal

bench-idle: .venv/.dev ## what a watch costs while nothing happens
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m benchmarks.idle

bench-many-apps: .venv/.dev ## 500 apps in one process beside one (FLAGS="--apps 20" for a quick look)
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m benchmarks.many_apps $(FLAGS)

bench-serve-start: .venv/.dev ## jac serve from start to the first answer
	@$(BIN)/python -m benchmarks.serve_start

bench-pod-start: .venv/.dev ## the container of a built image from start to ready (root, Linux)
	@$(BIN)/python -m benchmarks.pod_start

bench-first-answer: .venv/.dev ## jac scale to the first answer of a real pod, and where the time went (root, Linux)
	@$(BIN)/python -m tests.servers.build_node
	@$(BIN)/python -m benchmarks.first_answer

bench-reload: .venv/.dev ## jac serve --reload from a save to the first answer of the new version
	@$(BIN)/python -m benchmarks.reload

bench-help: .venv/.dev ## jac --help with and without the plugin
	@$(BIN)/python -m benchmarks.jac_help

bench-wrong-logins: .venv/.dev ## 1,000 wrong logins from 32 clients: what they cost another user (FLAGS="--guesses 200")
	@$(BIN)/python -m benchmarks.wrong_logins $(FLAGS)

bench-memory: .venv/.dev ## reads, writes and their wire counts, with jac-scale beside us (FLAGS=--quick)
	@$(BIN)/python tests/servers/build.py
	@$(BIN)/python -m benchmarks.memory $(FLAGS)

clean: ## remove what this Makefile installed and built
	rm -rf .venv .build build *.egg-info
