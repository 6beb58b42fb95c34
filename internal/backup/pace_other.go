//go:build !linux

package backup

import "os"

func beginWriting(*os.File, int64, int64) {}
