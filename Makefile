# SPDX-License-Identifier: Apache-2.0
# What a newcomer types; the work is done by Meson and by the scripts in tools/.

# SUITE: the Debian suite to build and test in (empty: this machine's own distribution).
# BUILD: the build folder (empty: build for this machine, build-SUITE for another suite).
SUITE ?=
BUILD ?=
export SUITE BUILD

.DEFAULT_GOAL := help
.PHONY: help deps build check vm-check lint format demo demo-boot bench bench-storm fuzz install clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile
	@echo "  With SUITE=trixie, build, check, vm-check, bench, bench-storm and demo-boot do their work for Debian 13."

deps: ## Install what building, testing and the demos need (silent when all is there)
	@tools/deps build demo check vm

build: ## Compile
	@tools/build

check: ## Do all set-up, then run every test, plain and under the sanitizers
	@tools/check

vm-check: ## Boot the virtual machine tests only
	@tools/vm-check

lint: ## Check formatting, static analysis, scripts and licence lines
	@tools/lint

format: ## Rewrite the C files in the project's format
	@tools/lint --format

demo: ## Bind an encrypted disk to a key server and open it with nobody typing
	@tools/demo unlock

demo-boot: ## Boot a whole encrypted machine with nobody typing
	@tools/demo boot

bench: ## Measure, side by side with the distribution's clevis and tang
	@tools/bench

bench-storm: ## Measure the key server only: 10,000 nodes at once (some two minutes)
	@tools/bench storm

fuzz: ## Run libFuzzer on every parser of bytes from outside, a minute each
	@tools/fuzz

install: ## Install what was built (DESTDIR is obeyed)
	@tools/build && meson install -C "$${BUILD:-build}"

clean: ## Remove the build folders
	@rm -rf build build-*

distclean: clean ## Remove the cached roots of other suites too
	@rm -rf --one-file-system .cache
