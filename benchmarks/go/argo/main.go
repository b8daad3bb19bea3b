// Keeps the manifests of a folder as they are, by the engine of Argo CD alone.
//
// Nothing that slows Argo CD down comes along: no repository, no queue, no batches of events, no
// self-heal timeout. Every change of one of the objects syncs at once, and a timer each second.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/argoproj/gitops-engine/pkg/cache"
	"github.com/argoproj/gitops-engine/pkg/engine"
	"github.com/argoproj/gitops-engine/pkg/sync"
	"github.com/argoproj/gitops-engine/pkg/utils/kube"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	if len(os.Args) != 4 {
		check(fmt.Errorf("usage: argo KUBECONFIG NAMESPACE FOLDER"))
	}
	check(keep(os.Args[1], os.Args[2], os.Args[3]))
}

func keep(kubeconfig, namespace, folder string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	// Its own limits are not what is measured.
	config.QPS, config.Burst = 1000, 1000
	desired, err := read(folder)
	if err != nil {
		return err
	}
	wanted := map[kube.ResourceKey]bool{}
	for _, object := range desired {
		object.SetNamespace(namespace)
		wanted[kube.GetResourceKey(object)] = true
	}
	quiet := logr.Discard()
	live := cache.NewClusterCache(config,
		cache.SetNamespaces([]string{namespace}),
		cache.SetLogr(quiet),
		cache.SetPopulateResourceInfoHandler(
			func(object *unstructured.Unstructured, _ bool) (interface{}, bool) {
				return nil, wanted[kube.GetResourceKey(object)]
			}),
	)
	changed := make(chan struct{}, 1)
	live.OnResourceUpdated(func(now, before *cache.Resource, _ map[kube.ResourceKey]*cache.Resource) {
		if now == nil {
			now = before
		}
		if wanted[now.ResourceKey()] {
			select {
			case changed <- struct{}{}:
			default: // a sync is due already
			}
		}
	})
	syncer := engine.NewEngine(config, live, engine.WithLogr(quiet))
	stop, err := syncer.Run()
	if err != nil {
		return err
	}
	defer stop()
	managed := func(r *cache.Resource) bool { return wanted[r.ResourceKey()] }
	timer := time.NewTicker(time.Second)
	for first := true; ; first = false {
		_, err := syncer.Sync(context.Background(), desired, managed, "1", namespace, sync.WithLogr(quiet))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if first {
			fmt.Println("ready")
		}
		select {
		case <-changed:
		case <-timer.C:
		}
	}
}

func read(folder string) ([]*unstructured.Unstructured, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var found []*unstructured.Unstructured
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		objects, err := kube.SplitYAML(text)
		if err != nil {
			return nil, err
		}
		found = append(found, objects...)
	}
	return found, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
