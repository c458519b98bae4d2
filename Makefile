# make demo: everything, from nothing to a running server; with ENGINES=real on RabbitMQ and Cassandra.   make test: every test.

CARGO ?= cargo

.PHONY: build test test-embedded clients soak engines engines-down demo lint doc deny clean

build:
	$(CARGO) build --release --locked --bin foryou

# Brings RabbitMQ and Cassandra up when they do not run, and puts down what it brought up.
test:
	$(CARGO) test --release --locked --workspace --no-run
	library="$$(scripts/onnxruntime.sh)" && ORT_DYLIB_PATH="$$library" scripts/engines.sh run $(CARGO) test --release --locked --workspace

# Without the tests on RabbitMQ and Cassandra, in a browser, and with what only npm and pip bring.
test-embedded:
	library="$$(scripts/onnxruntime.sh)" && ORT_DYLIB_PATH="$$library" $(CARGO) test --release --locked --workspace -- --skip real_engines --skip browser --skip schemathesis --skip clients

# The TypeScript and the Python client, from the OpenAPI document, below target/clients. Needs npm and pip.
clients:
	scripts/clients.sh

# Two servers on RabbitMQ and Cassandra of their own, events all the time, fault after fault. `make test` holds a short form.
MINUTES ?= 20
soak:
	library="$$(scripts/onnxruntime.sh)" && ORT_DYLIB_PATH="$$library" FORYOU_SOAK_MINUTES=$(MINUTES) \
	  $(CARGO) test --release --locked --test soak -- --nocapture

engines:
	scripts/engines.sh up

engines-down:
	scripts/engines.sh down

demo: build
	ENGINES=$(ENGINES) CROWD=$(CROWD) scripts/demo.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps

deny:
	scripts/deny.sh

clean: engines-down
	$(CARGO) clean
	rm -rf .onnxruntime .foryou .engines
