// Command registry is the reference registry, distribution v3, by its own
// configuration file. It leaves out the storage of clouds.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: registry CONFIGURATION"))
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := serve(stop, os.Args[1]); err != nil && !errors.Is(err, http.ErrServerClosed) {
		fail(err)
	}
}

// serve answers until it is told to stop.
func serve(stop context.Context, file string) error {
	text, err := os.Open(file)
	if err != nil {
		return err
	}
	defer text.Close()
	config, err := configuration.Parse(text)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: config.HTTP.Addr, Handler: handlers.NewApp(stop, config)}
	go func() {
		<-stop.Done()
		server.Close()
	}()
	if config.HTTP.TLS.Certificate != "" {
		return server.ListenAndServeTLS(config.HTTP.TLS.Certificate, config.HTTP.TLS.Key)
	}
	return server.ListenAndServe()
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
