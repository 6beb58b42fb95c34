package cloudwatch

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/clustertest/moto"
)

// logbook is a log that can be read while it is written.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logbook) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) { // a poll's pause
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// keeper is what the agent says of the cluster.
type keeper struct {
	mu    sync.Mutex
	f     Figures
	is    bool
	asked int // since set
}

func (k *keeper) set(f Figures, is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.f, k.is, k.asked = f, is, 0
}

func (k *keeper) figures() (Figures, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return k.f, k.is
}

func (k *keeper) askedTimes(n int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked >= n
}

// running is a writer that writes all the time, until the test ends.
func running(t *testing.T) (*awsproxy.Proxy, *keeper, *logbook) {
	p, k, log := awsproxy.New(t, moto.Start(t)), &keeper{}, &logbook{}
	w := New("us-east-1", "quorate", "c1", slog.New(slog.NewTextHandler(log, nil)))
	w.every = 5 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, k.figures) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p, k, log
}

func TestFigures(t *testing.T) {
	p, k, _ := running(t)
	age, unshipped, keys, percent := 90*time.Second, 3*time.Second, int64(7), 12.5
	k.set(Figures{BackupAge: &age, Unshipped: &unshipped, Keys: &keys, FailureTolerance: 1, DBSizePercent: &percent, UnhealthyMembers: 2}, true)
	eventually(t, "figures", func() bool { return p.Count("PutMetricData") > 1 })
	cfg, err := machine.Load(t.Context(), "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	api := cloudwatch.NewFromConfig(cfg)
	for name, want := range map[string]float64{"BackupAge": 90, "UnshippedSeconds": 3, "Keys": 7, "FailureTolerance": 1, "DBSizePercent": 12.5, "UnhealthyMembers": 2} {
		out, err := api.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{Namespace: aws.String("quorate"), MetricName: &name,
			Dimensions: []types.Dimension{{Name: aws.String("Cluster"), Value: aws.String("c1")}}, Period: aws.Int32(3600), Statistics: []types.Statistic{types.StatisticMaximum},
			StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Hour))})
		if err != nil || len(out.Datapoints) == 0 || *out.Datapoints[0].Maximum != want {
			t.Errorf("%s: %+v, %v; want %v", name, out, err, want)
		}
	}
}

// What is not known is missing, and what is not the keeper is silent.
func TestOnlyWhatIsKnown(t *testing.T) {
	w := New("", "quorate", "c1", slog.New(slog.DiscardHandler))
	var names []string
	for _, d := range w.data(Figures{}, time.Now()) {
		names = append(names, *d.MetricName)
	}
	if got := strings.Join(names, " "); got != "FailureTolerance UnhealthyMembers" {
		t.Errorf("figures of a keeper that knows little: %s", got)
	}
	p, k, _ := running(t)
	k.set(Figures{}, true)
	eventually(t, "figures", func() bool { return p.Count("PutMetricData") > 0 })
	k.set(Figures{}, false)
	eventually(t, "that it is asked", func() bool { return k.askedTimes(1) }) // and so puts nothing any more
	before := p.Count("PutMetricData")
	eventually(t, "that it is asked again", func() bool { return k.askedTimes(5) })
	if n := p.Count("PutMetricData"); n != before {
		t.Errorf("%d calls by one that is not the keeper", n-before)
	}
}

func TestAFailureIsLoggedOnce(t *testing.T) {
	p, k, log := running(t)
	k.set(Figures{}, true)
	p.Inject("PutMetricData", awsproxy.Denied)
	eventually(t, "attempts", func() bool { return p.Count("PutMetricData") > 5 })
	if n := log.count("do not reach"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
	p.Heal()
	eventually(t, "that it says so", func() bool { return log.count("reach CloudWatch again") == 1 })
}
