# Trenza: what a person types. `make demo` shows it, `make test` proves it, `make bench` measures it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-identity build lint deny rust-tests simulation snippet-tests browser-tests sdk-tests clean

# RocksDB is compiled once per machine and linked from a cache outside the clone; see .ci/rocksdb.
rocks = ROCKSDB_STATIC=1 ROCKSDB_LIB_DIR="$$(.ci/rocksdb)"

help: ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: ## Build, start a server, two agents and a website, play a day, stay until Ctrl-C
	@.ci/install build
	@$(rocks) cargo build --release -p trenza-server -p trenza-agent -p trenza-tests --bin trenza-server --bin trenza-agent --bin trenza-demo
	@target/release/trenza-demo

test: ## Every test: Rust, stories, faults, snippet, browser, SDKs of others
	@.ci/install test
	@$(MAKE) --no-print-directory lint rust-tests snippet-tests browser-tests sdk-tests
	@echo "make test: all green"

build: ## The two programs, as released
	@.ci/install build
	@$(rocks) cargo build --release -p trenza-server -p trenza-agent

lint: ## Formatting, clippy, docs, the pure core, licences
	cargo fmt --all --check
	$(rocks) cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo check --quiet -p trenza-shared --no-default-features
	$(rocks) RUSTDOCFLAGS="-D warnings" cargo doc --quiet --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then cargo deny --offline check bans licenses sources; else echo "lint: cargo-deny is not installed, 'make deny' installs and runs it"; fi

deny: ## Licences, sources, duplicates and advisories of every dependency
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check

rust-tests:
	$(rocks) cargo build --quiet -p trenza-server -p trenza-agent
	$(rocks) cargo test --workspace --all-features

simulation: ## More seeds of the simulated sync: SEEDS=100000 FROM=0
	$(rocks) TRENZA_SIM_SEEDS=$(or $(SEEDS),20000) TRENZA_SIM_FROM=$(or $(FROM),0) cargo test --quiet -p trenza-tests --test sim seeds -- --nocapture

snippet-tests:
	cd js-snippet && npm ci --no-fund --no-audit
	@# A browser may stall once on a busy machine; a fault fails twice.
	cd js-snippet && (npm test || { echo "snippet tests failed, once more to tell a stall from a fault"; npm test; })

browser-tests:
	node --test --test-timeout=180000 tests/browser/

sdk-tests: ## SDKs of others, from npm and PyPI, against server and agent; TRENZA_SDK=NAME for some of them
	@test -d js-snippet/node_modules || (cd js-snippet && npm ci --no-fund --no-audit)
	TRENZA_SDKS="$$(.ci/sdks)" node --test --test-timeout=600000 tests/sdk/sdks.test.mjs

bench: ## Benchmarks: a table, and target/bench/*.json
	@.ci/install build
	@$(rocks) cargo build --release -p trenza-server -p trenza-agent -p trenza-tests --bin trenza-server --bin trenza-agent --bin trenza-bench
	@target/release/trenza-bench
	@target/release/trenza-bench capture

bench-identity: ## How right matching is, on labelled days and on FEBRL 3 and 4, beside Splink; and how fast
	@.ci/install build
	@$(rocks) cargo build --release -p trenza-tests --bin trenza-bench-identity
	@target/release/trenza-bench-identity "$$(.ci/febrl)"
	@target/release/trenza-bench-identity --speed
	@.ci/febrl peer

clean: ## Remove what was built here (the RocksDB cache stays)
	cargo clean
