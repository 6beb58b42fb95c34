# Everything that a target needs, it installs itself; Go is enough, and for
# some tests Python 3.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/quorate

.PHONY: build dev
build: ## one static binary, etcd built in
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/quorate

dev: build ## a 3-member cluster on this machine
	$(BIN) dev
