package rfc2136_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/named"
	"github.com/quorate/quorate/internal/publish/publishtest"
	"github.com/quorate/quorate/internal/publish/rfc2136"
)

// TestLostReply: BIND makes an update, and the connection ends before its answer.
func TestLostReply(t *testing.T) {
	s := named.Start(t, "example.org")
	var armed, lost atomic.Int32
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go relay(client, s.Addr, func(query []byte) bool {
				const update = 5 // the opcode
				if query[2]>>3&0xf != update || !armed.CompareAndSwap(1, 0) {
					return false
				}
				lost.Add(1)
				return true
			})
		}
	}()
	publishtest.LostReply(t, "example.org", rfc2136.Open("example.org", ln.Addr().String(), keyOf(s)), func() { armed.Store(1) })
	if lost.Load() != 3 {
		t.Errorf("%d answers were lost", lost.Load())
	}
}

// relay passes messages of DNS over TCP on, and all answers but the ones to lose.
func relay(client net.Conn, to string, loses func([]byte) bool) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		query, err := message(client)
		if err != nil {
			return
		}
		lose := loses(query[2:])
		if _, err := server.Write(query); err != nil {
			return
		}
		if lose {
			_, _ = message(server) // it has been made
			return
		}
		go func() { _, _ = io.Copy(client, server) }() // a transfer has many answers
	}
}

// message is one, with its length in front.
func message(from io.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint16(head))
	_, err := io.ReadFull(from, body)
	return append(head, body...), err
}
