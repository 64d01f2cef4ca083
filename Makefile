# Each target does its own set-up: git, make and Python are enough.

# The first Python that is new enough.
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin

# Not what the shell has exported: the pages call the image without its tag so.
IMAGE = register-collections:$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' hook/__init__.py)

.PHONY: help demo test lint format messages test-live test-faults test-races bench record image test-image test-manifests \
	share test-cluster test-mutations test-fuzz chart-readme chart release-ref release-check lock clean

help: ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(VENV)/.ready: pyproject.toml requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "This needs Python 3.11 or newer, and there is none on PATH: install it." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The packages of the image alone: structlog loads rich where a development tool has brought it along, at each start.
RUNTIME := build/runtime
test-live test-faults bench: export RUNTIME_PYTHON = $(CURDIR)/$(RUNTIME)/bin/python

$(RUNTIME)/.ready: requirements.txt
	$(PYTHON) -m venv --clear $(RUNTIME)
	$(RUNTIME)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	@touch $@

demo: $(VENV)/.ready ## Show the hook on a real llama-stack 0.3.5 with Milvus Lite.
	@$(BIN)/python tests/live/demo.py

COVER ?= --cov

# Compiled once and kept, also where this shell says otherwise: the tests start the program many times.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.ready ## Run the tests that need no server, with every branch of hook/ covered; COVER= is faster.
	$(BIN)/python -m pytest $(COVER) --numprocesses 6 --dist worksteal

lint: $(VENV)/.ready ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

format: $(VENV)/.ready ## Put the code into its form.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.ready ## Print each text that a user can meet, with its place in the code.
	@$(BIN)/python -m tests.messages

TABLES ?= matrix principals openshift_ai backends_matrix processes_matrix

test-live: $(VENV)/.ready $(RUNTIME)/.ready ## Fill the tables on real servers; RELEASES="0.3.5 ogx-1.5.0" and TABLES="matrix" pick some.
	@failed=; for table in $(TABLES); do $(BIN)/python tests/live/$$table.py || failed="$$failed $$table"; done; \
	test -z "$$failed" || { echo "Not as it should be:$$failed" >&2; exit 1; }

test-faults: $(VENV)/.ready $(RUNTIME)/.ready ## Run the hook under faults and against itself, and print the violations.
	@$(BIN)/python -m tests.faults.run

RACES ?= --count 5000 --first 0

test-races: $(VENV)/.ready ## Try orders in which runs at the same instant are answered, in virtual time; RACES="--kind lag --first 7 --count 1" repeats one.
	@$(BIN)/python -m tests.faults.interleavings $(RACES)

bench: $(VENV)/.ready $(RUNTIME)/.ready ## Measure the hook beside a bare script, the loop and, where it is there, the official client.
	$(PYTHON) -m compileall -q hook # as in the image
	@$(BIN)/python -m tests.faults.bench
	@$(BIN)/python tests/live/speed.py
	@$(BIN)/python tests/live/connections.py

record: $(VENV)/.ready ## Record anew what the real servers answer, for the unit tests.
	@$(BIN)/python tests/live/record.py

image: ## Build the image with podman, buildah or docker; IMAGE names it, BASE_IMAGE replaces its base.
	@builder=$$(command -v podman || command -v buildah || command -v docker) || \
		{ echo "There is no podman, buildah or docker: install one of them." >&2; exit 1; }; \
	"$$builder" build $(BUILD_FLAGS) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
		--tag $(IMAGE) --file Containerfile .

test-image: $(VENV)/.ready ## Build the image and run it as OpenShift would, against a real LlamaStack.
	$(BIN)/python -m pytest tests/image

test-manifests: $(VENV)/.ready ## Render the manifests and the chart, and check what comes out.
	PYTHON=$(PYTHON) tests/manifests/install-tools.sh
	$(BIN)/python -m pytest tests/manifests

share: $(VENV)/.ready ## Write the manual page and the shell completions anew, from the help.
	$(BIN)/python -m release.share

FUZZER := build/fuzz/venv

test-fuzz: ## Let a coverage-guided fuzzer look for what the program does not foresee; FUZZ_SECONDS=600 of each target.
	$(PYTHON) -m venv --clear $(FUZZER)
	$(FUZZER)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
	$(FUZZER)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r tests/fuzz/requirements.txt
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(FUZZER)/bin/python -m tests.fuzz.run

chart-readme: $(VENV)/.ready ## Write the chart's README anew, from its values.yaml.
	$(BIN)/python -m release.chart_readme

chart: $(VENV)/.ready ## Package the chart for the pushed image IMAGE_NAME@IMAGE_DIGEST, built from SOURCE, into dist/.
	$(BIN)/python -m release.package_chart --image $(IMAGE_NAME) --digest $(IMAGE_DIGEST) --source $(SOURCE)

release-ref: $(VENV)/.ready ## Write the Git ref REF into all pages: main, or the tag that is about to be released.
	$(BIN)/python -m release.refs $(REF)

release-check: $(VENV)/.ready ## Say whether version, changelog, chart and image tag agree; TAG=v1.2.3 is to be released.
	@TAG=$(TAG) $(BIN)/python -m release.check

test-cluster: $(VENV)/.ready ## Use Argo CD, Helm and Jobs on KUBECONFIG's cluster, else kind's, else one made here, with ARGOCD=FILE, HELM=FILE.
	$(BIN)/python -m pytest tests/cluster --numprocesses 5 --durations 10 -v

MUTATIONS := build/mutations/venv

test-mutations: $(VENV)/.ready ## Change the packages that decide, one place at a time, and say what no test notices: an hour.
	$(PYTHON) -m venv --clear $(MUTATIONS)
	$(MUTATIONS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	$(MUTATIONS)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r tests/mutations/requirements.txt
	$(MUTATIONS)/bin/python tests/mutations/run.py

lock: $(VENV)/.ready ## Pin the dependencies anew, with hashes.
	for extra in "" "--extra dev"; do \
		$(BIN)/uv pip compile --quiet pyproject.toml $$extra --upgrade --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
			--output-file requirements$${extra:+-dev}.txt; \
	done
	echo 'hatchling>=1.26' | $(BIN)/uv pip compile --quiet - --upgrade --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements-build.txt

clean: ## Remove what the targets made here; the servers stay in the cache.
	rm -rf $(VENV) build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
