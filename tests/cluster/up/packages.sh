#!/usr/bin/env bash
# What Debian has of a cluster: containerd, etcd, redis, and the tools around them. Elsewhere these have to be there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
missing=()
for program in containerd runc etcd redis-server iptables conntrack ip jq git gcc openssl podman debootstrap; do
  command -v "$program" >/dev/null || missing+=("$program")
done
[ -e /usr/lib/cni/bridge ] || missing+=(/usr/lib/cni/bridge)
[ ${#missing[@]} -gt 0 ] || exit 0
command -v apt-get >/dev/null || { echo "Install these: ${missing[*]}" >&2; exit 1; }
say "installing packages, for ${missing[*]}"
# Debian starts what it installs, unless this program says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod +x $policy
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
  containerd runc containernetworking-plugins etcd-server redis-server iptables conntrack iproute2 jq git gcc libc6-dev \
  openssl podman buildah crun debootstrap debian-archive-keyring >/dev/null
