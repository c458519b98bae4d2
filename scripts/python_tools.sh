#!/usr/bin/env bash
# Installs the Python packages of a requirements file below the target folder, once, and prints the folder, for PYTHONPATH:
# scripts/python_tools.sh NAME REQUIREMENTS.
set -euo pipefail
requirements=$(realpath "$2")
cd "$(dirname "$0")/.."
sum=$(sha256sum "$requirements")
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/tools/$1-${sum:0:12}")
if [ ! -d "$folder" ]; then
  mkdir -p "$(dirname "$folder")"
  staging=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-warn-conflicts --no-deps \
    --target "$staging/packages" --requirement "$requirements" >&2
  # A rename, so that a folder under this name is always a whole one; another run may have been faster.
  mv -T "$staging/packages" "$folder" 2>/dev/null || [ -d "$folder" ]
fi
printf '%s\n' "$folder"
