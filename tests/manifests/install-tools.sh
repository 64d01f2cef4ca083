#!/bin/sh
# Installs what `make test-manifests` needs and this machine lacks into a cache, where the tests look first.
set -eu
cd "$(dirname "$0")"
tools=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/tools
mkdir -p "$tools"

# The checkers have many dependencies, so an environment of their own; again whenever the list changes.
if ! cmp -s requirements.txt "$tools/checkers/installed.txt"; then
  echo "Installing the checkers of the manifests: a minute or two, once …" >&2
  rm -rf "$tools/checkers"
  "${PYTHON:-python3}" -m venv "$tools/checkers"
  "$tools/checkers/bin/pip" install --quiet --disable-pip-version-check --no-deps -r requirements.txt
  cp requirements.txt "$tools/checkers/installed.txt"
fi

# The renderers: what is on PATH is taken, and the rest is what the tests of the cluster build.
if ! command -v kubectl >/dev/null && ! command -v kustomize >/dev/null; then
  ../cluster/up/programs.sh kustomize
fi
command -v helm >/dev/null || ../cluster/up/programs.sh helm
