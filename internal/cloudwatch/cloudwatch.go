// Package cloudwatch puts the cluster's figures into CloudWatch, for alarms
// that outlive the machines; Prometheus has them all and more.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	machine "github.com/quorate/quorate/internal/aws"
)

// Figures are the keeper's. What is not known is left out: an alarm sees that
// as missing data, and a made-up number it could not tell from a good one.
type Figures struct {
	BackupAge        *time.Duration // of the newest good backup
	Unshipped        *time.Duration // age of the oldest committed entry that the store lacks
	Keys             *int64         // at that backup
	FailureTolerance int            // voters that may fail with a quorum left
	DBSizePercent    *float64       // of etcd's quota
	UnhealthyMembers int            // voters
}

// Writer puts figures with the dimension Cluster. Use it once.
type Writer struct {
	region, namespace, cluster string
	log                        *slog.Logger
	every                      time.Duration
}

const callLimit = 20 * time.Second

// New asks nothing yet. An empty region is this machine's own.
func New(region, namespace, cluster string, log *slog.Logger) *Writer {
	return &Writer{region, namespace, cluster, log, time.Minute}
}

// Run puts the figures each minute until ctx ends, when there are any: figures
// says false on all nodes but the keeper. A failure costs that minute's
// figures; it is logged when it begins and when it ends.
func (w *Writer) Run(ctx context.Context, figures func() (Figures, bool)) error {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	var client *cloudwatch.Client
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		f, any := figures()
		if !any {
			continue
		}
		err := w.put(ctx, &client, f)
		switch kind := kindOf(err); {
		case ctx.Err() != nil, kind == said:
		case err != nil:
			w.log.Warn("the figures do not reach CloudWatch", "namespace", w.namespace, "error", err)
			said = kind
		default:
			w.log.Info("the figures reach CloudWatch again", "namespace", w.namespace)
			said = kind
		}
	}
}

// kindOf is what is the same in the same failure: its text has request ids.
func kindOf(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return "no answer"
}

func (w *Writer) put(ctx context.Context, client **cloudwatch.Client, f Figures) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if *client == nil {
		cfg, err := machine.Load(ctx, w.region)
		if err != nil {
			return err
		}
		*client = cloudwatch.NewFromConfig(cfg)
	}
	_, err := (*client).PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &w.namespace, MetricData: w.data(f, time.Now())})
	if err != nil {
		return fmt.Errorf("putting figures into CloudWatch: %w", err)
	}
	return nil
}

// data are the figures that are known.
func (w *Writer) data(f Figures, now time.Time) []types.MetricDatum {
	var out []types.MetricDatum
	add := func(name string, unit types.StandardUnit, value float64) {
		out = append(out, types.MetricDatum{MetricName: &name, Unit: unit, Value: &value, Timestamp: &now,
			Dimensions: []types.Dimension{{Name: aws.String("Cluster"), Value: &w.cluster}}})
	}
	add("FailureTolerance", types.StandardUnitCount, float64(f.FailureTolerance))
	add("UnhealthyMembers", types.StandardUnitCount, float64(f.UnhealthyMembers))
	if f.BackupAge != nil {
		add("BackupAge", types.StandardUnitSeconds, f.BackupAge.Seconds())
	}
	if f.Unshipped != nil {
		add("UnshippedSeconds", types.StandardUnitSeconds, f.Unshipped.Seconds())
	}
	if f.Keys != nil {
		add("Keys", types.StandardUnitCount, float64(*f.Keys))
	}
	if f.DBSizePercent != nil {
		add("DBSizePercent", types.StandardUnitPercent, *f.DBSizePercent)
	}
	return out
}
