# Two commands are the whole set-up: `make demo` and `make test`. CI calls these targets and nothing else.
PYTHON ?= python3
# Empty: the newest versions that pyproject.toml allows.
CONSTRAINTS ?= --constraint constraints.txt
# What installs packages in .venv, by pip's arguments.
INSTALL ?= .venv/bin/python -m pip install --quiet
# Folders or files that `make coverage` runs; empty: all.
TESTS ?=
BIN := .venv/bin
INSTALLED := .venv/installed
API_INSTALLED := .venv-api/installed
DOCS_INSTALLED := .venv-docs/installed
WEB_INSTALLED := .venv-web/installed

.PHONY: demo test coverage check lint types imports house docs wheel release format laws real api web browser notebooks kill nights production slow gpu studies bench clean

demo: $(INSTALLED)  ## simulate an archive, mask it, compose it, report on it
	$(BIN)/cloudmask demo demo
	@$(MAKE) --no-print-directory web || echo "without the map: npm said above why it was not built"

test: $(INSTALLED)  ## the quick tests
	$(BIN)/pytest -m "not slow and not integration" -n auto --dist loadfile --no-loadscope-reorder

coverage: $(INSTALLED)  ## the quick tests, and which lines and branches they ran; processes of tests are counted
	mkdir -p build
	$(BIN)/pytest -m "not slow and not integration" -n auto --dist loadfile --no-loadscope-reorder --cov --cov-report= --cov-fail-under=0 $(TESTS)
	$(BIN)/coverage json --quiet --fail-under=0 -o build/coverage.json
	$(BIN)/python benchmarks/covered.py build/coverage.json

check: lint types imports test  ## what must hold before a commit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

house:  ## sizes of rooms and functions, names used twice, circles of imports; needs Python alone
	$(PYTHON) benchmarks/house.py

docs: $(DOCS_INSTALLED)  ## the documentation as a site, warnings are errors
	.venv-docs/bin/mkdocs build --strict --quiet

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

laws: $(INSTALLED)  ## the demo's laws with the real networks: partitions, kills, memory, accuracy
	$(BIN)/pytest tests/laws --hypothesis-profile=thorough

real: $(INSTALLED)  ## real imagery through the same flow
	$(BIN)/pytest tests/real

api: $(INSTALLED) $(API_INSTALLED)  ## searches on a real STAC API; root installs PostGIS where it is missing
	ls /usr/share/postgresql/*/extension/postgis.control > /dev/null 2>&1 || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql-postgis; }
	$(BIN)/pytest tests/integration --require-api

web: $(WEB_INSTALLED)  ## the web map, from JavaScript packages of npm: pipeline/serve/web/dist
	.venv-web/bin/python hatch_build.py

browser: $(INSTALLED) web  ## the web map in headless Chromium; root installs it where it is missing
	command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-dejavu-core; }
	$(BIN)/pytest tests/serve/browser --require-browser

notebooks: $(INSTALLED) web  ## the notebooks of the documentation, from the first cell to the last
	cd docs/notebooks && PATH=$(CURDIR)/$(BIN):$$PATH $(CURDIR)/$(BIN)/pytest --rootdir=. -c /dev/null -p no:cacheprovider --nbmake --nbmake-timeout=900 \
		first_run.ipynb query_and_plot.ipynb composites_and_provenance.ipynb

slow: $(INSTALLED)  ## everything that `make test` leaves out
	$(BIN)/pytest -m slow

kill: $(INSTALLED)  ## sixty runs killed at random moments, and run again
	$(BIN)/pytest tests/nights/test_kills.py -n 2 -o faulthandler_timeout=1800

nights: $(INSTALLED)  ## thirty nights of a schedule: what each reads, and what the last leaves
	$(BIN)/pytest tests/nights/test_thirty_nights.py -s -o faulthandler_timeout=1800

production: $(INSTALLED)  ## Prefect on PostgreSQL with a schedule, its parts killed at work; root installs PostgreSQL where it is missing
	ls /usr/share/postgresql/*/extension/pg_trgm.control > /dev/null 2>&1 || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends postgresql; }
	$(BIN)/pytest tests/production --require-postgres -o faulthandler_timeout=2500

gpu: $(INSTALLED)  ## models and composites on a GPU against the CPU, and how fast; needs one
	$(BIN)/pytest -m gpu tests
	$(BIN)/python -W ignore benchmarks/masking.py --model omnicloudmask --device cuda --size 10980
	$(BIN)/python -W ignore benchmarks/masking.py --model omnicloudmask --device cuda --size 5490
	$(BIN)/python -W ignore -m benchmarks.composing_device

studies: $(INSTALLED)  ## trainings compared, each study a night on two cores; stopped, it goes on where it was; figures in docs/studies.md
	$(BIN)/python -W ignore -m benchmarks.studies $(wildcard benchmarks/studies/*.yaml)

bench: $(INSTALLED)  ## ratios against peers and physical limits
	$(BIN)/python -W ignore benchmarks/planning.py
	$(BIN)/python -W ignore benchmarks/reading.py
	$(BIN)/python -W ignore benchmarks/reading_http.py --tile-px 1024 --source-px 512
	$(BIN)/python -W ignore benchmarks/whole.py
	$(BIN)/python -W ignore benchmarks/masking.py
	$(BIN)/python -W ignore benchmarks/scaling.py
	$(BIN)/python -W ignore benchmarks/region.py
	$(BIN)/python benchmarks/starting.py

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cloudmask needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(INSTALL) $(CONSTRAINTS) --editable '.[dev,stackstac]'
	touch $@

# What serves the API is no dependency of ours: it has its own environment.
$(API_INSTALLED): constraints-api.txt
	$(PYTHON) -m venv .venv-api
	.venv-api/bin/python -m pip install --quiet --constraint constraints-api.txt stac-fastapi-pgstac 'pypgstac[psycopg]' uvicorn
	touch $@

# The docs are read from the source, so that building them needs none of what it imports.
$(DOCS_INSTALLED): constraints.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --constraint constraints.txt mkdocs-material 'mkdocstrings[python]'
	touch $@

# Node, which builds the map, is no need of running it.
$(WEB_INSTALLED): hatch_build.py
	$(PYTHON) -m venv .venv-web
	.venv-web/bin/python -m pip install --quiet hatchling "$$(sed -n 's/^NODE = "\(.*\)"/\1/p' hatch_build.py)"
	touch $@

wheel:  ## build the wheel; install it in an empty environment, and run the demo and README's Python from there
	rm -rf build/wheel
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/env
	build/wheel/env/bin/python -m pip install --quiet $(CONSTRAINTS) build/wheel/*.whl
	sed -n '/^```python/,/^```/{/^```/d;p}' README.md > build/wheel/readme.py
	cd build/wheel && env -u PYTHONPATH env/bin/cloudmask demo demo && env -u PYTHONPATH env/bin/python readme.py

release: check docs wheel  ## all that a release must pass, then the tag; VERSION=1.2.3
	test -n "$(VERSION)" && grep -q '^version = "$(VERSION)"' pyproject.toml && grep -q '^## $(VERSION)' CHANGELOG.md
	test -z "$$(git status --porcelain)"
	git tag --annotate v$(VERSION) --message "cloudmask $(VERSION)"

clean:
	rm -rf .venv .venv-api .venv-docs .venv-web pipeline/serve/web/dist build demo
