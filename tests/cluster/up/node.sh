#!/usr/bin/env bash
# kubelet, kube-proxy, and a DNS server for the names of Services.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network
folder=$RUN/kubelet
mkdir -p "$folder"
echo "nameserver $NODE_IP" >"$folder/resolv.conf"
cat >"$folder/config.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $RUN/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $folder/resolv.conf
containerRuntimeEndpoint: unix://$CONTAINERD
podLogsDir: $RUN/pod-logs
maxPods: 100
oomScoreAdj: 0
readOnlyPort: 0
imageGCHighThresholdPercent: 100 # never: on a disk that is 85 % full the pause image goes, and no pod starts any more
evictionHard: {memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
featureGates: {KubeletInUserNamespace: true} # where a limit of the kernel cannot be changed, go on
YAML
for controller in /sys/fs/cgroup/*/; do
  # Of the second version, which some machines mount beside the first; a kubelet uses one of the two.
  [ -e "$controller/cgroup.controllers" ] || mkdir -p "$controller/$CGROUP"
done
# A cpuset without any CPU takes no process.
for file in cpuset.cpus cpuset.mems; do
  cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$CGROUP/$file"
done
start kubelet "$BIN/kubelet" --config="$folder/config.yaml" --root-dir="$folder/root" --cert-dir="$folder/pki" \
  --kubeconfig="$RUN/kubelet.kubeconfig" --hostname-override="$NODE" --node-ip="$NODE_IP"
start kube-proxy "$BIN/kube-proxy" --kubeconfig="$RUN/proxy.kubeconfig" --hostname-override="$NODE" \
  --proxy-mode=iptables --cluster-cidr="$PODS" --oom-score-adj=0 --conntrack-max-per-core=0 \
  --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0 \
  --healthz-bind-address=127.0.0.1:10256 --metrics-bind-address=127.0.0.1:10249
start kube-dns "$BIN/kube-dns" --kubeconfig="$RUN/admin.kubeconfig" --listen="$NODE_IP:53"
kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec:
  clusterIP: $DNS_IP
  ports: [{name: dns, port: 53, protocol: UDP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: ["$NODE_IP"]}]
ports: [{name: dns, port: 53, protocol: UDP}]
YAML
wait_for 120 kubectl wait --for=condition=Ready "node/$NODE" --timeout=1s
