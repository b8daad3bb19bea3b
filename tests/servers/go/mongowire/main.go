// Command mongowire serves MongoDB's wire protocol over SQLite files, by
// FerretDB as a library. It stands for a standalone MongoDB: no transactions,
// no updates by aggregation pipeline.
//
// FerretDB compares and sets in two steps, which no MongoDB does: of 80 racing
// updates that all reported a match, 11 were there afterwards. So it listens on
// a private socket, and what clients reach passes their commands on, those that
// write one after the other.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: mongowire HOST:PORT DATA_DIRECTORY"))
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := serve(stop, os.Args[1], os.Args[2]); err != nil {
		fail(err)
	}
}

// serve runs FerretDB and the way to it until one of them ends.
func serve(stop context.Context, address, data string) error {
	inside := filepath.Join(data, "socket")
	// A kill -9 leaves the socket behind, and nobody can listen on an old one.
	if err := os.Remove(inside); err != nil && !os.IsNotExist(err) {
		return err
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{Unix: inside},
		Handler:   "sqlite",
		// FerretDB makes a transaction of every row that an update changes. One
		// that waits for the disk each time takes 2 ms, as on no MongoDB, which
		// writes its journal ten times a second; a kill -9 loses neither.
		SQLiteURL: "file:" + data + "/?_pragma=synchronous(normal)",
	})
	if err != nil {
		return err
	}
	clients, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- server.Run(stop) }()
	go func() { ended <- accept(clients, inside) }()
	return <-ended
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
