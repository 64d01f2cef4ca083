#!/usr/bin/env bash
# A certificate authority, the API server's certificate, and a kubeconfig for everyone who talks to it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
pki=$RUN/pki
[ ! -e "$pki/complete" ] || exit 0
rm -rf "$pki"
mkdir -p "$pki"
cd "$pki"

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# signed NAME SUBJECT [ALTERNATIVE NAMES]
signed() {
  new_key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf 'extendedKeyUsage=clientAuth,serverAuth\n%s\n' "${3:+subjectAltName=$3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
}

# kubeconfig NAME SUBJECT
kubeconfig() {
  signed "$1" "$2"
  cat >"$RUN/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: cluster
clusters: [{name: cluster, cluster: {server: "https://127.0.0.1:6443", certificate-authority: $pki/ca.crt}}]
contexts: [{name: cluster, context: {cluster: cluster, user: $1, namespace: default}}]
users: [{name: $1, user: {client-certificate: $pki/$1.crt, client-key: $pki/$1.key}}]
YAML
}

new_key ca
openssl req -x509 -new -key ca.key -subj /CN=register-collections-tests -days 30 -out ca.crt \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
names=DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:$API_IP
for name in kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local; do
  names=$names,DNS:$name
done
signed apiserver /CN=kube-apiserver "$names"
openssl genrsa -out service-accounts.key 2048 2>/dev/null
kubeconfig admin /O=system:masters/CN=admin
kubeconfig argocd /O=system:masters/CN=argocd
kubeconfig controller-manager /CN=system:kube-controller-manager
kubeconfig scheduler /CN=system:kube-scheduler
kubeconfig proxy /CN=system:kube-proxy
kubeconfig kubelet "/O=system:nodes/CN=system:node:$NODE"
touch complete
