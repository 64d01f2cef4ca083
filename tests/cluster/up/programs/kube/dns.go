package main

import (
	"context"
	"log"
	"net"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/net/dns/dnsmessage"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// newDNSCommand returns a server for the names SERVICE.NAMESPACE.svc.cluster.local, whose answer is the address of the
// Service. It knows no other name, since the cluster reaches nothing else.
func newDNSCommand() *cobra.Command {
	var kubeconfig, address string
	result := &cobra.Command{
		Use: "kube-dns",
		RunE: func(*cobra.Command, []string) error {
			return serveDNS(kubeconfig, address)
		},
	}
	result.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	result.Flags().StringVar(&address, "listen", "127.0.0.1:53", "the UDP address to answer on")
	return result
}

func serveDNS(kubeconfig, address string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	services := factory.Core().V1().Services().Lister()
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())

	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		length, asker, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		var message dnsmessage.Message
		if message.Unpack(buffer[:length]) != nil || len(message.Questions) != 1 {
			continue
		}
		answer(&message, services)
		packed, err := message.Pack()
		if err == nil {
			_, err = socket.WriteTo(packed, asker)
		}
		if err != nil {
			log.Print(err)
		}
	}
}

// answer turns a question into its own answer. A Service has an IPv4 address only, so there is none of another type.
func answer(message *dnsmessage.Message, services listers.ServiceLister) {
	question := message.Questions[0]
	message.Response, message.Authoritative, message.RecursionAvailable = true, true, true
	message.Additionals = nil

	name, ours := strings.CutSuffix(strings.ToLower(question.Name.String()), ".svc.cluster.local.")
	service, namespace, _ := strings.Cut(name, ".")
	found, err := services.Services(namespace).Get(service)
	if !ours || err != nil {
		message.RCode = dnsmessage.RCodeNameError
		return
	}
	address := net.ParseIP(found.Spec.ClusterIP).To4()
	if address == nil || question.Type != dnsmessage.TypeA {
		return
	}
	message.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 1},
		Body:   &dnsmessage.AResource{A: [4]byte(address)},
	}}
}
