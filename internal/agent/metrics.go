package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/store"
)

// metrics are the agent's own; etcd serves its own beside its client port.
type metrics struct {
	registry   *prometheus.Registry
	decisions  *prometheus.CounterVec
	steps      *prometheus.CounterVec
	seconds    prometheus.Histogram
	epoch      prometheus.Gauge
	voters     prometheus.Gauge
	healthy    prometheus.Gauge
	tolerance  prometheus.Gauge
	lag        *prometheus.GaugeVec
	ails       *prometheus.GaugeVec
	restarts   prometheus.Gauge
	ready      prometheus.Gauge
	backupAge  prometheus.Gauge
	backups    *prometheus.CounterVec
	storeFails prometheus.Counter
	exchanges  prometheus.Counter
	clouds     *prometheus.CounterVec
	names      *prometheus.CounterVec
	handOvers  *prometheus.CounterVec
	roll       prometheus.Gauge
	rollState  *prometheus.GaugeVec
}

func newMetrics(st *store.Store) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "quorate", Name: name, Help: help})
		m.registry.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "quorate", Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	vec := func(name, help string, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quorate", Name: name, Help: help}, []string{label})
		m.registry.MustRegister(c)
		return c
	}
	m.decisions = vec("decisions_total", "Rounds of the loop, by the reason of their decision.", "reason")
	m.steps = vec("steps_total", "Steps taken, by kind.", "step")
	m.seconds = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "quorate", Name: "round_seconds",
		Help: "Time to observe and decide.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)})
	m.registry.MustRegister(m.seconds)
	m.epoch = gauge("epoch", "Epoch of the charter in force; 0 when none is known.")
	m.voters = gauge("voters", "Voting members.")
	m.healthy = gauge("healthy_voters", "Voting members that are healthy.")
	m.tolerance = gauge("failure_tolerance", "Voters that may fail now without losing the quorum; negative when it is lost.")
	m.lag = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "quorate", Name: "learner_lag_entries", Help: "Raft entries that a learner is behind the leader."}, []string{"member"})
	m.registry.MustRegister(m.lag)
	m.ails = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "quorate", Name: "voter_ails",
		Help: "1 for each voter that fares badly in the keeper's eyes, by kind: paused, slow, hung, starting, cut off, unreached, uncertain, down, unheard."}, []string{"member", "kind"})
	m.registry.MustRegister(m.ails)
	m.restarts = gauge("etcd_restarts", "Times that this agent has seen its etcd end by itself.")
	m.ready = gauge("ready", "1 when this node is a voter in a healthy cluster.")
	m.backupAge = gauge("backup_age_seconds", "Age of the newest good backup; -1 when none is known.")
	m.backups = vec("backups_total", "Backups that this agent has asked for, by result.", "result")
	m.names = vec("dns_rounds_total", "Comparisons of the DNS zone with the cluster, by the keeper, by result: done, refused, failed.", "result")
	m.handOvers = vec("handovers_total", "Hand-overs of the lead by this agent: held (no voter proposed anything meanwhile), unheld (one may have), failed.", "result")
	m.roll = gauge("roll_number", "Number of the newest roll: of its first entry; 0 when there is none.")
	m.rollState = prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "quorate", Name: "roll_state", Help: "1 for the state of the newest roll: open, done, failed, cancelled."}, []string{"state"})
	m.registry.MustRegister(m.rollState)
	m.storeFails = counter("store_errors_total", "Passes over the store that failed.")
	m.exchanges = counter("silent_exchanges_total", "Exchanges of reports that another agent did not answer.")
	m.clouds = prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "quorate", Name: "cloud_calls_total",
		Help: "What this agent has asked of the cloud for machines, by step and result."}, []string{"step", "result"})
	m.registry.MustRegister(m.clouds)
	m.registry.MustRegister(storeRequests(st))
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// requestCount collects the store's own count of requests.
type requestCount struct {
	store *store.Store
	desc  *prometheus.Desc
}

func storeRequests(st *store.Store) requestCount {
	return requestCount{st, prometheus.NewDesc("quorate_store_requests_total", "Requests made to the store, by operation.", []string{"op"}, nil)}
}

// Describe names the one metric.
func (c requestCount) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect reads the count; without a store there is nothing to count.
func (c requestCount) Collect(to chan<- prometheus.Metric) {
	if c.store == nil {
		return
	}
	for op, n := range c.store.Requests() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), op)
	}
}

// pulse registers how long the disk under etcd takes to make a few bytes durable.
func (m *metrics) pulse(seconds func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quorate", Name: "fsync_seconds",
		Help: "How long the disk under etcd last took to make a few bytes durable."}, seconds))
}

// copyLag registers the age of what the second store lacks.
func (m *metrics) copyLag(seconds func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "quorate", Name: "backup_copy_lag_seconds",
		Help: "Age of the oldest backup that the second store lacks, as the keeper knows; 0 when it has all, and on other nodes."}, seconds))
}

func (m *metrics) round(d plan.Decision, took time.Duration) {
	m.decisions.WithLabelValues(d.Verb + ": " + d.Reason).Inc()
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) step(s plan.Step) { m.steps.WithLabelValues(stepKind(s)).Inc() }
func (m *metrics) storeError()      { m.storeFails.Inc() }
func (m *metrics) silent(_ string)  { m.exchanges.Inc() }
func (m *metrics) backup(err error) { m.backups.WithLabelValues(result(err)).Inc() }

func (m *metrics) cloud(s plan.Step, err error) {
	m.clouds.WithLabelValues(stepKind(s), result(err)).Inc()
}

func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "good"
}

// publish sets the gauges from the round's status.
func (m *metrics) publish(s *snapshot, status func() control.Status) {
	st := status()
	m.epoch.Set(float64(st.Epoch))
	m.voters.Set(float64(st.Voters))
	m.healthy.Set(float64(st.Healthy))
	m.tolerance.Set(float64(st.Tolerance))
	m.restarts.Set(float64(s.report.Etcd.Restarts))
	m.ready.Set(0)
	if s.ready {
		m.ready.Set(1)
	}
	m.rollState.Reset()
	if r := s.report.Roll; r != nil {
		m.roll.Set(float64(r.FirstNumber()))
		m.rollState.WithLabelValues(string(r.State)).Set(1)
	}
	m.backupAge.Set(-1)
	if st.Backup != nil {
		m.backupAge.Set(st.BackupAge.Seconds())
	}
	m.ails.Reset()
	for _, ails := range plan.Ailments(s.observation) {
		m.ails.WithLabelValues(ails.Name, ails.Kind).Set(1)
	}
	m.lag.Reset()
	for _, n := range st.Nodes {
		if n.Role == "learner" {
			m.lag.WithLabelValues(n.Name).Set(float64(n.Lag))
		}
	}
}

// stepKind is a step's type, the only label with few values.
func stepKind(s plan.Step) string {
	name := fmt.Sprintf("%T", s)
	return name[strings.LastIndexByte(name, '.')+1:]
}
