#!/bin/sh
# Installs what `make test-image` needs, on Debian and as root; elsewhere, podman or docker has to be there.
set -eu
command -v podman >/dev/null && command -v debootstrap >/dev/null && exit 0
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
  podman buildah crun debootstrap debian-archive-keyring >/dev/null
