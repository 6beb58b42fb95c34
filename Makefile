# Everything that a target needs, it installs itself; Go is enough, and for
# the tests on an emulated AWS Python 3. Parts of Debian's take root.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/quorate
TOOLS   := $(CURDIR)/.tools

.PHONY: build dev test lint sim bench bench-recovery long clean

build: ## one static binary, etcd built in
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/quorate

dev: build ## a 3-member cluster on this machine; Ctrl-C stops it, the data stays
	$(BIN) dev

# Real processes mostly wait, so two packages run at a time; each has loopback
# hosts of its own.
test: ## everything that must be true, with real etcd processes (half an hour on two cores)
	$(GO) test -race -shuffle=on -timeout 60m -p 2 ./...

long: ## the tests that repeat what `make test` does a few times
	QUORATE_LONG=1 $(GO) test -timeout 90m -v -run 'TestFiveViews|TestFiveFiles|TestOrders|TestMajorityLostUnderLoad|TestNoRequestFails|TestShippedWhenAllIsLost' ./cmd/quorate
	$(GO) test ./internal/clustertest -run 'TestSubsets$$' -timeout 4h -v -subsets.all

sim: ## 100,000 simulated schedules
	$(GO) test ./internal/clustertest -run TestSim -timeout 60m -v -sim.schedules=100000

# Each benchmark logs what it measured; those of backups and recovery add rows to
# the table that comes last. QUORATE_BENCH_MIB (1024), QUORATE_BENCH_MEMORY_MIB
# (4096), QUORATE_BENCH_RATE (1000 puts a second) and QUORATE_BENCH_ROLLS (5) set the sizes.
BENCHES := $(GO) test -p 1 -run '^$$' -benchtime 1x -timeout 60m
TABLE   := $(CURDIR)/.tools/bench.tsv
PRINT   := awk -F'\t' 'BEGIN { print "| what | quorate | theirs | ratio | wanted |"; print "|---|---|---|---|---|" } \
	{ print "| " $$1 " | " $$2 " | " $$3 " | " $$4 " | " $$5 " |" }' $(TABLE)

bench: ## ratios against raw etcd, in one run; an instance refresh; then the table of backups and recovery
	@mkdir -p .tools && : > $(TABLE)
	QUORATE_BENCH_TABLE=$(TABLE) $(BENCHES) ./cmd/quorate ./internal/fleettest ./internal/backup ./internal/replay -bench .; s=$$?; $(PRINT); exit $$s

bench-recovery: ## the table of backups and recovery alone
	@mkdir -p .tools && : > $(TABLE)
	QUORATE_BENCH_TABLE=$(TABLE) $(BENCHES) ./cmd/quorate ./internal/backup -bench 'Recovery|BackupMemory|Restore'; s=$$?; $(PRINT); exit $$s

# staticcheck and govulncheck are built from their modules into .tools.
lint: $(TOOLS)/staticcheck $(TOOLS)/govulncheck ## gofmt, vet, staticcheck, architecture, known vulnerabilities
	@out=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$out" ]; then echo "not gofmt-ed:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	$(GO) test ./internal/arch
	@.ci/govulncheck $(TOOLS)/govulncheck

$(TOOLS)/staticcheck:
	GOBIN=$(TOOLS) $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.7.0

$(TOOLS)/govulncheck:
	GOBIN=$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.1.4

clean:
	rm -rf bin .tools
