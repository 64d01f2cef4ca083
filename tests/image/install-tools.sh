#!/usr/bin/env bash
# Installs what `make test-image` needs: on Debian and as root podman, elsewhere podman or docker has to be there; and
# syft, with Go.
set -euo pipefail
if ! { command -v podman && command -v debootstrap; } >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
    podman buildah crun debootstrap debian-archive-keyring >/dev/null
fi
tools=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/tools
export PATH="$tools/bin:$PATH"
mkdir -p "$tools/bin"
# Somebody else may be at it.
exec 9>"$tools/syft.lock"
flock 9
command -v syft >/dev/null && exit
if ! command -v go >/dev/null; then
  echo "syft is not on PATH, and there is no Go to build it with: install syft" >&2
  exit 1
fi
echo "Building syft: some minutes, once …" >&2
# Without debugging information, and with memory instead of the compiler's collector: a fifth less work.
CGO_ENABLED=0 GOGC=400 GOBIN="$tools/bin" nice -n 19 go install -ldflags "-s -w" -gcflags=all=-dwarf=false \
  github.com/anchore/syft/cmd/syft@v1.57.0
