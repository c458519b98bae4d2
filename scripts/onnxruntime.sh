#!/usr/bin/env bash
# Prints the path of an ONNX Runtime library: ORT_DYLIB_PATH, a system one, or the one inside the onnxruntime wheel
# (name, version and checksum pinned), which it unpacks into .onnxruntime/ once.
set -euo pipefail

version=1.32.0
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$root/.onnxruntime

say() { printf '%s\n' "$*" >&2; }
by_hand() {
  say "$1"
  say "To get the library by hand: take libonnxruntime.so ($version or newer) out of the onnxruntime Python package, or from an"
  say "ONNX Runtime release, and set ORT_DYLIB_PATH to its path."
  exit 1
}

if [ -n "${ORT_DYLIB_PATH:-}" ]; then
  [ -f "$ORT_DYLIB_PATH" ] || by_hand "ORT_DYLIB_PATH is $ORT_DYLIB_PATH, which is not a file."
  printf '%s\n' "$ORT_DYLIB_PATH"
  exit
fi

# A library older than the API that the server asks for (24) would be refused when it is loaded.
new_enough() { [[ $1 =~ \.so\.1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 24 ]; }
known=$( (ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true) | awk '/libonnxruntime\.so/ { print $NF }')
for library in $known {/usr,/usr/local,/opt/onnxruntime}/lib{,64}/libonnxruntime.so* /usr/lib/*/libonnxruntime.so*; do
  if [ -f "$library" ] && new_enough "$(readlink -f "$library")"; then
    printf '%s\n' "$library"
    exit
  fi
done

# One fixed wheel, so that the checksum does not depend on the Python that is installed: no Python code of it is run.
case $(uname -s)-$(uname -m) in
  Linux-x86_64) platform=manylinux_2_28_x86_64 sum=99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8 ;;
  Linux-aarch64) platform=manylinux_2_28_aarch64 sum=e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054 ;;
  *) by_hand "There is no pinned ONNX Runtime for $(uname -s) on $(uname -m)." ;;
esac

library=$folder/$version/libonnxruntime.so.$version
if [ ! -f "$library" ]; then
  command -v python3 >/dev/null || by_hand "Python 3 is not installed, so the onnxruntime wheel cannot be fetched."
  python3 -m pip --version >/dev/null 2>&1 || by_hand "pip is not installed (python3 -m pip), so the onnxruntime wheel cannot be fetched."
  say "fetching ONNX Runtime $version"
  mkdir -p "$folder/$version"
  staging=$(mktemp -d "$folder/fetch.XXXXXX")
  trap 'rm -rf "$staging"' EXIT
  printf 'onnxruntime==%s --hash=sha256:%s\n' "$version" "$sum" >"$staging/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --implementation cp --python-version 3.12 --abi cp312 --platform "$platform" \
    --dest "$staging" --requirement "$staging/requirements.txt" >&2 ||
    by_hand "The onnxruntime wheel could not be fetched, or is not the one that is pinned."
  python3 - "$staging" >&2 <<'PYTHON' || by_hand "The onnxruntime wheel could not be unpacked."
import glob, shutil, sys, zipfile
staging = sys.argv[1]
[wheel] = glob.glob(f"{staging}/*.whl")
with zipfile.ZipFile(wheel) as archive:
    [member] = [n for n in archive.namelist() if n.startswith("onnxruntime/capi/libonnxruntime.so")]
    with archive.open(member) as source, open(f"{staging}/library", "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
  # A rename, so that a library under this name is always a whole one.
  mv "$staging/library" "$library"
fi
printf '%s\n' "$library"
