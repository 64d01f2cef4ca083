#!/usr/bin/env bash
# What the live tests need beside Python: HAProxy, which balances between replicas.
set -euo pipefail
command -v haproxy >/dev/null && exit
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends haproxy >/dev/null
