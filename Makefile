# The tasks of everyday. CONTRIBUTING.md says how long each takes and what it needs.
.PHONY: help check format test ci demo screenshots bench

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

check: ## format, vet, staticcheck and the quick tests: what to run before every commit
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "run make format: $$unformatted"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go test -short ./...

format: ## rewrites Go files as gofmt wants them
	gofmt -w $$(git ls-files '*.go')

test: ## all tests, with the race detector
	go test -race ./...

ci: ## all that a pull request has to pass
	.ci/run

demo: ## the whole idea on this machine, until you approve
	go run ./cmd/exeat demo

screenshots: ## pictures of every page of the inbox into docs/screenshots/all, and those that the docs show
	mkdir -p docs/screenshots/all
	EXEAT_SCREENSHOTS=$(CURDIR)/docs/screenshots/all go test -count=1 -run '^TestScreenshots$$' ./authz/inbox
	cd docs/screenshots && for f in *.png; do cp "all/$$f" "$$f"; done

bench: ## what a call costs beside a bare tool (4 minutes; the machine must be quiet), then every benchmark
	examples/bench/run
	go test -run '^$$' -bench . -benchmem ./...
