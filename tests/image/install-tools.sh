#!/bin/sh
# Installs what `make test-image` needs: syft with Go, and on Debian and as root podman; elsewhere, podman or docker has
# to be there.
set -eu
tools=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/tools
export PATH="$tools/bin:$PATH"
if ! command -v syft >/dev/null; then
  if ! command -v go >/dev/null; then
    echo "syft is not on PATH, and there is no Go to build it with: install syft" >&2
    exit 1
  fi
  echo "Building syft: some minutes, once …" >&2
  mkdir -p "$tools/bin"
  CGO_ENABLED=0 GOBIN="$tools/bin" go install github.com/anchore/syft/cmd/syft@v1.57.0
fi
if command -v podman >/dev/null && command -v debootstrap >/dev/null; then
  exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
  podman buildah crun debootstrap debian-archive-keyring >/dev/null
