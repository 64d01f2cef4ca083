# What the scripts of this folder share: where everything is, and how a program runs in the cluster's network.
# shellcheck shell=bash
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/register-collections/cluster
BIN=$CACHE/bin   # the programs, which stay
RUN=$CACHE/run   # the state of one cluster, which goes with it
GIVEN=$RUN/bin   # links to the programs that ARGOCD and HELM name, in place of those in BIN
LOGS=$CACHE/logs # of the last cluster
export KUBECONFIG=$RUN/admin.kubeconfig
export PATH=$GIVEN:$BIN:$PATH

NETWORK=register-collections
NODE=node1
NODE_IP=10.99.0.1
PODS=10.98.0.0/24
SERVICES=10.97.0.0/24
API_IP=10.97.0.1
DNS_IP=10.97.0.10
CONTAINERD=$RUN/containerd/containerd.sock
CGROUP=register-collections

mkdir -p "$BIN" "$RUN" "$LOGS"

say() { printf '[cluster, %3d s] %s\n' "$SECONDS" "$*" >&2; }

# Runs a command in the cluster's network. `ip netns exec` would also mount a /sys without the cgroups.
inside() { nsenter --net="/run/netns/$NETWORK" -- "$@"; }

# Runs the calling script anew in the cluster's network, where it is not there yet.
enter_network() {
  [ "$(readlink /proc/self/ns/net)" = "$(inside readlink /proc/self/ns/net)" ] || exec nsenter --net="/run/netns/$NETWORK" -- bash "$0"
}

# start NAME COMMAND…: in the background, with a log, and with a file that holds its process id.
start() {
  local name=$1
  shift
  running "$name" && return
  setsid nsenter --net="/run/netns/$NETWORK" -- "$@" >"$LOGS/$name.log" 2>&1 </dev/null &
  echo $! >"$RUN/$name.pid"
}

# A process id may be given anew after a reboot: so the program has to be one of this cluster's network, too.
running() {
  local pid
  pid=$(cat "$RUN/$1.pid" 2>/dev/null) && [ -e "/run/netns/$NETWORK" ] &&
    [ "$(readlink "/proc/$pid/ns/net" 2>/dev/null)" = "$(inside readlink /proc/self/ns/net)" ]
}

# stop NAME…: all at once, and waits until they are gone.
stop() {
  local name pids=()
  for name in "$@"; do
    if running "$name"; then pids+=("$(cat "$RUN/$name.pid")"); fi
    rm -f "$RUN/$name.pid"
  done
  [ ${#pids[@]} -gt 0 ] || return 0
  kill -TERM "${pids[@]}" 2>/dev/null || true
  for _ in $(seq 50); do
    kill -0 "${pids[@]}" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "${pids[@]}" 2>/dev/null || true
}

# wait_for SECONDS COMMAND…: until the command succeeds; else says what it said last.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "In vain: $*" >&2
      "$@" >&2 || true
      return 1
    fi
    sleep 0.3
  done
}
