// Command kube is all of Kubernetes's programs, and a small DNS server. They share most of their code, so one binary is
// built and linked in a third of the time; the name that calls it chooses the program.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func command(program string) *cobra.Command {
	switch program {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	case "kubectl", "oc":
		return kubectl.NewDefaultKubectlCommand()
	case "kube-dns":
		return newDNSCommand()
	}
	return nil
}

func main() {
	program := filepath.Base(os.Args[0])
	chosen := command(program)
	if chosen == nil {
		fmt.Fprintf(os.Stderr, "%s is no program of Kubernetes: call this by a link that is named after one\n", program)
		os.Exit(2)
	}
	os.Exit(cli.Run(chosen))
}
