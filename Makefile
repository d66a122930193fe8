# The commands of the README. `make test` is all that CI runs.

CARGO ?= cargo
PYTHON ?= python3
DIST := dist
NODE_TARGET := x86_64-unknown-linux-gnu
VENV := .venv
# What the tests call beside cargo and the venv, as program:package of Debian.
TOOLS := shellcheck:shellcheck curl:curl openssl:openssl file:file readelf:binutils ip:iproute2 unshare:util-linux setpriv:util-linux
# What boots in real cloud-init and looking at a report's page need besides, which only root can install.
ROOT_TOOLS := debootstrap:debootstrap nsenter:util-linux chromium:chromium
# What the libfabric tests compile against and load, as header:package of Debian; only root can have it.
HEADERS := rdma/fabric.h:libfabric-dev
SKIPPED := target/skipped.txt

GUARD := target/guard

.PHONY: test-gpu bench-gpu build build-prefab build-prefab-bootstrap build-prefab-fabric same-bytes setup venv tools cloud-init-root libfabric chromium guard demo test lint bench clean

# What the caller's environment says of flags and wrappers does not change a release.
RELEASE := env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u RUSTC_WRAPPER -u CARGO_BUILD_TARGET $(CARGO)
# The oldest glibc that the engine starts on, of 2018. The machine's own linker would ask for the machine's.
ENGINE_GLIBC := 2.28
LINKER := target/linker
NODE_PROGRAMS := prefab-bootstrap prefab-fabric

build: build-prefab $(NODE_PROGRAMS:%=build-%)
	cd $(DIST) && sha256sum prefab prefab-bootstrap prefab-fabric > SHA256SUMS

build-prefab: | $(DIST)
	$(RELEASE) build --locked --release --package prefab
	install -m 0755 target/release/prefab $(DIST)/

build-prefab-bootstrap: | $(DIST)
	$(RELEASE) build-node
	install -m 0755 target/$(NODE_TARGET)/node/prefab-bootstrap $(DIST)/

build-prefab-fabric: $(LINKER)/installed | $(DIST)
	PATH="$$(realpath $(LINKER))/bin:$$PATH" $(RELEASE) zigbuild --locked --profile node --package prefab-fabric \
	  --target $(NODE_TARGET).$(ENGINE_GLIBC)
	install -m 0755 target/$(NODE_TARGET)/node/prefab-fabric $(DIST)/

$(DIST):
	mkdir -p $@

# The stamp is written last: a broken installation is begun again.
$(LINKER)/installed: bootstrap/fabric/requirements.txt
	rm -rf $(LINKER)
	$(PYTHON) -m venv $(LINKER) || { echo "found no venv of $(PYTHON); run make tools, or install python3-venv" >&2; exit 1; }
	$(LINKER)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# A release depends on its sources alone: the same bytes from another folder under another cargo home.
same-bytes: build
	tests/release/same_bytes.sh $(DIST) prefab $(NODE_PROGRAMS)

# The tests' other programs: Debian packages where this machine lacks them, Python packages by hash.
setup: tools venv cloud-init-root libfabric chromium guard

tools:
	@missing=; tools='$(TOOLS)'; if [ "$$(id -u)" = 0 ]; then tools="$$tools $(ROOT_TOOLS)"; fi; \
	for tool in $$tools; do command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; done; \
	if [ "$$(id -u)" = 0 ]; then for header in $(HEADERS); do \
	  [ -e "/usr/include/$${header%%:*}" ] || missing="$$missing $${header##*:}"; done; fi; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "found no$$missing; install these packages, then run make again" >&2; exit 1; fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends -y $$missing

# A Debian with cloud-init, made once in the user's cache. Where that cannot be, the tests say so at the end.
cloud-init-root: tools
	@mkdir -p target && rm -f $(SKIPPED); \
	lacks=$$(tests/standins/cloud_init_root.sh --lacks); \
	if [ -z "$$lacks" ]; then tests/standins/cloud_init_root.sh; \
	else echo "cloud-init: boots in real cloud-init, because this machine lacks $$lacks" > $(SKIPPED); fi

