# The two commands are `make demo` and `make test`; both set up what they need.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo play check test results results-check gpu-checks lint test-unit test-methods test-integration test-e2e test-kueue \
        test-network test-integrity test-images test-docs test-engines test-serving test-providers test-families \
        docs docs-serve generate check-generated prepare cluster bench-operator clean

PY := .venv/bin/python
# Material for MkDocs ends in May 2027. Its successor, Zensical, reads the same mkdocs.yml but has no hooks yet.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs
# The local cluster needs nothing but the standard library: it does not wait for .venv.
LOCALCLUSTER := $(if $(wildcard $(PY)),$(PY),python3) -m localcluster
PYTEST := $(PY) -m pytest
# Each test takes one core at most, and many wait for servers: there are two workers more than there are cores.
# tests/conftest.py says in which order the workers take the files.
PARALLEL := env OMP_NUM_THREADS=1 $(PYTEST) --numprocesses $(shell expr $$(nproc) + 2) --dist loadfile --no-loadscope-reorder
# `make test` runs two tests of vLLM, where `make test-serving` has installed it.
OF_VLLM := 'tests/serving/test_vllm.py::test_a_checkpoint_that_vllm_refuses_ends_with_its_cause' \
        'tests/serving/test_engine_check.py::test_a_damaged_checkpoint_is_refused[rename_scale]'
# The life of a cluster is tested on a machine of its own (tests/e2e/localcluster/isolated.sh).
BESIDE_EACH_OTHER := tests/integration tests/e2e/localcluster tests/methods tests/unit
# Caches of the static checks: all clones of a user share them.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/compression-operator
export MYPY_CACHE_DIR := $(CACHE)/mypy
export RUFF_CACHE_DIR := $(CACHE)/ruff
# Without byte code each of the many processes that tests start would compile torch and transformers anew.
export PYTHONDONTWRITEBYTECODE :=
PACKAGES := operator jobs localcluster dashboards charts demo docsite images samples tests benchmarks wording

help: ## show what there is
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 20

setup: ## install uv into the cache and the locked environment into .venv
	@scripts/setup

demo: ## a cluster (yours if KUBECONFIG is set), the chart, a job that passes and one that must not
	@$(MAKE) --no-print-directory --jobs=2 $(if $(KUBECONFIG),,cluster) play

play: setup
	@$(PY) -m demo $(if $(YES),--yes) $(if $(VALUES),--values=$(VALUES)) $(if $(BUCKET),--bucket=$(BUCKET))

check: setup ## seconds to minutes: ruff, and the unit tests of the files that differ from the last commit
	.venv/bin/ruff check $(PACKAGES)
	.venv/bin/ruff format --check $(PACKAGES)
	@tests="$$($(PY) -m tests.support.changed)"; [ -z "$$tests" ] || $(PYTEST) -q --numprocesses 0 $$tests

test: ## everything: static checks; unit, methods and integration beside each other; e2e (real kubelet)
	@$(MAKE) --no-print-directory --jobs=2 lint prepare
	$(PARALLEL) $(BESIDE_EACH_OTHER)
	@$(MAKE) --no-print-directory test-e2e

lint: setup check-generated ## ruff, mypy --strict, import-linter, vocabulary, generated files
	$(PY) -m wording
	.venv/bin/ruff check $(PACKAGES)
	.venv/bin/ruff format --check $(PACKAGES)
	.venv/bin/mypy
	.venv/bin/lint-imports --cache-dir $(CACHE)/import-linter

test-unit: setup ## minutes, no servers
	$(PARALLEL) tests/unit

test-methods: setup ## every method on a slice of real data (skipped where it passed before, unchanged), and killed stages
	$(PARALLEL) tests/methods

test-integration: setup ## a real API server, object store and Prometheus on loopback; the life of a cluster
	$(PARALLEL) tests/integration tests/e2e/localcluster

test-e2e: setup cluster ## a real kubelet
	$(PYTEST) tests/e2e $(OF_VLLM) --ignore tests/e2e/localcluster -m 'not kueue and not network and not serving'

test-kueue: setup cluster ## queued jobs with a real Kueue: builds it once, in minutes; from then on `make test` runs two of these
	@$(LOCALCLUSTER) kueue
	$(PYTEST) tests/e2e/kueue

test-network: setup ## NetworkPolicies enforced on real packets: builds an engine once, in minutes
	@$(LOCALCLUSTER) networkpolicies
	$(PYTEST) tests/e2e/network

test-integrity: setup cluster ## slow: two jobs with one destination, a pod killed at twenty random moments
	KILLED_WRITERS=20 $(PYTEST) tests/e2e/test_integrity.py

test-images: setup cluster ## slow: build the real Dockerfiles and run a job in them
	$(PYTEST) tests/images

test-docs: setup cluster ## slow: type the commands of the README and docs on the local cluster; ends what runs there
	$(PYTEST) tests/docs

test-engines: setup ## slow: install llm-compressor and ModelOpt as their images do, and quantize with them
	$(PYTEST) tests/engines

test-serving: setup cluster ## slow: install vLLM as its image does, and measure a language model that it serves, also in jobs
	$(PY) -m tests.support.engine_environments vllm
	$(PYTEST) tests/serving tests/e2e/serving

test-providers: setup ## slow: install onnxruntime with OpenVINO's and with GPU providers, and check what runs where
	$(PYTEST) tests/providers

test-families: setup ## slow, resumable: families of Transformers models with every method; writes docs/models.md
	nice $(PY) -m benchmarks.families

gpu-checks: ## minutes, on a machine with a GPU: calibration, training and the driver's readings (docs/gpu.md)
	PYTHONPATH=operator:jobs:. $(or $(GPU_PYTHON),$(PY)) -m benchmarks.gpu

results: setup ## tests on real data and every local example in full (hours, resumable); writes benchmarks/methods/results.json
	RERUN_PASSED=1 $(PARALLEL) -m real_data tests/methods
	$(PY) -m benchmarks.methods

results-check: setup ## list the published results that a changed method or example has made stale; fails if there are any
	@$(PY) -m benchmarks.methods --check

docs: setup ## the documentation as a site, in out/site
	$(MKDOCS) build --strict

docs-serve: setup ## the documentation as a site on port 8000 of this machine, built again when a page changes
	$(MKDOCS) serve

generate: setup ## CRDs, dashboards, rules, the chart's schema, and the pages of messages and the API from the code
	@mkdir -p charts/compression-operator/files/crds
	$(PY) -m compressionjob.crd crds charts/compression-operator/files/crds
	$(PY) -m dashboards
	$(PY) -m charts.generate
	$(PY) -m tests.support.messages
	$(PY) -m docsite

check-generated: generate ## fail when a committed file differs from what the code generates
	@git diff --exit-code --stat -- crds charts dashboards docs examples/README.md \
	  || { echo "generated files differ: run 'make generate' and commit the result"; exit 1; }

prepare: # what the cluster is made of
	@scripts/setup uv
	@$(LOCALCLUSTER) prepare

cluster: ## a real Kubernetes on this machine
	@scripts/setup uv
	@$(LOCALCLUSTER) up

bench-operator: setup ## the control loop at 1,000 to 10,000 jobs
	$(PY) -m benchmarks.operator_scale

clean: ## end the local cluster and all its processes, mounts and interfaces
	@$(LOCALCLUSTER) down
