# Porchlight. `make help` lists what there is.
SHELL := /bin/bash
export GOTOOLCHAIN := auto
GO ?= go
HEADLESS := CGO_ENABLED=0 $(GO)
SYSTEMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

.PHONY: help test check cross fmt
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

test: check cross ## everything CI runs
	$(GO) test $(GOTESTFLAGS) -race -tags headless ./...

check: ## formatting, vet, tidy module file
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(HEADLESS) vet -tags headless ./...
	$(GO) mod tidy -diff

cross: ## one headless build per system
	@for s in linux/amd64 darwin/arm64 windows/amd64; do echo "build $$s"; GOOS=$${s%/*} GOARCH=$${s#*/} $(HEADLESS) build -tags headless -o /dev/null ./... || exit 1; done
