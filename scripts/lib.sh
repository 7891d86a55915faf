# shellcheck shell=bash
# What the scripts share: where things live outside the clone, and how they speak.
# Sourced, never run.

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Everything that is worth keeping between clones: test clients, and in CI the compiled code too.
CACHE="${COMPAT_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/duramen}"
export COMPAT_CACHE="$CACHE"

if [[ -z "${CARGO_TARGET_DIR:-}" ]] && { [[ "${CI:-}" == true ]] || [[ -d "$CACHE/target" ]]; }; then
  export CARGO_TARGET_DIR="$CACHE/target"
fi
TARGET="${CARGO_TARGET_DIR:-$ROOT/target}"

# A network that fails for a moment is no fault of what is built.
export CARGO_NET_RETRY="${CARGO_NET_RETRY:-10}"

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  printf '%s\n' "$*" >&2
  exit 1
}

# need TOOL HINT: stops with the way out when a tool that nothing can replace is missing.
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing: $2"; }
