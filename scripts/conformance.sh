#!/usr/bin/env bash
# Holds a running server to its OpenAPI document with schemathesis (pinned, from PyPI): scripts/conformance.sh URL. The server checks
# callers, and FORYOU_KEY is a key with all scopes; it is given users and videos, and some are erased again.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${1:?which server? conformance.sh URL}" "${FORYOU_KEY:?a key with all scopes}"
tools=$(scripts/python_tools.sh conformance tests/conformance/requirements.txt)
# What is kept between runs would make them differ.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tests/conformance/{schemathesis.toml,hooks.py} "$work"
cd "$work"
PYTHONPATH=$tools:$work timeout 900 python3 -m schemathesis.cli run --no-color "$1/openapi.json"
