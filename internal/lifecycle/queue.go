package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	machine "github.com/quorate/quorate/internal/aws"
	"github.com/quorate/quorate/internal/cluster"
)

// Queue is an SQS queue of the group's messages.
//
// Every message that has been read is deleted, whatever it says. The queue is
// ours alone: left in it, a message of another group, a test or a malformed one
// would come back again and again for as long as it is kept, to every node. No
// message matters, so none is worth the dead letters; what could not be read
// is in the log. Those are for messages that end the reader.
type Queue struct {
	url string
	log *slog.Logger

	wait     int32         // seconds of a long poll
	minPause time.Duration // after a failure; doubles
	maxPause time.Duration
}

const (
	longPoll   = 20 // seconds: SQS's own limit
	pollLimit  = (longPoll + 10) * time.Second
	deleteTime = 5 * time.Second
	shown      = 300 // bytes of a malformed message that are logged
)

// CheckQueue says what is wrong with a queue's URL.
func CheckQueue(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || len(u.Path) < 2 {
		return errors.New("want the URL of an SQS queue, as https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, without a password") // which may be in what was given
	}
	return nil
}

// OpenQueue asks nothing yet.
func OpenQueue(queueURL string, log *slog.Logger) *Queue {
	return &Queue{url: queueURL, log: log, wait: longPoll, minPause: time.Second, maxPause: time.Minute}
}

// Run receives until ctx ends and calls hear with each notice. Failures are
// logged when they change, and waited out: the poll of the group goes on.
func (q *Queue) Run(ctx context.Context, hear func(cluster.Notice)) error {
	var client *sqs.Client
	said, pause := "", q.minPause
	for ctx.Err() == nil {
		err := q.round(ctx, &client, hear)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			if said != "" {
				q.log.Info("the queue answers again", "queue", q.url)
			}
			said, pause = "", q.minPause
		default:
			if said == "" {
				q.log.Warn("the queue does not answer: the group is polled all the same", "queue", q.url, "error", err)
			}
			said = err.Error()
			sleep(ctx, pause)
			pause = min(2*pause, q.maxPause)
		}
	}
	return nil
}

// round receives once.
func (q *Queue) round(ctx context.Context, client **sqs.Client, hear func(cluster.Notice)) error {
	if *client == nil {
		cfg, err := machine.Load(ctx, queueRegion(q.url))
		if err != nil {
			return err
		}
		if http, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			cfg.HTTPClient = http.WithTimeout(pollLimit) // a long poll takes longer than other calls may
		}
		*client = sqs.NewFromConfig(cfg)
	}
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	out, err := (*client).ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10, WaitTimeSeconds: q.wait})
	if err != nil {
		return fmt.Errorf("receiving from the queue: %w", err)
	}
	for _, m := range out.Messages {
		q.take(m, hear)
		q.forget(ctx, *client, m)
	}
	return nil
}

func (q *Queue) take(m types.Message, hear func(cluster.Notice)) {
	body := aws.ToString(m.Body)
	msg, err := Parse([]byte(body))
	switch {
	case err != nil:
		q.log.Warn("a message makes no sense", "message", aws.ToString(m.MessageId), "error", err, "begins", body[:min(len(body), shown)])
	case msg.Ignored != "":
		q.log.Debug("a message tells nothing", "message", aws.ToString(m.MessageId), "why", msg.Ignored)
	default:
		hear(msg.Notice)
	}
}

// forget deletes a message. One that stays is delivered again, to no harm.
func (q *Queue) forget(ctx context.Context, client *sqs.Client, m types.Message) {
	ctx, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		q.log.Debug("deleting a message", "message", aws.ToString(m.MessageId), "error", err)
	}
}

var queueHost = regexp.MustCompile(`^(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com`)

// queueRegion is the region in a queue's URL; empty when it has none: then the
// SDK's own.
func queueRegion(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	if m := queueHost.FindStringSubmatch(u.Host); m != nil {
		return m[1] + m[2]
	}
	return ""
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
