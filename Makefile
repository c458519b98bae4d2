# make demo: everything, from nothing to a running server.   make test: every test.

CARGO ?= cargo

.PHONY: build test demo lint doc deny clean

build:
	$(CARGO) build --release --locked --bin foryou

test:
	library="$$(scripts/onnxruntime.sh)" && ORT_DYLIB_PATH="$$library" $(CARGO) test --release --locked --workspace

demo: build
	scripts/demo.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps

deny:
	scripts/deny.sh

clean:
	$(CARGO) clean
	rm -rf .onnxruntime .foryou
