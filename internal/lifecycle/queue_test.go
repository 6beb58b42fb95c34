package lifecycle

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/cluster"
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

// listening is a queue on moto that is listened to.
type listening struct {
	*testing.T
	proxy *awsproxy.Proxy
	url   string
	log   *logbook
	heard chan cluster.Notice
	sqs   *sqs.Client
	stop  context.CancelFunc
	done  chan error
}

func listen(t *testing.T) *listening {
	l := &listening{T: t, proxy: awsproxy.New(t, moto.Start(t)), log: &logbook{}, heard: make(chan cluster.Notice, 99), done: make(chan error, 1)}
	cfg, err := machine.Load(t.Context(), region)
	if err != nil {
		t.Fatal(err)
	}
	l.sqs = sqs.NewFromConfig(cfg)
	out, err := l.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("q"), Attributes: map[string]string{"VisibilityTimeout": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	l.url = *out.QueueUrl
	q := OpenQueue(l.url, slog.New(slog.NewTextHandler(l.log, nil)))
	q.wait, q.minPause, q.maxPause = 0, time.Millisecond, 10*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	go func() { l.done <- q.Run(ctx, func(n cluster.Notice) { l.heard <- n }) }()
	t.Cleanup(func() {
		l.stop()
		if err := <-l.done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l
}

func (l *listening) eventually(what string, ok func() bool) {
	l.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.Fatalf("never: %s", what)
		}
	}
}

// left is how many messages the queue holds, those in flight too.
func (l *listening) left() int {
	l.Helper()
	out, err := l.sqs.GetQueueAttributes(l.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &l.url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		l.Fatal(err)
	}
	n := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		if out.Attributes[name] != "0" {
			n++
		}
	}
	return n
}

func TestMessagesAreHeardAndGone(t *testing.T) {
	l := listen(t)
	l.proxy.Send(region, l.url, "nonsense "+strings.Repeat("x", 5000))
	l.proxy.Send(region, l.url, trial)
	l.proxy.Send(region, l.url, strings.ReplaceAll(direct, `"g"`, `"foreign"`))
	l.proxy.Send(region, l.url, direct)
	l.proxy.Send(region, l.url, direct)
	l.proxy.Send(region, l.url, bySNS(spot))
	got := map[cluster.Notice]int{}
	for range 4 {
		select {
		case n := <-l.heard:
			got[n]++
		case <-time.After(20 * time.Second):
			t.Fatalf("heard only %v", got)
		}
	}
	const id = "i-0123456789abcdef0"
	if got[cluster.Notice{Kind: cluster.NoticeTerminating, PeerID: id, Group: "g"}] != 2 || got[cluster.Notice{Kind: cluster.NoticeSpot, PeerID: id}] != 1 ||
		got[cluster.Notice{Kind: cluster.NoticeTerminating, PeerID: id, Group: "foreign"}] != 1 { // whose it is, the agent knows
		t.Errorf("heard %v", got)
	}
	l.eventually("an empty queue", func() bool { return l.left() == 0 })
	if n := l.log.count("makes no sense"); n != 1 {
		t.Errorf("nonsense is logged %d times, want once", n)
	}
	if l.log.count(strings.Repeat("x", shown+1)) > 0 {
		t.Error("all of it is logged")
	}
}

func TestAQueueThatFailsIsWaitedFor(t *testing.T) {
	l := listen(t)
	for _, fault := range []awsproxy.Fault{awsproxy.Broken, awsproxy.Denied, {Status: 400, Code: "AWS.SimpleQueueService.NonExistentQueue", Message: "gone"}} {
		l.proxy.Inject("ReceiveMessage", fault)
		before := l.proxy.Count("ReceiveMessage")
		l.eventually("more attempts", func() bool { return l.proxy.Count("ReceiveMessage") > before+6 })
	}
	if n := l.log.count("does not answer"); n != 1 {
		t.Errorf("the failure is logged %d times, want once", n)
	}
	l.proxy.Send(region, l.url, direct)
	l.proxy.Heal()
	select {
	case <-l.heard:
	case <-time.After(20 * time.Second):
		t.Fatal("healed, and nothing is heard")
	}
	l.eventually("that it says so", func() bool { return l.log.count("answers again") == 1 })
}

// A message that cannot be deleted comes again; nothing ends.
func TestDeletingFails(t *testing.T) {
	l := listen(t)
	l.proxy.Inject("DeleteMessage", awsproxy.Denied)
	l.proxy.Send(region, l.url, direct)
	for range 2 {
		select {
		case <-l.heard:
		case <-time.After(20 * time.Second):
			t.Fatal("it does not come again")
		}
	}
	l.proxy.Heal()
	l.eventually("an empty queue", func() bool { return l.left() == 0 })
}

func TestQueueURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://sqs.eu-central-1.amazonaws.com/123456789012/q":  "eu-central-1",
		"https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q": "cn-north-1",
		"https://us-west-2.queue.amazonaws.com/123456789012/q":   "us-west-2",
		"http://127.0.0.1:5000/123456789012/q":                   "",
	} {
		if got := queueRegion(url); got != want {
			t.Errorf("%s is in %q, want %q", url, got, want)
		}
		if err := CheckQueue(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, bad := range []string{"", "q", "arn:aws:sqs:eu-central-1:123456789012:q", "https://sqs.eu-central-1.amazonaws.com", "https:///q", "http://%",
		"http://u:hunter2@q", "https://u:hunter2@sqs.eu-central-1.amazonaws.com/1/q", "https://sqs.eu.amazonaws.com:hunter2/1/q"} {
		if err := CheckQueue(bad); err == nil || !strings.Contains(err.Error(), "want the URL of an SQS queue") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSpotNoticeIsPassedOnOnce(t *testing.T) {
	imds := awstest.Serve(t, awstest.Instance{ID: "i-0123456789abcdef0", Region: region, Zone: region + "a"})
	imds.Point(t)
	metadata, err := machine.OpenMetadata()
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan cluster.Notice, 99)
	s := WatchSpot(metadata, slog.New(slog.DiscardHandler))
	s.every = time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, func(n cluster.Notice) { heard <- n }) }()
	imds.Rebalance(time.Now())
	if n := <-heard; n != (cluster.Notice{Kind: cluster.NoticeRebalance, PeerID: "i-0123456789abcdef0"}) {
		t.Errorf("heard %+v", n)
	}
	imds.Refuse(500)
	imds.Refuse(0)
	imds.Interrupt("terminate", time.Now().Add(2*time.Minute))
	if n := <-heard; n != (cluster.Notice{Kind: cluster.NoticeSpot, PeerID: "i-0123456789abcdef0"}) {
		t.Errorf("heard %+v", n)
	}
	before := imds.Calls("meta-data/spot/instance-action")
	for imds.Calls("meta-data/spot/instance-action") < before+5 {
		time.Sleep(time.Millisecond) // a poll's pause
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(heard) > 0 {
		t.Errorf("heard again: %+v", <-heard)
	}
}
