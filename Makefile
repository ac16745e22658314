# Porchlight. `make help` lists what there is. Go fetches the exact version of itself that go.mod names.
SHELL := /bin/bash
export GOTOOLCHAIN := auto
export GOFLAGS += -buildvcs=false
GO ?= go
# asked elsewhere, so that asking fetches nothing; older ones do not know the word
ifeq ($(shell cd / && $(GO) env GOTOOLCHAIN 2>/dev/null),)
$(error Porchlight is built with Go 1.21 or newer, which is not here: see https://go.dev/dl)
endif
HEADLESS = CGO_ENABLED=0 $(GO)
# the views compile without C everywhere but on macOS
export CGO_ENABLED := $(if $(filter Darwin,$(shell uname)),1,0)
TOOL = $(GO) tool -modfile=.ci/tools/go.mod
SMALL = -trimpath -ldflags "-s -w"
SCREEN := $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname)),$(filter Windows_NT,$(OS)))
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
EXE := $(if $(filter Windows_NT,$(OS)),.exe)
# one of each kind is enough for a system that differs by name only; release-check builds all six
SYSTEMS ?= linux/amd64 windows/amd64 darwin/arm64
ALL_SYSTEMS = linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64

.NOTPARALLEL:
.PHONY: help run build build-headless test check lint headless window cross fuzz release-check figures lab-test bench microbench tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(if $(SCREEN),build,build-headless) ## try it: the window, or two computers in this terminal where there is no display
	./porchlight$(EXE) $(if $(SCREEN),,lab 2 --demo)

build: ## the program with its window (the first time takes some minutes)
	@.ci/packages window
	@test -x porchlight$(EXE) || echo "Building the window. The first time takes some minutes."
	CGO_ENABLED=1 $(GO) build $(SMALL) -o porchlight$(EXE) .

build-headless: ## the program without a window, one static file
	$(HEADLESS) build $(SMALL) -tags headless -o porchlight$(EXE) .

test: check headless window cross fuzz ## everything CI runs

check: ## format, module file, house rules, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) mod tidy -diff
	$(GO) test -count=1 ./house_test.go
	$(GO) vet -tags headless ./...
	GOOS=linux $(HEADLESS) vet -tags 'headless lab' ./app/labtest
	$(TOOL) staticcheck -tags headless ./...

lint: ## golangci-lint: minutes to build the first time, so release-check runs it and CI does not
	$(GO) tool -modfile=.ci/tools/golangci.mod golangci-lint run -c .ci/golangci.yml --path-mode=abs ./...

# check has vetted them. Each package may take so long: a slow computer, beside all else, needs more than ten minutes, and who waits twenty sees what hangs
TEST = $(GO) test -vet=off -timeout 14m

headless: # every test, with the race detector where there is a C compiler
	@if .ci/packages c; then set -x; CGO_ENABLED=1 $(TEST) $(GOTESTFLAGS) -race -tags headless ./...; \
	else echo "NOT CHECKED: data races, for want of a C compiler"; set -x; $(TEST) $(GOTESTFLAGS) -tags headless ./...; fi

window: # what only the window build contains
	@if .ci/packages window; then set -x; CGO_ENABLED=1 $(GO) vet . ./app ./app/gui && CGO_ENABLED=1 $(TEST) $(GOTESTFLAGS) ./app ./app/gui && CGO_ENABLED=1 $(GO) build -o build/porchlight-window .; \
	else echo "NOT CHECKED: the window build, for want of the packages above"; fi

cross: ## a headless build for each of SYSTEMS, into build/
	@for s in $(SYSTEMS); do os=$${s%/*} arch=$${s#*/}; echo "build $$s"; \
		GOOS=$$os GOARCH=$$arch $(HEADLESS) vet -tags headless $$($(GO) list -tags headless ./... | grep -v /app/gui) && \
		GOOS=$$os GOARCH=$$arch $(HEADLESS) build -tags headless -o build/porchlight-$$os-$$arch . || exit 1; done

