#!/bin/sh
# Resolves the two lock files for Python 3.11 to 3.13 on every platform, with hashes and without any index address.
# Runs in the development environment: `make lock`. Arguments go to uv, e.g. `--upgrade-package ccxt`.
set -eu
cd "$(dirname "$0")/.."

UV=${UV:-.venv/bin/uv}
HEADER="# Written by \`make lock\`; do not edit. Python 3.11 to 3.13, every platform."

compile() {
    output=$1
    shift
    echo "  $output"
    # --no-config: neither the settings of this machine nor those of its user may leak into the files.
    "$UV" --no-config --quiet pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate --output-file "$output" "$@"
    { echo "$HEADER"; cat "$output"; } > "$output.new"
    mv "$output.new" "$output"
    if grep -nE '^-|://| @ ' "$output"; then
        echo "lock: $output names an index, an option or a local file in the lines above" >&2
        exit 1
    fi
}

echo "resolving for Python 3.11 to 3.13, all platforms"
compile requirements.lock "$@"
compile requirements-dev.lock --extra dev --constraint requirements.lock "$@"
