#!/usr/bin/env bash
# A real cluster with Argo CD on this one machine, as root and without internet: about half a minute, and before the
# first time about 15 minutes for the programs. down.sh ends it. To look into it:
#
#   nsenter --net=/run/netns/register-collections env KUBECONFIG=… kubectl get pods -A
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ./lib.sh
trap 'say "failed; the logs are in $LOGS"' ERR
[ "$(id -u)" = 0 ] || { echo "A cluster of its own needs root; or set KUBECONFIG, or install kind." >&2; exit 1; }
[ -d /sys/fs/cgroup/cpuset ] || { echo "A cluster of its own needs cgroups of version 1 here; or install kind." >&2; exit 1; }
./packages.sh
./programs.sh
for step in network certificates containerd control-plane node argocd; do
  started=$SECONDS
  "./$step.sh"
  say "$step ($((SECONDS - started)) s)"
done
