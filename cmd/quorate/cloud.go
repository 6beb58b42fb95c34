package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/quorate/quorate/internal/agent"
	"github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cloudwatch"
	"github.com/quorate/quorate/internal/etcd"
	"github.com/quorate/quorate/internal/lifecycle"
)

// cloud gives the agent its hands and ears on AWS, where its peers are there.
func (w *wiring) cloud() error {
	if strings.HasPrefix(w.cfg.Peers, "aws-") {
		metadata, err := aws.OpenMetadata()
		if err != nil {
			return err
		}
		w.parts.Cloud = lifecycle.New()
		w.parts.Hints = append(w.parts.Hints, lifecycle.WatchSpot(metadata, w.parts.Log))
	}
	if w.cfg.Queue != "" {
		w.parts.Hints = append(w.parts.Hints, lifecycle.OpenQueue(w.cfg.Queue, w.parts.Log))
	}
	return nil
}

// putFigures puts the keeper's figures into CloudWatch until ctx ends.
func (w *wiring) putFigures(ctx context.Context, a *agent.Agent) {
	if w.cfg.Cloudwatch == "" {
		return
	}
	quota := etcd.Quota(w.cfg.EtcdFlags, w.parts.Environ)
	_ = cloudwatch.New(firstRegion(w.cfg.Peers), w.cfg.Cloudwatch, w.cfg.Cluster, w.parts.Log).Run(ctx, func() (cloudwatch.Figures, bool) {
		return figures(a, quota)
	})
}

func figures(a *agent.Agent, quota int64) (cloudwatch.Figures, bool) {
	r, s := a.Report(), a.Status()
	if !r.Keeper {
		return cloudwatch.Figures{}, false
	}
	f := cloudwatch.Figures{FailureTolerance: s.Tolerance, UnhealthyMembers: s.Voters - s.Healthy}
	if s.Backup != nil {
		f.BackupAge, f.Keys = &s.BackupAge, &s.Backup.Keys
	}
	if age, ships := a.Unshipped(); ships {
		f.Unshipped = &age
	}
	if r.Etcd.DBSize > 0 && quota > 0 {
		percent := 100 * float64(r.Etcd.DBSize) / float64(quota)
		f.DBSizePercent = &percent
	}
	return f, true
}

// firstRegion is where a cluster of many regions puts its figures, wherever the
// keeper is: the first that --peers names. Empty: this machine's own.
func firstRegion(source string) string {
	_, query, _ := strings.Cut(source, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(values.Get("regions"), ",")
	if first == "" {
		first = values.Get("region")
	}
	return first
}
