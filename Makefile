# Two commands for newcomers: `make demo` and `make test`. Both set up what they need by themselves.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench fuzz dist

ARGS ?=
# For `make fuzz`: how often each property test is run.
TIMES ?= 50

help: ## Shows this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 15

demo: ## Runs Ostler, a simulated device cloud and a living fleet; nothing leaves this machine (ARGS="--seed 7")
	@scripts/prerequisites demo
	@echo "Building Ostler: some four minutes the first time, seconds after that." >&2
	@cargo build --locked --package ostler
	@cargo run --quiet --locked --package ostler -- demo $(ARGS)

test: ## Runs all tests, on SQLite and on PostgreSQL
	@scripts/prerequisites test
	@scripts/test $(ARGS)

check: ## Does all that CI does: format, lints, house rules, tests
	@scripts/prerequisites ci
	@cargo xtask check

bench: ## Measures Ostler beside nginx in one run; writes target/bench/report.json
	@scripts/prerequisites bench
	@scripts/bench $(ARGS)

fuzz: ## Runs the property tests many times over, with new chance each time (TIMES=50)
	@scripts/prerequisites test
	@scripts/fuzz $(TIMES)

dist: ## Builds the program to ship, target/dist/ostler, optimised for what runs often
	@scripts/prerequisites dist
	@scripts/dist
