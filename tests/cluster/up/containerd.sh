#!/usr/bin/env bash
# containerd with runc, a bridge for the pods, and the image of a pause program, made here.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
folder=$RUN/containerd
mkdir -p "$folder" "$RUN/cni"
cat >"$folder/config.toml" <<TOML
version = 2
root = "$folder/root"
state = "$folder/state"
oom_score = 0
[grpc]
  address = "$CONTAINERD"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  netns_mounts_under_state_dir = true # where down.sh finds each that is left
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$(command -v runc)"
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$RUN/cni"
TOML
cat >"$RUN/cni/10-bridge.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "$NETWORK", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$RUN/cni/addresses", "ranges": [[{"subnet": "$PODS"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}}
]}
JSON
start containerd containerd --config "$folder/config.toml"
wait_for 30 ctr --address "$CONTAINERD" version

# What `docker save` writes, without docker: one layer with one file, and two lists.
mkdir -p "$RUN/pause"
cd "$RUN/pause"
gcc -static -Os -o pause "$HERE/pause.c"
tar --owner=0 --group=0 -cf layer.tar pause
cat >config.json <<JSON
{"architecture": "$(dpkg --print-architecture 2>/dev/null || echo amd64)", "os": "linux", "config": {"Entrypoint": ["/pause"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum layer.tar | cut -d' ' -f1)"]}}
JSON
echo '[{"Config": "config.json", "RepoTags": ["localhost/pause:1"], "Layers": ["layer.tar"]}]' >manifest.json
tar -cf image.tar manifest.json config.json layer.tar
ctr --address "$CONTAINERD" --namespace k8s.io images import image.tar >/dev/null
