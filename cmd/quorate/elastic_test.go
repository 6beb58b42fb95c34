package main

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/clustertest/etcd34"
)

// elasticLine is elastic-etcd's README, with one word changed.
const elasticLine = `args=$("$PROGRAM" elastic-etcd -v=6 -logtostderr -discovery=$DISCOVERY_URL -o flags -name=$NAME -client-port=2379 \
  -initial-advertise-peer-urls=http://$ADDR:2380 -data-dir="$DIR" $MORE) &&
exec "$PROGRAM" etcd $args -listen-peer-urls=http://$ADDR:2380 -listen-client-urls=http://$ADDR:2379 -advertise-client-urls=http://$ADDR:2379`

// elasticEnv is the same by variables and eval.
const elasticEnv = `export ELASTIC_ETCD_DISCOVERY="$DISCOVERY_URL" ELASTIC_ETCD_NAME=$NAME ELASTIC_ETCD_CLIENT_PORT=2379 ELASTIC_ETCD_DATA_DIR="$DIR" \
  ELASTIC_ETCD_INITIAL_ADVERTISE_PEER_URLS=http://$ADDR:2380 ELASTIC_ETCD_JOIN_STRATEGY=prune ELASTIC_ETCD_CLUSTER_SIZE=-1
vars=$("$PROGRAM" elastic-etcd) && set -a && eval "$vars" &&
exec "$PROGRAM" etcd -listen-peer-urls=http://$ADDR:2380 -listen-client-urls=http://$ADDR:2379 -advertise-client-urls=http://$ADDR:2379`

// TestElastic: Debian's discovery service, elastic-etcd's own command lines, and
// one word changed: a new cluster, a restart, a lost disk, growth, a drop-in.
func TestElastic(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.store = ""
	discovery, _ := etcd34.Discovery(t, 3)
	hosts := map[string]*bare{}
	for i, n := range []string{"a", "b", "c", "d"} {
		hosts[n] = r.bare(n, 11+i)
		hosts[n].env = []string{"DISCOVERY_URL=" + discovery, "MORE="}
		must(t, os.Mkdir(hosts[n].dataDir(), 0o700))
	}
	hosts["a"].sh(elasticLine)
	hosts["b"].sh(elasticEnv)
	hosts["c"].sh(elasticLine)
	before := r.votes(90*time.Second, "a", "b", "c")
	r.put(r.client("a"), "kept", "1")

	hosts["b"].kill()
	hosts["b"].sh(elasticEnv)
	if again := r.votes(60*time.Second, "a", "b", "c"); again["b"].ID != before["b"].ID {
		t.Errorf("b was %v, and is %v", before["b"], again["b"])
	}

	hosts["c"].kill()
	must(t, os.RemoveAll(hosts["c"].etcdDir()))
	hosts["c"].sh(elasticLine)
	if after := r.votes(60*time.Second, "a", "b", "c"); after["c"].ID == before["c"].ID {
		t.Errorf("c lost its disk, and is %v again", after["c"])
	}
	r.wantValue(r.client("c"), "kept", "1")

	hosts["d"].env[1] = "MORE=-cluster-size 5"
	hosts["d"].sh(elasticLine)
	r.votes(60*time.Second, "a", "b", "c", "d")

	// All stop, and one loses its disk: it founds nothing.
	for _, h := range hosts {
		h.kill()
	}
	must(t, os.RemoveAll(hosts["a"].etcdDir()))
	line := []string{"-discovery", discovery, "-name", "a", "--initial-advertise-peer-urls", hosts["a"].url(2380), "-data-dir", hosts["a"].etcdDir(), "--wait", "0s"}
	out, errOut, code := r.quorate(append([]string{"elastic-etcd"}, line...)...)
	if code != 1 || out != "" || !strings.Contains(errOut, "on a disk that is lost, and no member answers") {
		t.Errorf("exit code %d %q %s", code, out, errOut)
	}
	if token := discovery[strings.LastIndex(discovery, "/")+1:]; strings.Contains(errOut, token) {
		t.Errorf("the token is in %s", errOut)
	}

	// The drop-in, with the same flags of explain; systemd itself reads it.
	line = append([]string{"explain", "-o", "dropin"}, "-discovery", discovery, "-name=b", "--initial-advertise-peer-urls", hosts["b"].url(2380), "-data-dir", hosts["b"].etcdDir())
	out, errOut, code = r.quorate(line...)
	if code != 0 {
		t.Fatalf("%d %s", code, errOut)
	}
	want := map[string]string{"ETCD_NAME": "b", "ETCD_DATA_DIR": hosts["b"].etcdDir(), "ETCD_INITIAL_ADVERTISE_PEER_URLS": hosts["b"].url(2380)}
	if got := systemdEnvironment(t, out); !maps.Equal(got, want) {
		t.Errorf("the drop-in says %v, want %v", got, want)
	}
	verifyUnit(t, out)
}

