# The only commands a newcomer needs: make demo, make test.
# Everything is built once, in the release profile: the demo, the tests and the benches run the same
# binaries.

.DEFAULT_GOAL := help
# Cargo uses all cores by itself, and `setup` comes first.
.NOTPARALLEL:
# CI sets it to --locked. By hand a new tool's folder goes into Cargo.lock by itself.
LOCKED ?=
.PHONY: help setup build host plugins test-plugins demo test bench fuzz tidy lint docs
.PHONY: check-clients clean

# A tool is a folder of plugins/, a hostile or test-only one of tests/plugins/.
PLUGINS := $(filter-out plugins/sdk%,$(wildcard plugins/*/Cargo.toml))
TOOLS := $(notdir $(PLUGINS:%/Cargo.toml=%))
TEST_TOOLS := $(notdir $(patsubst %/Cargo.toml,%,$(wildcard tests/plugins/*/Cargo.toml)))
TARGET := $(or $(CARGO_TARGET_DIR),target)
COMPONENTS := $(TARGET)/wasm32-wasip2/plugin
CARGO_PLUGIN := cargo build $(LOCKED) --profile plugin --target wasm32-wasip2

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Install what is missing: Debian packages, the wasm32-wasip2 Rust target
	@scripts/setup

build: setup host plugins ## Build the host and all tools into dist/
	@dist/rookery plugins list >/dev/null # compiles the tools now, so that no client waits for it

host:
	cargo build $(LOCKED) --release
	@install -D $(TARGET)/release/rookery dist/rookery

plugins:
	$(CARGO_PLUGIN) $(addprefix -p ,$(TOOLS))
	@mkdir -p dist/plugins
	@rm -f dist/plugins/*.wasm
	@install -m 644 $(addprefix $(COMPONENTS)/,$(addsuffix .wasm,$(TOOLS))) dist/plugins/

test-plugins:
	$(CARGO_PLUGIN) $(addprefix -p ,$(TEST_TOOLS))
	@mkdir -p dist/test-plugins
	@install -m 644 $(addprefix $(COMPONENTS)/,$(addsuffix .wasm,$(TEST_TOOLS))) dist/test-plugins/

dist/demo/rootfs.tar.gz: demo/build-rootfs $(shell find demo/rootfs -type f)
	demo/build-rootfs $@

demo: build dist/demo/rootfs.tar.gz ## Play the rehosting loop on a small firmware of another CPU
	@# As above, where the demo and the tests keep theirs.
	@dist/rookery plugins list --cache-dir dist/cache >/dev/null
	@$(TARGET)/release/demo dist

# The host's crates are tested as they were built; tools are tested apart, because together they
# would be built with other features.
test: build test-plugins dist/demo/rootfs.tar.gz ## Run every test
	ROOKERY_DIST=$(CURDIR)/dist cargo test $(LOCKED) --release --no-fail-fast
	cargo test $(LOCKED) --release --no-fail-fast \
		$(addprefix -p ,$(TOOLS) $(TEST_TOOLS) rookery-plugin rookery-plugin-macros \
			rookery-diagnosis)

bench: build test-plugins dist/demo/rootfs.tar.gz ## Print performance as ratios
	@ROOKERY_DIST=$(CURDIR)/dist $(TARGET)/release/bench

# Other inputs each time. `make test` tries each edge for two seconds, with the same inputs.
FUZZ_SECONDS ?= 60
fuzz: setup ## Random bytes at every edge where others choose them, for FUZZ_SECONDS each
	ROOKERY_FUZZ_SECONDS=$(FUZZ_SECONDS) ROOKERY_FUZZ_SEED=$$(date +%s) \
		cargo test $(LOCKED) --release --test fuzz -- --nocapture

# TIDY_WRITE=1 writes the list of exceptions anew, from the tree.
tidy: ## The style rules of CONTRIBUTING.md that a program can check; part of `make test`
	cargo test $(LOCKED) --release --test tidy

lint: setup ## Formatting, and lints as errors
	cargo fmt --all --check
	cargo clippy $(LOCKED) --release --workspace --all-targets -- -D warnings
	scripts/lint-launcher

docs: setup ## Build the API documentation, broken links as errors
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --release --no-deps --workspace \
		--exclude rookery-tests --exclude rookery-fuzz --exclude rookery-harness

clean: ## Remove everything that was built
	rm -rf dist $(TARGET)

SHARED := $(or $(ROOKERY_SHARED),../shared)
check-clients: build test-plugins ## Run the MCP checkers and SDK clients of $ROOKERY_SHARED
	@if [ -x $(SHARED)/tools/mcp/all.sh ]; then \
		mkdir -p dist/check && $(SHARED)/tools/mcp/setup.sh && \
		$(SHARED)/tools/mcp/all.sh \
			-t echo -a '{"message":"hi"}' -s slow -b '{"steps":300,"step_ms":100}' -- \
			$(CURDIR)/dist/rookery serve --root $(CURDIR)/dist/check \
				--plugins $(CURDIR)/dist/plugins --plugins $(CURDIR)/dist/test-plugins; \
	else echo "SKIPPED: $(SHARED)/tools/mcp is not here, no client but our own was tried"; fi
