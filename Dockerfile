# foryou with ONNX Runtime inside: docker build -t foryou .
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --bin foryou \
    && cp target/release/foryou /usr/local/bin/foryou \
    && strip /usr/local/bin/foryou

FROM python:3.12-slim-bookworm AS onnxruntime
WORKDIR /source
COPY scripts/onnxruntime.sh scripts/
RUN cp "$(scripts/onnxruntime.sh)" /usr/local/lib/libonnxruntime.so

FROM debian:bookworm-slim
# ONNX Runtime is C++; the authorities are for amqps and for TLS to the store.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/foryou --create-home foryou
COPY --from=onnxruntime /usr/local/lib/libonnxruntime.so /usr/local/lib/
COPY --from=build /usr/local/bin/foryou /usr/local/bin/
COPY foryou.toml LICENSE /usr/share/doc/foryou/
# Models, and with the embedded store and bus everything. In a container the loopback address would reach nobody; on any other, callers
# have to prove who they are (`foryou keys create` in the container makes a key).
ENV ORT_DYLIB_PATH=/usr/local/lib/libonnxruntime.so \
    FORYOU__DATA__DIR=/var/lib/foryou \
    FORYOU__SERVER__BIND=0.0.0.0:8080 \
    FORYOU__ACCESS__MODE=on
USER foryou
VOLUME /var/lib/foryou
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3; read -r _ status _ <&3; [ \"$status\" = 200 ]"]
ENTRYPOINT ["foryou"]
CMD ["serve"]
