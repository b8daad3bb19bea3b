package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

const (
	headerSize  = 16 // length, request id, response to, operation; 4 bytes each
	largest     = 48_000_000
	opMsg       = 2013
	noReply     = 1 << 1 // flag moreToCome: the client wants no answer
	bodySection = 0
)

// writing is held from before a command that writes is passed on until FerretDB
// has answered it. The client need not have read the answer: one that is stuck
// must not stop the others.
var writing sync.Mutex

var writes = map[string]bool{
	"insert": true, "update": true, "delete": true,
	"findAndModify": true, "findandmodify": true,
}

// accept gives each client a connection of its own to the server inside.
func accept(clients net.Listener, inside string) error {
	for {
		client, err := clients.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("unix", inside)
			if err != nil {
				return
			}
			defer server.Close()
			for err == nil {
				err = pass(client, server)
			}
		}()
	}
}

// pass passes on one command and its answer.
func pass(client, server net.Conn) error {
	command, err := read(client)
	if err != nil {
		return err
	}
	reply, err := ask(server, command)
	if err != nil {
		return err
	}
	_, err = client.Write(reply)
	return err
}

// ask gets the answer to a command, alone if it writes.
func ask(server net.Conn, command []byte) ([]byte, error) {
	name, flags, err := describe(command)
	if err != nil {
		return nil, err
	}
	if writes[name] {
		writing.Lock()
		defer writing.Unlock()
	}
	if _, err := server.Write(command); err != nil {
		return nil, err
	}
	if flags&noReply != 0 {
		// Nobody could tell when it is done. Nothing of ours writes like this.
		return nil, errors.New("unacknowledged commands are not served")
	}
	return read(server)
}

// read reads one message, header and all.
func read(from net.Conn) ([]byte, error) {
	message := make([]byte, headerSize)
	if _, err := io.ReadFull(from, message); err != nil {
		return nil, err
	}
	length := int(binary.LittleEndian.Uint32(message))
	if length < headerSize || length > largest {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message = append(message, make([]byte, length-headerSize)...)
	_, err := io.ReadFull(from, message[headerSize:])
	return message, err
}

// describe finds the name of a command, which is the first key of its body, and
// its flags. What is no OP_MSG is a client that says hello the old way.
func describe(message []byte) (name string, flags uint32, err error) {
	if binary.LittleEndian.Uint32(message[12:]) != opMsg {
		return "", 0, nil
	}
	malformed := errors.New("a malformed OP_MSG")
	if len(message) < headerSize+4 {
		return "", 0, malformed
	}
	flags = binary.LittleEndian.Uint32(message[headerSize:])
	for rest := message[headerSize+4:]; len(rest) > 6; {
		if rest[0] == bodySection {
			// Its length, the type of its first element, and that element's key.
			key, _, found := bytes.Cut(rest[6:], []byte{0})
			if !found {
				return "", 0, malformed
			}
			return string(key), flags, nil
		}
		size := int(binary.LittleEndian.Uint32(rest[1:]))
		if size < 4 || size >= len(rest) {
			return "", 0, malformed
		}
		rest = rest[1+size:]
	}
	return "", 0, malformed
}
