# Sallyport. `make` prints what there is to do.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.PHONY: help run build ui gen check test test-go plain race test-ui fleet e2e fuzz bench lint image image-same image-check image-nspawn image-test image-test-faults image-test-update install clean

export GOTOOLCHAIN := local
BIN    := build/bin
POLICY ?= county-jail
FRESH  ?=
T      ?= 30s
# Rooms that start goroutines are tested under the race detector; the others only cost time there.
RACE   := ./appliance/store/... ./appliance/outbox ./appliance/unit ./appliance/linkclient ./appliance/sfu ./appliance/signaling \
          ./appliance/relay ./appliance/recorder ./appliance/replica ./appliance/access ./appliance/vault ./appliance/entry ./appliance/split ./appliance/names ./daemons/gatewayd ./provisioning/egress

help: ## prints this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ui build ## the evaluation on this machine: POLICY=prison for the other preset, FRESH=1 to start anew
	@exec $(BIN)/demo -policy '$(POLICY)' $(if $(FRESH),-fresh)

build: ## the daemons, into build/bin
	@mkdir -p $(BIN)
	go build -o $(BIN)/ ./daemons/bookingd ./daemons/gatewayd ./daemons/syncd ./daemons/centrald ./daemons/sallyportctl ./daemons/demo

# npm writes node_modules/.package-lock.json last: a cut install is begun again.
ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	@cd ui && npm ci --prefer-offline --no-audit --no-fund --loglevel=error

ui: ui/node_modules/.package-lock.json ## the pages, into ui/dist
	@cd ui && npm run --silent build

gen: ui/node_modules/.package-lock.json ## generated code; leaves the tree clean
	for door in visitor kiosk staff setup; do (cd appliance/api/$$door && go tool oapi-codegen -config oapi.yaml ../openapi.yaml); done
	go test ./appliance/api -run TestContractIsFresh -update
	cd ui && npm run --silent gen

check: ui/node_modules/.package-lock.json ## the quick loop before a commit
	go vet ./...
	go tool staticcheck ./...
	files=$$(go tool gofumpt -l appliance daemons images provisioning ui); [ -z "$$files" ] || { echo "gofumpt would change: $$files"; exit 1; }
	go test ./appliance/... ./daemons ./images
	cd ui && npm run --silent check && npm run --silent test

install:
	@.ci/install

test: install ## everything that .ci/run runs; installs what it needs from Debian's packages
	@.ci/test

test-go: ## Go tests
	go test ./...

# What `make race` and `make fleet` do not run.
plain:
	@comm -23 <(go list ./... | sort) <(go list $(RACE) ./daemons/fleet | sort)

race: ## Go tests under the race detector, where goroutines live
	go test -race $(RACE)

test-ui: ui/node_modules/.package-lock.json ## unit tests and types of the pages
	cd ui && npm run --silent check && npm run --silent test

fleet: install ## the real daemons, killed and cut off during calls; all of it (`make test` has staff end the long call)
	FLEET=all go test -count=1 -timeout 15m ./daemons/fleet

e2e: install ui build ## the real daemons in a real browser
	cd ui && npm run --silent e2e

fuzz: ## every fuzz target for T=30s
	go list ./... | while read -r pkg; do
	  { go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true; } | while read -r target; do
	    echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(T) -fuzzminimizetime 10x "$$pkg"
	  done
	done

bench: ## ratios against yardsticks, interleaved rounds, medians
	go run ./daemons/bench

# Linters are pinned in a module of their own, so that none of what they need is the product's. They run in this one.
lint: ## the linters of .golangci.yml, as pinned in .ci/lint, over everything; minutes, so it is no part of test
	@mkdir -p build/lint
	go -C .ci/lint build -o ../../build/lint/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	build/lint/golangci-lint run ./...

image: ## the disk image, into build/image/out; root, Debian 12: IMAGE_VERSION=1.0.0, IMAGE_KERNEL=cloud, more in images/build
	@images/build

image-same: ## the image twice; the second must be the first, byte for byte; minutes
	@echo "image-same: the same sources, archives and keys make the same disk, kernel and update"
	images/build
	cp build/image/out/sallyport_$(or $(IMAGE_VERSION),1.0.0).sha256 build/image/same.sha256
	images/build
	cd build/image/out && sha256sum --quiet -c ../same.sha256

image-check: ## units, users, partitions, rules and site files as the box will read them; seconds, no image needed
	@.ci/install
	@echo "image-check: systemd, nft and the daemons find nothing to say about what goes into the image"
	$(if $(filter 0,$(shell id -u)),IMAGE_TESTS=required) go test -count=1 ./images/... ./provisioning/...

image-nspawn: ## the image's root in a container: units, ports, names, a first visit, a daemon that hangs; after make image
	@.ci/install image
	@echo "image-nspawn: the whole root boots, nothing fails, only documented ports answer, a visit is booked and confirmed, a site is taken while the box runs"
	IMAGE_TESTS=required go test -tags image -count=1 -timeout 30m -v -run '^TestContainer' ./images

image-test: ## a box in qemu from firmware to a visit and its call, second boot, another board, a flipped byte, VLANs; after make image
	@.ci/install image
	@echo "image-test: a sealed box comes up healthy, a visit is booked over its doors, stays after a restart, opens for nobody else, and takes place on its day"
	IMAGE_TESTS=required go test -tags image -count=1 -timeout 2h -v -run '^(TestUnitsAreShut|TestBoot|TestWaiting|TestVLANs)$$' ./images

image-test-faults: ## first starts that go wrong: a stick with a wrong signature, power cuts, no TPM, a full disk; after make image
	@.ci/install image
	@echo "image-test-faults: a wrong signature is refused and the right one taken, a start that was cut goes on, without a TPM nothing is made before somebody chooses, a full disk is told and loses nothing"
	IMAGE_TESTS=required go test -tags image -count=1 -timeout 3h -v -run '^(TestFullDisk|TestStick|TestPowerCut|TestNoTPM)$$' ./images

image-test-update: ## three versions in one box: a good one is kept with its data, a bad one is given up by itself and refused; SHORT=1
	@IMAGE_KERNEL=cloud IMAGE_VERSION=1.0.0 images/build
	IMAGE_KERNEL=cloud IMAGE_VERSION=1.1.0 images/build
	IMAGE_KERNEL=cloud IMAGE_VERSION=1.2.0 IMAGE_TREE=images/testdata/broken images/build
	go test -tags image -count=1 -run Sysupdate ./provisioning/update
	IMAGE=$(CURDIR)/build/image/out/sallyport_1.0.0.raw IMAGE_TESTS=required go test -tags image -count=1 -timeout 4h -v $(if $(SHORT),-short) -run '^(TestContainerUpdate|TestUpdate)$$' ./images

clean: ## removes what these targets built
	rm -rf build ui/node_modules
	find ui/dist -mindepth 1 ! -name .keep -delete
