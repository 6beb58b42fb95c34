//go:build !linux

package etcd

import "os"

func flush(*os.File) {}
