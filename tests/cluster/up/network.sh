#!/usr/bin/env bash
# A network namespace without a way out: no packet of the cluster leaves the machine, and no port is taken on it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ -e "/run/netns/$NETWORK" ] || ip netns add "$NETWORK"
inside ip link set lo up
# The node's interface. Its other end is here, too: not every kernel has dummy interfaces.
inside ip link show node0 >/dev/null 2>&1 || inside ip link add node0 type veth peer name node0-peer
inside ip link set node0-peer up
inside ip address replace "$NODE_IP/24" dev node0
inside ip link set node0 up
# kube-proxy turns a Service's address into a pod's, but only for packets that have a route to begin with.
inside ip route replace "$SERVICES" dev node0
# Every other address is refused at once, and not after a timeout.
inside ip route replace unreachable default
for setting in net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.conf.all.route_localnet=1; do
  inside sysctl -qw "$setting" 2>/dev/null || true
done
