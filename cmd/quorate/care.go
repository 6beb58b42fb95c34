package main

import (
	"os"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
)

// careSettings are an operator's wishes for what the keeper looks after.
func careSettings(c config.Config) plan.CareSettings {
	s := plan.CareSettings{HashEvery: c.HashCheck, CompactKeep: c.CompactKeep, DefragBelow: c.DefragBelow}
	if compactsItself(c.EtcdFlags, os.Environ()) {
		s.CompactKeep = 0
	}
	return s
}

// compactsItself says that etcd has been told what to forget.
func compactsItself(flags, environ []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(strings.TrimLeft(f, "-"), "auto-compaction-") }) ||
		slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, "ETCD_AUTO_COMPACTION_") })
}
