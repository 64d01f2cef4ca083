#!/bin/sh
# Installs what `make test-manifests` needs and this machine lacks into a cache, where the tests look first.
set -eu
cd "$(dirname "$0")"
tools=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/tools
export PATH="$tools/bin:$PATH"
mkdir -p "$tools/bin"

# The checkers have many dependencies, so an environment of their own; again whenever the list changes.
if ! cmp -s requirements.txt "$tools/checkers/installed.txt"; then
  echo "Installing the checkers of the manifests: a minute or two, once …" >&2
  rm -rf "$tools/checkers"
  "${PYTHON:-python3}" -m venv "$tools/checkers"
  "$tools/checkers/bin/pip" install --quiet --disable-pip-version-check --no-deps -r requirements.txt
  cp requirements.txt "$tools/checkers/installed.txt"
fi

# The renderers: what is on PATH is taken, and the rest is built where there is Go.
install_with_go() {
  if ! command -v go >/dev/null; then
    echo "$1 is not on PATH, and there is no Go to build it with: install $1" >&2
    exit 1
  fi
  echo "Building $1: some minutes, once …" >&2
  GOBIN="$tools/bin" go install "$2"
}
if ! command -v kubectl >/dev/null && ! command -v kustomize >/dev/null; then
  install_with_go kustomize sigs.k8s.io/kustomize/kustomize/v5@v5.8.1
fi
if ! command -v helm >/dev/null; then
  install_with_go helm helm.sh/helm/v3/cmd/helm@v3.22.0
fi

if ! command -v actionlint >/dev/null; then
  install_with_go actionlint github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
fi

# argocd's go.mod replaces modules, which `go install` does not do: so it is built in its own folder.
if ! command -v argocd >/dev/null; then
  if ! command -v go >/dev/null; then
    echo "argocd is not on PATH, and there is no Go to build it with: install argocd" >&2
    exit 1
  fi
  echo "Building argocd: ten minutes, once …" >&2
  folder=$(go mod download -json github.com/argoproj/argo-cd/v3@v3.2.11 | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  (cd "$folder" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false go build -trimpath -o "$tools/bin/argocd" ./cmd)
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
