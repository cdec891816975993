# make demo: the shop on embedded servers; make test: the tests. Both set up what they need in .venv.
.PHONY: demo demo-react test coverage test-databases chaos fuzz fuzz-rest bench lint messages messages-check docs docs-check docs-reference screenshots clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Containers often forbid bytecode; tests and demo start Python so often that it pays.
unexport PYTHONDONTWRITEBYTECODE

# The shop; SITE=wagtail is a magazine in its place.
SITE ?= shop
SITE_SETTINGS_shop := project.settings
SITE_SETTINGS_wagtail := project.magazine.settings

demo: $(VENV)/.demo-$(SITE)
	DJANGO_SETTINGS_MODULE=$(SITE_SETTINGS_$(SITE)) $(BIN)/python manage.py demo

# A page in React on another port, beside a running demo; needs Node.js.
demo-react:
	cd project/react && npm install --no-audit --no-fund && npm start

# Each file by one process, in the order of their names: the few long ones would come last, and be waited for.
SPREAD := --numprocesses=4 --dist=loadfile --no-loadscope-reorder

# Where processes share the cores, the threads of NumPy's and SciPy's libraries wait for each other busily.
test coverage test-databases: export OPENBLAS_NUM_THREADS := 1
test coverage test-databases: export OMP_NUM_THREADS := 1

test: $(VENV)/.test
	$(BIN)/python -m pytest -rs $(SPREAD)

# The same, with the lines that no test runs; it takes more than half as long again.
coverage: $(VENV)/.test
	$(BIN)/python -m pytest -rs $(SPREAD) --cov --cov-report=term --cov-fail-under=95

# The tests on other databases than one that is `default`: those of another alias, a replica, and a pool of connections.
DATABASE_TESTS ?= tests

test-databases: $(VENV)/.test
	for databases in alias replica pgbouncer; do \
		TEST_DATABASES=$$databases $(BIN)/python -m pytest -q --numprocesses=2 --dist=loadfile $(DATABASE_TESTS) || exit; \
	done

# Writes, indexes and searches while everything is killed, on servers of its own: make chaos MINUTES=1 SEED=3
MINUTES ?= 10
SEED ?= $(shell date +%s)

chaos: $(VENV)/.test
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

# 100,000 damaged files through the decoder, those of Pillow's own tests among them; some twenty minutes.
fuzz: $(VENV)/.test
	$(BIN)/python -m tests.fuzz.corpus .fuzz/corpus
	$(BIN)/python -m tests.fuzz.run_decoder --corpus .fuzz/corpus --keep .fuzz/faults

# Some 3,000 requests by each kind of visitor, as the OpenAPI document allows and forbids them; half an hour.
REST_CASES ?= 250

fuzz-rest: $(VENV)/.test
	REST_CASES=$(REST_CASES) $(BIN)/python -m pytest -q -s tests/api/test_schema_conformance.py

# Searches, saves, indexing and REST, each beside the same without the app; the last line is JSON. Some half an hour.
RECORDS ?= 200000

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks overview --records $(RECORDS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

# The documentation at http://127.0.0.1:8001/; it is built anew when a page changes.
docs: docs-reference $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001

docs-check: $(VENV)/.docs $(VENV)/.test
	$(BIN)/python -m docs.generate_reference --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-reference: $(VENV)/.test
	$(BIN)/python -m docs.generate_reference

# Messages for translators, taken from the code, and what gettext compiles of their translations.
LANGUAGES := de es fr

messages: $(VENV)/.test
	cd similar_images && ../$(BIN)/python -m django makemessages --no-obsolete --add-location file \
		$(addprefix --locale ,$(LANGUAGES))
	cd similar_images && ../$(BIN)/python -m django compilemessages $(addprefix --locale ,$(LANGUAGES))

messages-check: messages
	git diff --exit-code --ignore-matching-lines POT-Creation-Date -- similar_images/locale/*/LC_MESSAGES/*.po

screenshots: $(VENV)/.test
	$(BIN)/python -m docs.screenshots

clean:
	rm -rf $(VENV) .demo .fuzz

# A stamp for every set of packages that is installed. Debian keeps the module venv in a package of its own.
$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed.')"
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		test "$$(id -u)" = 0 && apt-get install -y --no-install-recommends python3-venv && $(PYTHON) -m venv $(VENV); } || \
		{ echo "Python can't make a virtual environment here: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.demo-shop: $(BIN)/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.demo-wagtail: $(VENV)/.demo-shop
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,wagtail]'
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

$(VENV)/.lint: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lint]'
	touch $@

$(VENV)/.docs: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@
