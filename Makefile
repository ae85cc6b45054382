# Each target installs what it needs first, if it is not there. Nothing runs as root that need
# not: where you are not root, sudo is used for installing packages and for what makes network
# namespaces, and it is said when.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

BUILD_PACKAGES := build-essential pkg-config clang libclang-dev libdpdk-dev libpcap-dev
DEMO_PACKAGES := iproute2 ethtool nftables iputils-ping traceroute iperf3 curl jq python3 \
	procps tcpdump
TEST_PACKAGES := $(DEMO_PACKAGES) python3-scapy qemu-user prometheus systemd tshark tmux \
	openssl libyang2-tools
LINT_PACKAGES := shellcheck
DEEP_PACKAGES := valgrind chromium chromium-driver
COMPARE_PACKAGES := git python3
PACKAGE_PACKAGES := debhelper dpkg-dev git
QEMU_PACKAGES := qemu-system-x86 qemu-utils
IMAGE_PACKAGES := mmdebstrap qemu-utils mtools dosfstools syslinux syslinux-common systemd-boot-efi \
	fdisk e2fsprogs python3
IMAGE_TEST_PACKAGES := $(QEMU_PACKAGES) ovmf openssh-client openssl curl xorriso iproute2 procps python3-scapy \
	python3-pytest python3-yaml dpdk-dev openvswitch-switch-dpdk

# Tests that need root: they make network namespaces and network devices.
ROOT_TESTS := binary(netns) | binary(dpdk_vdev) | binary(crash) | binary(prometheus) | binary(operator) | binary(systemd) | binary(loadtest) | (package(vnf) & binary(bench)) | test(/^(dpdk|spreading)::|dpdk_ports/)

TRIPLE := x86_64-unknown-linux-gnu
CPU := -C target-cpu=x86-64-v3

# Frames here live in blocks of exactly their size. Fewer of them than in `make test`: each costs
# several times as much. A target directory of its own, and --target, so that build scripts stay as
# they are.
ASAN := env RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address $(CPU)" LWAFTR_ASAN=1 \
	LWAFTR_FRAMES=100000 PROPTEST_CASES=500 \
	cargo test -p vnf --no-default-features --lib --test golden --test reference \
	--test properties --test fuzz_corpus --test sanitizer \
	--target $(TRIPLE) --target-dir $(TARGET_DIR)/asan

# These build the library in ways that suit one test only.
LOOM := env RUSTFLAGS="--cfg lwaftr_loom $(CPU)" \
	cargo test -p vnf --no-default-features --test generations --target-dir $(TARGET_DIR)/loom
# The compiler proves a function's calls harmless where it sees what they call: all code that the
# example reaches is compiled together with it.
NO_PANIC := env RUSTC_BOOTSTRAP=1 \
	RUSTFLAGS="--cfg lwaftr_no_panic -Zcross-crate-inline-threshold=always --cap-lints=allow $(CPU)" \
	cargo run -p vnf --no-default-features --release --example no_panic \
	--target $(TRIPLE) --target-dir $(TARGET_DIR)/no-panic

FUZZ_TARGETS := frame_external frame_internal fragments config table_file control api
FUZZ := cd vnf && env RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(TARGET_DIR)/fuzz cargo fuzz
# How long `make fuzz` works on each target.
SECONDS ?= 600
# New inputs go to a directory of their own; what stays is chosen by hand (docs/testing.md).
fuzz = for target in $(FUZZ_TARGETS); do \
	echo "Fuzzing $$target for $(1) s"; \
	mkdir -p $(TARGET_DIR)/fuzz-corpus/$$target; \
	$(FUZZ) run $$target $(TARGET_DIR)/fuzz-corpus/$$target fuzz/corpus/$$target -- \
		-max_total_time=$(1) -timeout=25 -print_final_stats=1 -verbosity=0 || exit 1; \
	cd $(CURDIR); \
done

# VNF packages are made and judged in a Python environment of its own.
CSAR_PACKAGES := python3-venv openssl git
CSAR_TEST_PACKAGES := $(CSAR_PACKAGES) $(QEMU_PACKAGES) libvirt-clients libxml2-utils iproute2
CSAR_VENV := $(TARGET_DIR)/csar-venv
CSAR := env PYTHONPATH=images PYTHONWARNINGS=ignore $(CSAR_VENV)/bin/python -m csar
VERSION := $(shell sed -nE 's/^version = "(.*)"$$/\1/p' Cargo.toml | head -1)
IMAGE ?= images/out/lwaftr-$(VERSION).qcow2
PACKAGE ?= images/out/lwaftr-$(VERSION).csar

