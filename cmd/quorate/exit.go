package main

import (
	"errors"
	"fmt"

	"github.com/quorate/quorate/internal/control"
)

// exitWith ends the program silently with that code: the output has said why.
type exitWith int

func (e exitWith) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usage is bad input: exit code 2, nothing written.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// noQuorum is `status` without an answer: as bad as no quorum.
type noQuorum struct{ error }

func (n noQuorum) Unwrap() error { return n.error }

func exitCode(err error) int {
	var u usage
	var n noQuorum
	if errors.As(err, &u) || errors.As(err, &n) {
		return 2
	}
	return 1
}

// hint adds what a person can do about an error.
func hint(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, control.ErrRefused):
		text += "\n(`quorate status` shows what the cluster does, `quorate explain` why)"
	}
	return text
}
