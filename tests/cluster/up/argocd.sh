#!/usr/bin/env bash
# Argo CD, beside the cluster instead of in it: its controller, its repo server, its API, and redis.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
enter_network
folder=$RUN/argocd
mkdir -p "$folder"/{home,gpg,tls,ssh,tmp,plugins} "$RUN/git"
kubectl apply --server-side -f "$CACHE/argocd-crds" -f "$HERE/argocd.yaml" >/dev/null
# A definition that is too fresh has no conditions, which kubectl takes for an error.
wait_for 60 kubectl wait --for=condition=Established --timeout=10s -f "$CACHE/argocd-crds"
# What docs/argocd.md tells to do, for kinds that no operator runs here.
definitions=../../../../shared/operators # the operators' own, where they are
[ -d "$definitions" ] || definitions=operators.yaml
kubectl apply --server-side -f "$definitions" >/dev/null
kubectl patch configmap argocd-cm -n argocd --patch-file ../../../manifests/argocd/argocd-cm.yaml >/dev/null
kubectl -n argocd patch secret argocd-secret --type merge \
  -p "{\"stringData\": {\"server.secretkey\": \"$(openssl rand -hex 16)\"}}" >/dev/null
# The documentation's remote bases are folders here.
cat >"$folder/gitconfig" <<INI
[safe]
  directory = *
[protocol "file"]
  allow = always
[url "file://$RUN/git/"]
  insteadOf = https://git.example/team/
INI
start redis redis-server --port 6379 --bind 127.0.0.1 --save '' --appendonly no --dir "$folder"

export HOME=$folder/home TMPDIR=$folder/tmp GIT_CONFIG_GLOBAL=$folder/gitconfig
export ARGOCD_GPG_ENABLED=false ARGOCD_GPG_DATA_PATH=$folder/gpg ARGOCD_TLS_DATA_PATH=$folder/tls
export ARGOCD_SSH_DATA_PATH=$folder/ssh ARGOCD_PLUGINSOCKFILEPATH=$folder/plugins
# Makes https://kubernetes.default.svc the API server of the kubeconfig.
export ARGOCD_FAKE_IN_CLUSTER=true
cluster=(--kubeconfig "$RUN/argocd.kubeconfig" --namespace argocd --redis 127.0.0.1:6379
  --repo-server 127.0.0.1:8081)
start argocd-repo-server argocd-repo-server --address 127.0.0.1 --port 8081 --metrics-port 8084 \
  --redis 127.0.0.1:6379 --loglevel warn
start argocd-controller argocd-application-controller "${cluster[@]}" --app-resync 10 --app-resync-jitter 0 \
  --metrics-port 8082 --loglevel info
start argocd-server argocd-server "${cluster[@]}" --insecure --disable-auth --address 127.0.0.1 --port 8080 \
  --metrics-port 8083 --loglevel warn --staticassets "$folder"
for port in 8080 8081 8082; do wait_for 120 bash -c "</dev/tcp/127.0.0.1/$port"; done