FUZZTIME ?= 5s
fuzz: ## every fuzz target for FUZZTIME (5s)
	@.ci/fuzz $(FUZZTIME)

release-check: ## everything slow, on a computer that does nothing else: all figures, all systems, long fuzzing, 1,000 kills, known vulnerabilities
	$(MAKE) check lint headless window figures
	$(MAKE) cross SYSTEMS="$(ALL_SYSTEMS)"
	PORCHLIGHT_KILLS=1000 PORCHLIGHT_CRASH_RUNS=25 $(GO) test -tags headless -count=1 -timeout 90m ./transfer/download
	PORCHLIGHT_RACES=60s $(GO) test -tags headless -count=1 -timeout 60m -run TestRace ./share/safefs
	PORCHLIGHT_PATHS=10000000 $(GO) test -tags headless -count=1 -timeout 60m -run TestPathsAsOsRoot ./share/safefs
	PORCHLIGHT_CONNECTS=10000 $(GO) test -tags headless -count=1 -run TestManyConnects ./transfer/server
	PORCHLIGHT_DAMAGES=5000 $(GO) test -tags headless -count=1 -timeout 60m -run TestDamagedAnywhere ./app/store
	PORCHLIGHT_GRAPHS=5000 PORCHLIGHT_HOSTILE=100000 $(GO) test -tags headless -count=1 -timeout 60m ./discovery/ledger
	PORCHLIGHT_SEEDS=10000 $(GO) test -tags headless -count=1 -timeout 60m ./transfer/swarm
	$(MAKE) fuzz FUZZTIME=60s
	.ci/vulns

figures: ## how long and how fast, which means something only where nothing else runs: one package at a time
	PORCHLIGHT_CALM=1 $(HEADLESS) test -vet=off -timeout 60m -count=1 -p 1 -tags headless ./...

lab-test: ## three computers on a LAN of network namespaces (Linux, root): make lab-test RUN=TestPull
	$(HEADLESS) build $(SMALL) -tags headless -o build/porchlight .
	$(HEADLESS) test -c -tags 'headless lab' -o build/lab.test ./app/labtest
	cd app/labtest && $(SUDO) env PORCHLIGHT="$(CURDIR)/build/porchlight" PORCHLIGHT_KILLS="$(PORCHLIGHT_KILLS)" \
		PORCHLIGHT_SOAK="$(PORCHLIGHT_SOAK)" PORCHLIGHT_SEED="$(PORCHLIGHT_SEED)" GOROOT="$$($(GO) env GOROOT)" \
		"$(CURDIR)/build/lab.test" -test.v -test.timeout 180m -test.run '$(RUN)'

bench: ## the bar: pulls beside other programs, on a LAN of network namespaces (Linux, root): make bench RUN='1 GiB'
	$(HEADLESS) build $(SMALL) -tags headless -o build/porchlight .
	$(HEADLESS) test -c -tags 'headless lab' -o build/lab.test ./app/labtest
	cd app/labtest && $(SUDO) env PORCHLIGHT="$(CURDIR)/build/porchlight" PORCHLIGHT_BENCH="$(CURDIR)/build/bench.json" PORCHLIGHT_ROWS='$(RUN)' PORCHLIGHT_ROUNDS="$(PORCHLIGHT_ROUNDS)" \
		PORCHLIGHT_SYNCTHING="$(PORCHLIGHT_SYNCTHING)" "$(CURDIR)/build/lab.test" -test.timeout 300m -test.run '^TestBar$$'

microbench: ## the parts alone, for benchstat: make microbench BENCH=Listing COUNT=10 >new.txt
	@$(HEADLESS) test -tags headless -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -count $(or $(COUNT),1) ./...

tools: ## builds the linters, so that `make check` is quick afterwards
	$(TOOL) staticcheck -version
	$(TOOL) govulncheck -version || true

clean: ## removes what was built
	rm -rf porchlight porchlight.exe build