// TestElasticRefused: what is wrong is said at once, by elastic-etcd's names.
func TestElasticRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for want, args := range map[string][]string{
		"name: not given":         {"-discovery=http://127.0.0.1:1/x"},
		"discovery: not given":    {"-name", "a"},
		"cluster-size: \"many\"":  {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-cluster-size=many"},
		"want URLs as":            {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=10.0.0.1"},
		"without a user or":       {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=http://u:hunter2@10.0.0.1"},
		"or password":             {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=http://u:hunter2@10.0.0.1:2380"},
		"\"10.0.0.2\": want URLs": {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=http://10.0.0.1:2380,10.0.0.2"},
		"want one scheme":         {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=http://10.0.0.1:2380,https://10.0.0.2:2380"},
		"said as a flag":          {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-data-dir", "my data", "-o", "flags", "--wait", "0s"}, // before anybody is asked
		"want --peer-cert-file":   {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-initial-advertise-peer-urls=https://10.0.0.1:2380"},
		"want a value":            {"-name"},
		"must be one of":          {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-o", "yaml", "--wait", "0s"},
		"join: \"often\"":         {"-name", "a", "-discovery=http://127.0.0.1:1/x", "-join-strategy", "often"},
		"unknown flag --nonsense": {"-name", "a", "-discovery=http://127.0.0.1:1/x", "--nonsense"},
	} {
		out, errOut, code := r.quorate(append([]string{"elastic-etcd"}, args...)...)
		if code != 2 || !strings.Contains(errOut, want) || strings.Contains(errOut, "hunter2") {
			t.Errorf("%v: %d %q %q, want %q", args, code, out, errOut, want)
		}
	}
}

// TestFromElastic: every form of its flags, and a variable where there is none.
func TestFromElastic(t *testing.T) {
	environ := map[string]string{"ELASTIC_ETCD_DISCOVERY": "http://d/t", "ELASTIC_ETCD_NAME": "other", "ELASTIC_ETCD_JOIN_STRATEGY": "add"}
	got, err := fromElastic([]string{"elastic-etcd", "-name", "a", "--cluster-size=0", "-v", "6", "-logtostderr", "-alsologtostderr=false", "--log_dir=/x", "--initial-advertise-peer-urls", "http://[2001:db8::1]:2390,http://10.0.0.1:2380", "--look", "1s"},
		func(k string) (string, bool) { v, ok := environ[k]; return v, ok })
	want := []string{"explain", "--elastic", "--register", "--as-voter", "-o", "env", "--name", "a", "--peers", "http://d/t", "--host", "2001:db8::1", "--peer-port", "2390",
		"--client-port", "2379", "--size", "0", "--join", "add", "--etcd-data-dir", "a.etcd", "--data-dir", "a.etcd.quorate", "--wait", "5m", "--look", "1s"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v %v\nwant %v", got, err, want)
	}
}
