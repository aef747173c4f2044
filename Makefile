# One verb for each thing that a user or a developer does; `make help` lists them.
#
# The recipes only name a script: scripts/playbook runs a playbook with the Python packages of requirements/, which are
# installed on first use into the cache (outside the checkout).

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:

# What a user may set, on the command line or in the environment. The scripts read them from the environment.
INVENTORY ?= local
COMPONENTS ?=
CLUSTER ?=
DATA ?= keep
OUTPUT ?= table
FAIL ?= never
SCENARIO ?=
ARGS ?=
export INVENTORY COMPONENTS CLUSTER DATA OUTPUT FAIL SCENARIO ARGS

##@ The platform

.PHONY: up
up: ## Install or update everything; run again, it changes nothing
	@scripts/playbook up

.PHONY: preflight
preflight: ## Tell all that stands in the way of `make up`, each with its cure; changes nothing
	@scripts/playbook preflight

.PHONY: down
down: ## Stop the local cluster or remove the platform; data stays unless DATA=delete
	@scripts/playbook down

.PHONY: status
status: ## Show what runs, where and in which version (OUTPUT=json: one JSON document)
	@scripts/playbook status

.PHONY: probe
probe: ## Ask the running platform whether it lets in whom the service catalogue lets in
	@scripts/playbook probe

.PHONY: users
users: ## Bring people, machines and groups to what the inventory says, and show who is there
	@scripts/playbook users

.PHONY: backup
backup: ## Back up databases, buckets and, with a passphrase, the Secrets
	@scripts/playbook backup

.PHONY: restore
restore: ## List backups; ARGS="-e platform_restore=NAME -e platform_restore_confirm=NAME": restore one
	@scripts/playbook restore

.PHONY: rotate
rotate: ## List passwords and keys that can be made anew; ARGS="-e platform_rotate=...": do it
	@scripts/playbook rotate

.PHONY: demo
demo: ## Show the way from data to a model that answers, on the running platform
	@scripts/playbook demo

.PHONY: mirror
mirror: ## List every image and chart, and copy them to the mirror that the inventory names
	@scripts/playbook mirror

##@ Development

.PHONY: test
test: ## Run lint, unit, site, build, integration and render, with a summary
	@scripts/test lint unit site build integration render

.PHONY: lint
lint: ## Run yamllint, ansible-lint, ansible-test sanity and the checks of docs and changelog
	@scripts/lint $(ARGS)

.PHONY: unit
unit: ## Run the unit and structure tests
	@scripts/test unit

.PHONY: build
build: ## Build the collection's artifact
	@scripts/test build

.PHONY: integration
integration: ## Run the tests on a real local cluster of their own
	@scripts/test integration

.PHONY: render
render: ## Run the tests of the rendered charts (they need the Helm that `make up` built)
	@scripts/test render

.PHONY: soak
soak: ## Run the long tests: many kills, other servers below MLflow, restarts, more of each kind of error
	@scripts/test soak

.PHONY: molecule
molecule: ## Run the molecule scenarios: check, converge, idempotence, verify (SCENARIO=mlflow,upgrade: only these)
	@scripts/test molecule

.PHONY: bench
bench: ## Measure times and memory, each beside its budget
	@scripts/bench $(ARGS)

.PHONY: docs
docs: ## Write what is generated from the roles and kept in the checkout: awx/surveys.yml
	@scripts/docs

.PHONY: site
site: ## Build the documentation site; a broken link is an error
	@scripts/site

.PHONY: requirements
requirements: ## Pin requirements/*.in again, with hashes
	@scripts/requirements

.PHONY: clean
clean: ## Delete what tools left in the checkout (CACHE=delete: the cache too; never a cluster's data)
	@scripts/clean

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
	    /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	    /^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@printf '%s\n' '' 'Variables' \
	    '  INVENTORY=local    a folder of inventories/: local, kind, minikube, gke; or a path' \
	    '  COMPONENTS=a,b     only these and what they need' \
	    '  CLUSTER=name       name of the local cluster' \
	    '  DATA=keep          make down: keep or delete the data' \
	    '  OUTPUT=table       make status, preflight: table or json' \
	    '  FAIL=never         make status: with problem or warning, exit code 2 when there is one' \
	    '  SCENARIO=a,b       make molecule: only these; MOLECULE_PROVIDER=kind runs them on kind' \
	    '  ARGS="-v --check"  more arguments for ansible-playbook, lint or pytest' \
	    '' 'Example: make up COMPONENTS=mlflow'
