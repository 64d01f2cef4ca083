#!/usr/bin/env bash
# Ends all that up.sh has started and removes its state, whatever there is of it; the programs stay.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
containers() { ctr --address "$CONTAINERD" --namespace k8s.io "$@" 2>/dev/null; }

stop argocd-server argocd-controller argocd-repo-server redis kube-dns kube-proxy kubelet scheduler controller-manager
if running containerd; then
  # They would outlive containerd.
  for task in $(containers tasks ls -q); do containers tasks kill --signal KILL "$task"; done
  for _ in $(seq 50); do
    containers tasks ls | grep -q RUNNING || break
    sleep 0.1
  done
  for container in $(containers containers ls -q); do
    containers tasks rm --force "$container"
    containers containers rm "$container"
  done >/dev/null
fi
stop apiserver etcd
stop containerd

# Volumes, root file systems, and the pods' own networks.
awk -v under="$RUN/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount"; done
if [ -e "/run/netns/$NETWORK" ]; then
  ip netns pids "$NETWORK" | xargs -r kill -KILL
  ip netns del "$NETWORK"
fi
for folder in /sys/fs/cgroup/*/"$CGROUP"; do
  [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} \;
done
# The two things that neither containerd nor CNI lets be moved.
for sandbox in "$RUN"/containerd/state/io.containerd.grpc.v1.cri/sandboxes/*; do
  rm -f "/var/lib/cni/results/"*"-${sandbox##*/}-"*
done
pgrep -x containerd >/dev/null || rm -rf /run/containerd/s
rm -rf "$RUN"
