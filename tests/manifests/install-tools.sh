#!/bin/sh
# Installs what `make test-manifests` needs and this machine lacks into a cache, where the tests look first.
set -eu
cd "$(dirname "$0")"
tools=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/tools
export PATH="$tools/bin:$PATH"
mkdir -p "$tools/bin"

# The checkers have many dependencies, so an environment of their own; again whenever the list changes.
if ! cmp -s requirements.txt "$tools/checks/installed.txt"; then
  echo "Installing the checkers of the manifests: a minute or two, once …" >&2
  rm -rf "$tools/checks"
  "${PYTHON:-python3}" -m venv "$tools/checks"
  "$tools/checks/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt
  cp requirements.txt "$tools/checks/installed.txt"
fi

# The renderers, and argocd: what is on PATH is taken, and the rest is what the cluster of the tests has, too.
cluster=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/cluster/bin
needed=
command -v kubectl >/dev/null || command -v kustomize >/dev/null || needed="$needed kustomize"
command -v helm >/dev/null || needed="$needed helm"
command -v argocd >/dev/null || needed="$needed argocd"
if [ -n "$needed" ]; then
  # shellcheck disable=SC2046  # they are several words
  GO_JOBS=$(nproc) ../cluster/up/programs.sh $(echo "$needed" | sed s/argocd/argo/)
  for name in $needed; do
    ln -sf "$cluster/$name" "$tools/bin/$name"
  done
fi

if ! command -v actionlint >/dev/null; then
  if ! command -v go >/dev/null; then
    echo "actionlint is not on PATH, and there is no Go to build it with: install actionlint" >&2
    exit 1
  fi
  echo "Building actionlint: a minute, once …" >&2
  GOBIN="$tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
fi

# Helm 3 beside the Helm 4 of the cluster's tests: it is called helm3 here.
if ! command -v helm3 >/dev/null; then
  if ! command -v go >/dev/null; then
    echo "helm3 is not on PATH, and there is no Go to build it with: install Helm 3 under that name" >&2
    exit 1
  fi
  echo "Building Helm 3: some minutes, once …" >&2
  folder=$(mktemp -d)
  GOBIN="$folder" go install helm.sh/helm/v3/cmd/helm@v3.22.0
  mv "$folder/helm" "$tools/bin/helm3"
  rmdir "$folder"
fi

# promtool cannot be had from its module by `go install`: Debian's package has it, of which nothing else is wanted.
if ! command -v promtool >/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "promtool is not on PATH: install it, it comes with Prometheus" >&2
    exit 1
  fi
  folder=$(mktemp -d)
  (cd "$folder" && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } 2>/dev/null &&
    dpkg-deb -x prometheus_*.deb .)
  mv "$folder/usr/bin/promtool" "$tools/bin/"
  rm -rf "$folder"
fi
