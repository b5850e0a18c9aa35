# The commands of this house. Each sets up what it needs (scripts/setup) and says what it does.
SHELL := /bin/bash
export CARGO_TARGET_DIR ?= $(HOME)/.cache/pgveil/target

.PHONY: help demo build setup test lint bench

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## a clinic behind pgveil: masking, a held DELETE, replay, verify (5 minutes after the first build)
	@scripts/setup build stand
	@scripts/demo

build: ## the release binary
	@scripts/setup build
	cargo build --release --locked --workspace --bin pgveil

setup: ## what building, trying and testing need on Debian
	@scripts/setup

test: ## everything: style, lints, licences, unit, doc and end-to-end tests, policies, a tenth of the benches
	@scripts/setup
	@scripts/test

lint: ## only style, lints, licences and the pure rooms
	@scripts/setup build
	@scripts/test lint

bench: ## criterion benches, then pgveil beside PgBouncer and no proxy at all
	@scripts/setup build stand peers
	cargo bench --locked --workspace --benches
	@benches/side-by-side/run
