package main

import (
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/plan"
)

// careSettings are an operator's wishes for what the keeper looks after.
func careSettings(c config.Config) plan.CareSettings {
	return plan.CareSettings{HashEvery: c.HashCheck}
}
