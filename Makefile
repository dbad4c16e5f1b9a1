# `make demo` shows the main job; `make test` runs all tests. Both set everything up by themselves.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PY := .venv/bin/python
N ?= small

.PHONY: setup demo test check format generated lock bench chaos clean

setup: .venv/installed
	@$(PY) -m core.browser_finder --install

.venv/installed: requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or name it with PYTHON=" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv
	@echo "installing the locked packages into .venv ..."
	@# the lock is complete: nothing is to be resolved again (an extra of a locked package would be)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

demo: setup
	@$(PY) -m tools.demo $(if $(ONCE),--once)

test: setup
	@$(PY) -m tools.run_tests

check: .venv/installed
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	.venv/bin/djhtml --check core/templates warmup/templates
	DJANGO_SETTINGS_MODULE=settings.test $(PY) manage.py makemigrations --check --dry-run
	$(PY) -m tools.generated --check
	$(PY) -m tools.deploy_check

format: .venv/installed
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .
	.venv/bin/djhtml core/templates warmup/templates

generated: .venv/installed
	$(PY) -m tools.generated

lock: .venv/installed
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements.in -o requirements.txt
	.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' requirements-dev.in -o requirements-dev.txt

# What the egress guard costs, measured; the other comparisons are still to come.
bench: setup
	@$(PY) -m bench.egress_tax

chaos: setup
	@$(PY) -m tools.chaos --size $(N) $(if $(DATABASE),--database $(DATABASE)) $(if $(SCENARIO),--scenario '$(SCENARIO)')

clean:
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
