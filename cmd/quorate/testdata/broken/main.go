// Broken is a quorate that can be measured with, and that does not run.
package main

import (
	"fmt"
	"os"
	"syscall"
)

var real string // path of a quorate; set when it is built

func main() {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		fmt.Fprintln(os.Stderr, "quorate: broken on purpose")
		os.Exit(1)
	}
	if err := syscall.Exec(real, os.Args, os.Environ()); err != nil {
		panic(err)
	}
}