ROOT := $(filter 0,$(shell id -u))
SUDO := $(if $(ROOT),,sudo)

.PHONY: help
help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

.PHONY: deps
deps: ## Install the Debian packages for building
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.89 or newer" >&2; exit 1; }
	@.ci/need $(BUILD_PACKAGES)

.PHONY: build
build: deps ## Build the release program
	cargo build --release --bin lwaftr

.PHONY: demo
demo: deps ## Watch hosts talk through softwires (KEEP=1: and leave it running)
	@.ci/need $(DEMO_PACKAGES)
	cargo build --release --bin lwaftr --example b4
	@$(if $(ROOT),,echo "Network namespaces need root: using sudo for the demo itself.")
	@$(SUDO) env KEEP=$(KEEP) LWAFTR=$(TARGET_DIR)/release/lwaftr \
		B4_PROGRAM=$(TARGET_DIR)/release/examples/b4 vnf/demo/demo.sh

.PHONY: lint
lint: deps ## Formatting, clippy, shellcheck, documentation, licences and sources
	@.ci/need $(LINT_PACKAGES)
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || \
		{ echo "rustfmt or clippy is missing: rustup component add rustfmt clippy" >&2; exit 1; }
	@.ci/need-cargo deny
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p vnf --no-default-features --all-targets -- -D warnings
	cargo fmt --manifest-path vnf/fuzz/Cargo.toml --check
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	cargo deny check licenses bans sources
	shellcheck -x -P vnf/demo vnf/demo/demo.sh .ci/run .ci/need .ci/need-cargo \
		vnf/tests/valgrind/run.sh vnf/tests/abuse/run.sh \
		images/csar/acceptance.sh images/qemu-system.sh \
		images/package/*.sh images/package/debian/lwaftr.p* images/day0/seed images/build/*.sh

.PHONY: test
test: lint ## Everything: lint, unit, property, golden, vdev and end-to-end tests
	@.ci/need $(TEST_PACKAGES)
	@.ci/need-cargo nextest
	cargo build --workspace --examples
ifneq ($(ROOT),)
	cargo nextest run --workspace --no-fail-fast
else
	cargo nextest run --workspace --no-fail-fast -E 'not ($(ROOT_TESTS))'
	@echo "Network namespaces and devices need root: using sudo for these tests."
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='sudo -E' \
		cargo nextest run --workspace --no-fail-fast -E '$(ROOT_TESTS)'
endif
	cargo test --workspace --doc
	cargo nextest run -p vnf --no-default-features --no-fail-fast
	$(MAKE) csar-test

.PHONY: test-deep
test-deep: deps ## What takes longer: sanitizer, model checking, proof of no panic, fuzzing, valgrind
	@.ci/need $(TEST_PACKAGES) $(DEEP_PACKAGES) $(COMPARE_PACKAGES)
	@.ci/need-cargo fuzz
	$(NO_PANIC)
	$(LOOM)
	$(ASAN) --no-run
	timeout 15m $(ASAN)
	$(FUZZ) build
	$(call fuzz,30)
	program=$$(cargo test -p vnf --test dpdk_vdev --no-run --message-format=json | \
		jq -r 'select(.target.name == "dpdk_vdev" and .executable) | .executable') && \
		$(SUDO) vnf/tests/valgrind/run.sh "$$program"
	cargo build -p vnf --bin lwaftr
	$(SUDO) timeout 5m python3 vnf/tests/page/browser.py $(TARGET_DIR)/debug/lwaftr $(TARGET_DIR)/page
	cargo build --profile bench -p benches --bin flooded
	TARGET_DIR=$(TARGET_DIR) timeout 4m vnf/tests/abuse/run.sh
	CARGO_TARGET_DIR=$(TARGET_DIR) timeout 12m benches/compare.py instructions $(BASE)

.PHONY: fuzz
fuzz: deps ## Fuzz each target for SECONDS (600)
	@.ci/need-cargo fuzz
	$(FUZZ) build
	$(call fuzz,$(SECONDS))

.PHONY: bench
bench: deps ## Benchmarks of the hot path, some minutes
	cargo bench -p benches --no-default-features --benches -- \
		--warm-up-time 1 --measurement-time 2

.PHONY: bench-compare
bench-compare: deps ## Benchmarks of two commits in turns, with ratios: BASE=COMMIT [BENCH=NAME FILTER=TEXT ROUNDS=3]
	@.ci/need $(COMPARE_PACKAGES)
	@[[ -n "$(BASE)" ]] || { echo "against which commit? make bench-compare BASE=HEAD~1" >&2; exit 1; }
	CARGO_TARGET_DIR=$(TARGET_DIR) benches/compare.py times $(BASE) \
		$(if $(BENCH),--bench $(BENCH)) $(if $(FILTER),--filter '$(FILTER)') \
		$(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: instructions
instructions: deps ## Instructions of each stage, against the commit before: 3 % more fails
	@.ci/need $(COMPARE_PACKAGES) valgrind
	CARGO_TARGET_DIR=$(TARGET_DIR) benches/compare.py instructions $(BASE)

.PHONY: loadtest
loadtest: deps ## Build the load generator and say how to use it (docs/loadtest.md)
	cargo build --release -p benches --bin lwaftr-loadtest
	@$(TARGET_DIR)/release/lwaftr-loadtest --help

$(CSAR_VENV)/ready: images/csar/requirements.txt images/csar/constraints.txt
	@.ci/need $(CSAR_PACKAGES)
	@echo "Installing what reads VNF packages into $(CSAR_VENV) (minutes, once)"
	rm -rf $(CSAR_VENV)
	/usr/bin/python3 -m venv $(CSAR_VENV)
	$(CSAR_VENV)/bin/pip install --quiet -r images/csar/requirements.txt -c images/csar/constraints.txt
	touch $@

.PHONY: csar
csar: $(CSAR_VENV)/ready ## The VNF package around the image: KEY=, CERTIFICATE=, CHAIN= sign it
	@.ci/need $(CSAR_PACKAGES)
	@[[ -e $(IMAGE) ]] || $(MAKE) image
	$(CSAR) build $(IMAGE) $(PACKAGE) $(if $(KEY),--key $(KEY)) \
		$(if $(CERTIFICATE),--certificate $(CERTIFICATE)) $(if $(CHAIN),--chain $(CHAIN))
	$(CSAR) verify $(PACKAGE)

.PHONY: csar-test
csar-test: deps $(CSAR_VENV)/ready ## VNF package, Heat templates, libvirt domain and QEMU script
	@.ci/need $(CSAR_TEST_PACKAGES)
	cargo build --workspace --bin lwaftr
	LWAFTR=$(TARGET_DIR)/debug/lwaftr PYTHONPATH=images $(CSAR_VENV)/bin/python -m pytest -q -W ignore \
		-p no:cacheprovider images/csar

# The program with DPDK inside: the Debian package and the image need none of Debian's.
PROGRAM := $(TARGET_DIR)/static/release/lwaftr
# It is the same wherever it is built: the names of source files in it are not this machine's.
PLACES := $(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo $(CURDIR)=/lwaftr $(TARGET_DIR)=/lwaftr/target
comma := ,
DEB := images/out/lwaftr_$(VERSION)_amd64.deb

.PHONY: package
package: deps ## lwaftr_VERSION_amd64.deb, in images/out
	@.ci/need $(PACKAGE_PACKAGES)
	CFLAGS="$(addprefix -ffile-prefix-map=,$(PLACES))" \
		cargo build --release --features static --bin lwaftr --target-dir $(TARGET_DIR)/static \
		--config 'build.rustflags = [$(patsubst %,"--remap-path-prefix=%"$(comma),$(PLACES))]'
	images/package/build.sh $(PROGRAM) images/out

.PHONY: package-test
package-test: package ## Install, upgrade, remove and purge the package in a clean Debian
	@.ci/need mmdebstrap
	$(SUDO) images/package/test.sh $(DEB)

.PHONY: image
image: package ## The VM image with checksum, manifest and SBOM, in images/out
	@.ci/need $(IMAGE_PACKAGES)
	$(SUDO) images/build/build.sh $(DEB) images/out

.PHONY: image-test
image-test: image ## Boot the image in QEMU and send packets through it, half an hour
	@.ci/need $(IMAGE_TEST_PACKAGES)
	$(SUDO) /usr/bin/python3 -m pytest -p no:cacheprovider images/test --image $(IMAGE) --record docs/image-test.md

.PHONY: clean
clean: ## Remove what was built, and end demos left running
	@[[ ! -d /run/lwaftr-demo ]] || $(SUDO) vnf/demo/demo.sh down
	cargo clean
