# One command for each task; people, pre-commit and CI call the same ones.
# Plain POSIX make: it has to work with GNU make 3.81, which macOS ships.

# The interpreter that .venv is made with: make PYTHON=python3.12 demo
PYTHON = python3
# Used where it is installed; pip otherwise. `make UV= demo` takes pip in any case.
UV = uv
# Anything but 0 makes `make demo` end by itself.
EXIT =
# Handed to pytest: make test ARGS='-k engine -x'
ARGS =

BIN = .venv/bin
READY = .venv/.ready
INSTALLED = .venv/.requirements.txt
CACHES = .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help demo test lint type bench score lock clean

help:  ## print what there is
	@echo "triagebook: when an alert about an ML pipeline fires, the investigation is already written."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(READY)  ## show the main job end to end, all set-up included (EXIT=1: end by itself)
	@# Our own files are edited and may be newer than their bytecode; where writing it is
	@# switched off, every process would compile them again.
	@$(BIN)/python -m compileall -q lib/triagebook
	@case "$(EXIT)" in "" | 0) set -- ;; *) set -- --exit ;; esac; \
	exec $(BIN)/python -m triagebook demo "$$@"

# Three workers on two cores: many tests wait for processes they started. A file stays with one
# worker, so that what its tests share is made once.
test: $(READY)  ## run the tests (ARGS='-k name' picks some)
	@$(BIN)/python -m pytest -n 3 --dist=loadfile $(ARGS)

lint: $(READY)  ## check style, imports between packages, and that notebooks carry no outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

type: $(READY)  ## check types
	$(BIN)/mypy

bench: $(READY)  ## score public benchmark data (BENCH=DIR); skips, saying so, without it
	@$(BIN)/python -m tests.benchmarks._all $(BENCH)

score: $(READY)  ## score the diagnosis on the scenario library (ARGS='--seeds 0:3 --jobs 2')
	@$(BIN)/python -m tests.scenarios $(ARGS)

lock:  ## write requirements.txt anew from pyproject.toml (needs uv)
	@command -v "$(UV)" >/dev/null || { \
	echo "make lock needs uv: https://docs.astral.sh/uv/getting-started/installation/" >&2; exit 1; }
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--all-extras --group dev pyproject.toml -o requirements.txt

clean:  ## remove .venv, build output and caches; runs/ stays
	rm -rf .venv build dist $(CACHES)
	find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp goes first and comes back last: a set-up that was interrupted starts from nothing, one
# that is only out of date is brought up to date in place. Compiling is not left to chance: uv writes
# no bytecode by itself, nothing does where PYTHONDONTWRITEBYTECODE is set, and then every kernel
# would compile pandas anew. Some packages carry files that no Python 3 can compile: hence `|| true`.
# The lock names every package, so pip is told not to look for more (--no-deps): its resolver stumbles
# over extras (pandas[parquet]) where hashes are required.
$(READY): requirements.txt pyproject.toml
	@set -e; \
	version=$$("$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || { \
	echo "There is no '$(PYTHON)' here. Install Python 3.11 or newer, or name one:" >&2; \
	echo "  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "'$(PYTHON)' is Python $$version; triagebook needs 3.11 or newer. Name another one:" >&2; \
	echo "  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	if [ -f $(READY) ] && $(BIN)/python -c '' 2>/dev/null; then rm -f $(READY); else rm -rf .venv; fi; \
	if [ -n "$(UV)" ] && command -v "$(UV)" >/dev/null; then \
	[ -d .venv ] || "$(UV)" venv --quiet --python "$$(command -v "$(PYTHON)")" .venv; \
	cmp -s requirements.txt $(INSTALLED) || { \
	echo "Setting up .venv with uv (Python $$version); about half a minute, once ..."; \
	"$(UV)" pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode \
	requirements.txt || { \
	echo "uv could not install the packages. With pip instead: make UV= $(MAKECMDGOALS)" >&2; exit 1; }; }; \
	"$(UV)" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	echo "'$(PYTHON)' cannot make environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
	exit 1; }; \
	[ -d .venv ] || "$(PYTHON)" -m venv .venv; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null; \
	cmp -s requirements.txt $(INSTALLED) || { \
	echo "Setting up .venv with pip (Python $$version); a few minutes, once ..."; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
	--require-hashes -r requirements.txt; \
	echo "Compiling bytecode ..."; \
	$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true; }; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	--no-build-isolation -e .; \
	fi; \
	$(BIN)/python -m compileall -q lib/triagebook; \
	cp requirements.txt $(INSTALLED); \
	touch $(READY)