# After the line that begins the list of what is skipped.
libfabric: cloud-init-root
	@for header in $(HEADERS); do [ -e "/usr/include/$${header%%:*}" ] || \
	  echo "libfabric-headers: layouts of libfabric and its stub provider, because this machine lacks $${header##*:}" >> $(SKIPPED); done

chromium: cloud-init-root
	@command -v chromium >/dev/null || \
	  echo "chromium: looking at a report's page in a browser, because this machine lacks chromium" >> $(SKIPPED)

# cfn-guard with the rules of AWS Control Tower, by its hash. The stamp is written last.
guard: cloud-init-root
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(GUARD)/installed; \
	else echo "cfn-guard: the rules of AWS Control Tower, because this machine lacks npm" >> $(SKIPPED); fi

$(GUARD)/installed: tests/guard/package-lock.json
	rm -rf $(GUARD) && mkdir -p $(GUARD) && cp tests/guard/package.json tests/guard/package-lock.json $(GUARD)/
	cd $(GUARD) && npm ci --ignore-scripts --legacy-peer-deps --no-audit --no-fund --silent
	touch $@

venv: $(VENV)/requirements.done

$(VENV)/requirements.done: tests/requirements.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/requirements.txt
	touch $@

demo: build
	$(DIST)/prefab demo

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

test: setup lint build
	tests/release/same_bytes.sh $(DIST) $(NODE_PROGRAMS)
	PREFAB_DIST=$(CURDIR)/$(DIST) $(CARGO) test --locked --workspace --no-fail-fast
	@echo "Skipped, because this machine has no such thing: EFA devices, GPUs, an AWS account."
	@if [ -s $(SKIPPED) ]; then cat $(SKIPPED); else echo "Nothing else was skipped."; fi

# Ours and its peers in the same run. A peer that is absent is named, and `NIXL=1` fetches NIXL's wheel for one.
NIXL_VENV := target/nixl-venv
bench: build venv $(if $(NIXL),$(NIXL_VENV)/requirements.done)
	$(PYTHON) tests/bench/synth.py $(DIST)/prefab
	PREFAB_BENCH_PROGRAM=$(CURDIR)/$(DIST)/prefab $(CARGO) test --locked --quiet --package prefab --test tests -- \
	  --ignored --exact --nocapture deploy::unchanged::an_unchanged_apply_for_the_benchmark
	rm -rf target/bench-node
	PREFAB_FIXTURE_ROOT=$(CURDIR)/target/bench-node $(CARGO) test --locked --quiet --package prefab-bootstrap --test checks -- \
	  --ignored --exact fixture::a_large_machine_for_the_benchmark
	$(PYTHON) tests/bench/node.py $(DIST)/prefab-bootstrap target/bench-node
	$(VENV)/bin/python3 -B tests/bench/mlflow_log.py $(DIST)/prefab-bootstrap
	$(DIST)/prefab-bootstrap bench --local --op read,write --rounds 30 --json target/bench-transfer.json
	$(PYTHON) tests/bench/report.py $(DIST)/prefab
	$(if $(NIXL),PREFAB_NIXL_PYTHON=$(CURDIR)/$(NIXL_VENV)/bin/python) \
	  $(PYTHON) -B tests/bench/transfer $(DIST)/prefab-bootstrap --json target/bench-peers.json

# What only a GPU shows: kernels, copies and peers, in the tests that are ignored elsewhere.
test-gpu:
	$(CARGO) test --locked --package prefab-fabric --bin prefab-fabric -- --ignored --test-threads 1 on_gpu_

# The speed of GPU memory beside its goals. PREFAB_NIXL_PYTHON names a Python with NIXL's wheel and PyTorch.
bench-gpu: build-prefab-bootstrap build-prefab-fabric
	$(PYTHON) -B tests/bench/gpu $(DIST)/prefab-bootstrap $(DIST)/prefab-fabric --json target/bench-gpu.json

$(NIXL_VENV)/requirements.done: tests/bench/transfer/requirements.txt
	rm -rf $(NIXL_VENV)
	$(PYTHON) -m venv $(NIXL_VENV)
	$(NIXL_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $<
	touch $@

clean:
	$(CARGO) clean
	rm -rf $(DIST) $(VENV) demo
