# `make run` needs Python >= 3.11 and make; everything else goes into .venv. `make help` lists the targets.
SHELL := /bin/sh
# Compiled modules are kept: without them every process that a test starts compiles a thousand files again.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv/bin/python
COMPILE = $(VENV) -m uv pip compile --quiet pyproject.toml --python $(VENV) --no-python-downloads --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

# .venv's Python when it works, else the first on this machine that is new enough.
FIND_PYTHON = python=$(VENV); "$$python" -c '' >/dev/null 2>&1 || \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python ''; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; done; \
	if [ -z "$$python" ]; then echo "cogo: Python 3.11 or newer is needed; install it, or name it: make $@ PYTHON=/path/to/python3" >&2; exit 1; fi
BOOTSTRAP = @$(FIND_PYTHON); exec "$$python" cogo/bootstrap.py

.PHONY: help run demo doctor test test-slow test-weekly test-agents square-table provider-tables pictures reliability fault-table bench sabotage test-postgres test-postgres-slow lint types check install install-dev install-postgres install-redis install-sso install-quality lock

help: ## list the targets
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run it

run: ## set up what is missing, then start everything (PORT=9000, ARGS="--workers 2")
	$(BOOTSTRAP) run $(ARGS)

demo: ## the same over a provider simulator with sample traffic, apart from your data (var/demo)
	$(BOOTSTRAP) demo $(ARGS)

doctor: ## say what is wrong with this installation, and what to do about it
	$(VENV) manage.py doctor

##@ Set up

install: ## only set up
	$(BOOTSTRAP) install base

install-dev: ## what tests, lint and types need
	$(BOOTSTRAP) install base dev

install-postgres: ## the PostgreSQL driver
	$(BOOTSTRAP) install base postgres

install-redis: ## the Redis client
	$(BOOTSTRAP) install base redis

install-sso: ## what single sign-on needs
	$(BOOTSTRAP) install base sso

install-quality: ## the tools that look at answers' code: grammars of 12 languages, ruff, lizard
	$(BOOTSTRAP) install base quality

lock: install-dev ## compile requirements/*.lock from pyproject.toml
	$(COMPILE) -o requirements/base.lock
	$(COMPILE) -c requirements/base.lock --extra local -o requirements/local.lock
	$(COMPILE) -c requirements/base.lock --extra postgres -o requirements/postgres.lock
	$(COMPILE) -c requirements/base.lock --extra redis -o requirements/redis.lock
	$(COMPILE) -c requirements/base.lock --extra sso -o requirements/sso.lock
	$(COMPILE) -c requirements/base.lock --extra quality -o requirements/quality.lock
	$(COMPILE) -c requirements/base.lock --extra postgres --extra redis --extra sso --extra quality --group dev -o requirements/dev.lock

##@ Test it

test: install-dev ## the everyday suite; no service needs to run (ARGS="-k name" narrows it)
	$(VENV) -m pytest -q -n auto -m "not slow and not weekly" $(ARGS)

test-slow: install-dev ## the slow lane: starts the whole gateway; what measures time runs by itself
	$(VENV) -m pytest -q -n 2 -m "slow and not alone and not postgres and not weekly" $(ARGS) || [ $$? -eq 5 ]
	$(VENV) -m pytest -q -m "slow and alone and not postgres and not weekly" $(ARGS) || [ $$? -eq 5 ]

test-weekly: install-dev ## what takes minutes: every field of every form, every page as every role, reports over a million rows
	$(VENV) -m pytest -q -n 2 -m "weekly and not alone and not postgres" $(ARGS) || [ $$? -eq 5 ]
	$(VENV) -m pytest -q -m "weekly and alone and not postgres" $(ARGS) || [ $$? -eq 5 ]

test-agents: install-dev ## let coding agents work through the gateway; installs them from npm and PyPI (COGO_AGENTS_DIR keeps them)
	$(VENV) -m pytest -q -m agents tests/agents $(ARGS)

sabotage: install-dev ## put one wrong line after the other into a copy of the tree; its tests must fail (a quarter of an hour)
	$(VENV) -m tests.sabotage $(ARGS)

# Rooms that know no database; the everyday suite has them.
PURE = $(addprefix --ignore=tests/,architecture core policies providers simulator wires)
test-postgres: install-dev ## the everyday suite on PostgreSQL and Redis (DATABASE_URL, REDIS_URL)
	DATABASE_URL="$${DATABASE_URL:-postgres://postgres@127.0.0.1:5432/test}" REDIS_URL="$${REDIS_URL:-redis://127.0.0.1:6379/15}" \
	$(VENV) -m pytest -q -n auto -m "not slow and not weekly" $(PURE) $(ARGS)

# What a database server can do to the gateway, and the money's races and kills on it. The rest of the slow lane runs on SQLite alone.
POSTGRES_SLOW = tests/postgres tests/money/test_budget_race.py tests/money/test_kills.py tests/batches/test_lane.py
test-postgres-slow: install-dev ## outages, failover, PgBouncer, the task cluster, two starts, races and kills on PostgreSQL, three minutes
	DATABASE_URL="$${DATABASE_URL:-postgres://postgres@127.0.0.1:5432/test}" $(VENV) -m pytest -q -n 2 -m "slow and not alone and not weekly" $(POSTGRES_SLOW) $(ARGS)

##@ Measure it

reliability: install-dev ## measure the figures of docs/reliability.md on this machine, five minutes (ARGS="--write failover" writes one of them)
	$(VENV) -m tests.reliability.scoreboard $(ARGS)

bench: install-dev ## what a request and a chunk cost, beside a bare echo of the same job, five minutes (ARGS="--rounds 2 --json FILE"; COGO_PEERS_DIR, DATABASE_URL)
	$(VENV) -m tests.benchmarks $(ARGS)

##@ Write documents anew

fault-table: ## write the fault table of docs/reliability.md anew from tests/faults
	$(VENV) -m tests.faults.document

provider-tables: ## write the models and prices of docs/providers anew from the catalogue
	COGO_WRITE_DOCUMENTS=1 $(VENV) -m pytest -q -n 0 tests/providers/test_documents.py

pictures: install-dev ## take the pictures of docs/console.md anew from the demonstration (needs Chromium)
	TEST_PICTURES=docs/pictures $(VENV) -m pytest -q -n 0 tests/e2e/test_pictures.py -k something_to_say

square-table: ## write docs/square.md anew from the table of the square
	$(VENV) -m tests.square.document

##@ Check a change

lint: install-dev ## style and the walls between the rooms
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	.venv/bin/lint-imports

types: install-dev ## strict types of the whole project, with the stubs of Django and DRF
	$(VENV) -m mypy

check: lint types test ## what a change must pass before it is committed
