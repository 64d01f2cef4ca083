#!/usr/bin/env bash
# programs.sh [NAME…]: builds kube, helm, kustomize and argo, or some of them, from the modules that programs/go.mod
# pins; a program again only where that has changed.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# Argo CD asks for a newer Go than most machines have; the module proxy has that, too.
export GOTOOLCHAIN=go1.27.0 CGO_ENABLED=0 GOFLAGS=-buildvcs=false
# A fifth less work: no debugging information, which is stripped anyway, and memory instead of the compiler's collector.
export GOGC=400
cheap=-gcflags=all=-dwarf=false
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
cd "$HERE/programs"
key=$(cat go.mod go.sum kube/*.go | sha256sum | cut -c1-16)
[ $# -gt 0 ] || set -- kube helm kustomize argo

# One binary is many programs, by the name that calls it.
more_names() {
  case $1 in
    kube) echo kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kube-dns kubectl oc ;;
    argo) echo argocd argocd-application-controller argocd-repo-server argocd-server ;;
  esac
}
built() {
  local name
  for name in "$1" $(more_names "$1"); do [ -x "$BIN/$name" ] || return 1; done
  [ "$(cat "$BIN/$1.key" 2>/dev/null)" = "$key" ]
}
needed=()
for name in "$@"; do built "$name" || needed+=("$name"); done
[ ${#needed[@]} -gt 0 ] || exit 0
command -v go >/dev/null || { echo "Go builds the cluster's programs, and there is none: install Go, or kind." >&2; exit 1; }
say "building ${needed[*]} with Go: about 15 minutes on one core for all of them, once; seconds for what Go has cached"

version_of() { go list -m -f '{{.Version}}' "$1"; }
package() {
  case $1 in
    kube) echo ./kube ;;
    helm) echo helm.sh/helm/v4/cmd/helm ;;
    kustomize) echo sigs.k8s.io/kustomize/kustomize/v5 ;;
    argo) echo github.com/argoproj/argo-cd/v3/cmd ;;
  esac
}
# Each says its version by a variable that only the linker fills in; Helm also for which Kubernetes it was made.
linked() {
  local kubernetes minor
  kubernetes=$(version_of k8s.io/kubernetes)
  minor=$(echo "$kubernetes" | cut -d. -f2)
  case $1 in
    kube)
      local v=k8s.io/component-base/version
      echo "-X $v.gitVersion=$kubernetes -X $v.gitMajor=1 -X $v.gitMinor=$minor"
      ;;
    helm) echo "-X helm.sh/helm/v4/internal/version.version=$(version_of helm.sh/helm/v4)" ;;
    argo) echo "-X github.com/argoproj/argo-cd/v3/common.version=$(version_of github.com/argoproj/argo-cd/v3 | tr -d v)" ;;
  esac
}
for name in "${needed[@]}"; do
  # Somebody else may be at it.
  exec 9>"$BIN/$name.lock"
  flock 9
  if built "$name"; then continue; fi
  started=$SECONDS
  nice -n 19 go build -p "${GO_JOBS:-1}" -trimpath $cheap -ldflags "-s -w $(linked "$name")" -o "$BIN/$name.new" "$(package "$name")"
  mv "$BIN/$name.new" "$BIN/$name"
  for other in $(more_names "$name"); do ln -sf "$name" "$BIN/$other"; done
  if [ "$name" = argo ]; then
    mkdir -p "$CACHE/argocd-crds"
    module=$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-cd/v3)
    cp --no-preserve=mode "$module"/manifests/crds/*-crd.yaml "$CACHE/argocd-crds/"
    # The repo server runs it for each commit, also where it verifies no signature.
    install "$module/hack/git-verify-wrapper.sh" "$BIN/"
  fi
  # At the end: who finds it waits for nobody.
  echo "$key" >"$BIN/$name.key"
  say "built $name in $((SECONDS - started)) s"
done
