# Two commands are the whole set-up: `make demo` and `make test`. CI calls these targets and nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test check lint types imports format laws real kill bench clean

demo: $(INSTALLED)  ## simulate an archive, mask it, compose it, report on it
	$(BIN)/cloudmask demo demo

test: $(INSTALLED)  ## the quick tests
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

check: lint types imports test  ## what must hold before a commit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

laws: $(INSTALLED)  ## the demo's laws with the real networks: partitions, kills, memory, accuracy
	$(BIN)/pytest -m slow tests/laws

real: $(INSTALLED)  ## real imagery through the same flow
	$(BIN)/pytest tests/real

slow: $(INSTALLED)  ## everything that `make test` leaves out
	$(BIN)/pytest -m slow

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cloudmask needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,stackstac]'
	touch $@

clean:
	rm -rf .venv demo
