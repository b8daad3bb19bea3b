// Command node is kubelet and kube-proxy in one binary, chosen by the first
// argument: what a machine needs beside containerd to be a node. It is a module
// of its own, so that the control plane, which every test run needs, is built
// without the parts of a node.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var components = map[string]func() *cobra.Command{
	"kubelet":    func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
	"kube-proxy": proxy.NewProxyCommand,
}

func main() {
	if len(os.Args) < 2 {
		fail("usage: node kubelet|kube-proxy [flags]")
	}
	os.Args = os.Args[1:]
	component, known := components[os.Args[0]]
	if !known {
		fail("unknown component " + os.Args[0])
	}
	os.Exit(cli.Run(component()))
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(2)
}
