package main

import (
	"fmt"
	"io"
	"runtime/debug"

	etcdversion "go.etcd.io/etcd/api/v3/version"
)

// version is set by the linker; a plain `go build` says what it knows.
var version = "dev"

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	fmt.Fprintf(out, "quorate %s\netcd %s (built in)\n%s\n", version, etcdversion.Version, goVersion())
	return nil
}

func goVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "go"
}
