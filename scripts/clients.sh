#!/usr/bin/env bash
# Makes the TypeScript and the Python client from schemas/json/openapi.json, checks their types, and, where a URL is given, runs the
# examples against that server (FORYOU_KEY: an API key). All of it is below clients/ in the target folder. Needs npm and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
url=${1:-}
root=$PWD
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/clients")
document=$root/schemas/json/openapi.json

for program in npm python3; do
  command -v "$program" >/dev/null || { printf '%s\n' "$program is not installed (apt: npm, python3-pip)" >&2; exit 1; }
done

typescript=$folder/typescript
mkdir -p "$typescript"
cp clients/typescript/{package.json,package-lock.json,tsconfig.json,example.ts} "$typescript"
(
  cd "$typescript"
  # Once for each lock file: what is there is compared with it.
  cmp -s package-lock.json node_modules/.installed ||
    { npm ci --silent --no-audit --no-fund --ignore-scripts && cp package-lock.json node_modules/.installed; }
  npx --no-install openapi-typescript "$document" --output schema.d.ts >/dev/null
  npx --no-install tsc --project .
)

tools=$("$root/scripts/python_tools.sh" clients "$root/clients/python/requirements.txt")
export PYTHONPATH=$tools:$folder/python PATH=$tools/bin:$PATH
python=$folder/python
rm -rf "$python"
mkdir -p "$python"
cp clients/python/example.py "$python"
python3 -m openapi_python_client generate --path "$document" --config clients/python/config.yaml --meta none \
  --output-path "$python/foryou_client" --fail-on-warning >"$python/generated.log" || { cat "$python/generated.log" >&2; exit 1; }
touch "$python/foryou_client/py.typed"
(cd "$python" && python3 -m mypy --strict example.py)

if [ -n "$url" ]; then
  printf '%s\n' "TypeScript:"
  node "$typescript/built/example.js" "$url"
  printf '%s\n' "Python:"
  python3 "$python/example.py" "$url"
fi
