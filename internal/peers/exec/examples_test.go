package exec

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/clustertest/apt"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

// example is a program of the examples folder, as a source.
func example(t *testing.T, name string) *Source {
	t.Helper()
	apt.Need(t, "/usr/bin/jq", "jq")
	apt.Need(t, "/usr/bin/curl", "curl")
	path, err := filepath.Abs(filepath.Join("../../../examples", name))
	must(t, err)
	s, err := Open("exec://"+path+"?every=0s", usual)
	must(t, err)
	return s
}

// TestShellcheck: the examples are what people copy.
func TestShellcheck(t *testing.T) {
	files, err := filepath.Glob("../../../examples/*.sh")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	out, err := exec.Command(apt.Need(t, "/usr/bin/shellcheck", "shellcheck"), files...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// hetznerServer is one server as the API describes it, as far as it matters.
func hetznerServer(id int, name, status, ip string) string {
	return fmt.Sprintf(`{"id":%d,"name":%q,"status":%q,"created":"2026-01-0%dT03:04:05+00:00",
		"public_net":{"ipv4":{"ip":"203.0.113.%d"}},"private_net":[{"network":4711,"ip":%q}],
		"datacenter":{"id":1,"name":"fsn1-dc14","location":{"name":"fsn1","network_zone":"eu-central"}},"labels":{"etcd":""}}`, id, name, status, id, id, ip)
}

// TestHetzner: against the API's published shapes, two pages of them.
func TestHetzner(t *testing.T) {
	page := func(next string, servers ...string) string {
		return `{"servers":[` + strings.Join(servers, ",") + `],"meta":{"pagination":{"page":1,"per_page":50,"previous_page":null,"next_page":` + next + `}}}`
	}
	good := map[string]string{
		"1": page("2", hetznerServer(2, "b", "running", "10.0.0.2"), hetznerServer(1, "a", "off", "10.0.0.1")),
		"2": page("null", hetznerServer(3, "c", "starting", "10.0.0.3"), hetznerServer(4, "d", "deleting", "10.0.0.4")),
	}
	var pages atomic.Value // map[string]string
	pages.Store(good)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		answer, ok := pages.Load().(map[string]string)[q.Get("page")]
		switch {
		case r.Header.Get("Authorization") != "Bearer t0ken" || r.URL.Path != "/v1/servers" || q.Get("label_selector") != "etcd=prod":
			http.Error(w, `{"error":{"code":"unauthorized"}}`, http.StatusUnauthorized)
		case !ok:
			http.Error(w, `{"error":{"code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests)
		default:
			fmt.Fprint(w, answer)
		}
	}))
	defer api.Close()
	t.Setenv("HCLOUD_ENDPOINT", api.URL+"/v1")
	t.Setenv("HCLOUD_TOKEN", "t0ken")
	t.Setenv("HCLOUD_SELECTOR", "etcd=prod")
	t.Setenv("HCLOUD_SIZE", "3")
	want := cluster.View{Authoritative: true, Size: 3}
	for i, state := range []cluster.PeerState{cluster.Running, cluster.Running, cluster.Pending, cluster.Terminating} {
		p := peer(string(rune('a'+i)), fmt.Sprintf("10.0.0.%d", i+1))
		p.ID, p.State, p.Zone, p.Region = fmt.Sprint(i+1), state, "fsn1-dc14", "eu-central"
		p.Launched = time.Date(2026, 1, i+1, 3, 4, 5, 0, time.FixedZone("", 0))
		want.Peers = append(want.Peers, p)
	}
	s := example(t, "peers-hetzner.sh")
	peerstest.Run(t, peerstest.Leaf{Source: utc{s}, Want: utcView(want),
		Break: func() { pages.Store(map[string]string{"1": good["1"]}) }, // too many requests on the second page
		Mend:  func() { pages.Store(good) }})
	for name, broken := range map[string]string{
		"nothing":             ``,
		"no servers":          `{"meta":{"pagination":{"next_page":null}}}`,
		"an empty project":    page("null"),
		"no pagination":       `{"servers":[` + hetznerServer(1, "a", "running", "10.0.0.1") + `]}`,
		"no private address":  page("null", strings.Replace(hetznerServer(1, "a", "running", "10.0.0.1"), `{"network":4711,"ip":"10.0.0.1"}`, "", 1)),
		"not what we know":    `[]`,
		"two of the one name": page("null", hetznerServer(1, "a", "running", "10.0.0.1"), hetznerServer(2, "a", "running", "10.0.0.2")),
	} {
		pages.Store(map[string]string{"1": broken})
		if v, err := s.View(t.Context()); err == nil || v.Peers != nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
	pages.Store(good)
	t.Setenv("HCLOUD_TOKEN", "wrong")
	if v, err := s.View(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%+v, %v", v, err)
	}
}

// utc shows launch times in UTC, so that they compare.
type utc struct{ *Source }

func (s utc) View(ctx context.Context) (cluster.View, error) {
	v, err := s.Source.View(ctx)
	return utcView(v), err
}

func utcView(v cluster.View) cluster.View {
	for i := range v.Peers {
		v.Peers[i].Launched = v.Peers[i].Launched.UTC()
	}
	return v
}

// TestGCE: with a gcloud that prints what the real one does.
func TestGCE(t *testing.T) {
	dir := t.TempDir()
	instance := func(id, name, status, ip string) string {
		return fmt.Sprintf(`{"id":%q,"name":%q,"status":%q,"creationTimestamp":"2026-01-02T03:04:05.678-07:00","labels":{"etcd":"prod"},
			"zone":"https://www.googleapis.com/compute/v1/projects/p/zones/europe-west1-b","networkInterfaces":[{"networkIP":%q}]}`, id, name, status, ip)
	}
	list := "[" + instance("12", "a", "RUNNING", "10.0.0.1") + "," + instance("13", "b", "STAGING", "10.0.0.2") + "," + instance("14", "c", "TERMINATED", "10.0.0.3") + "]"
	must(t, os.WriteFile(filepath.Join(dir, "list"), []byte(list), 0o600))
	fake := filepath.Join(dir, "gcloud")
	gcloud := func(more string) {
		program(t, fake, fmt.Sprintf(`want='compute instances list --format=json --quiet --filter labels.etcd=prod --project p'
[ "$*" = "$want" ] || { echo "got $*" >&2; exit 2; }
%s
cat '%s/list'`, more, dir))
	}
	gcloud("")
	t.Setenv("GCLOUD", fake)
	t.Setenv("GCE_PROJECT", "p")
	t.Setenv("GCE_FILTER", "labels.etcd=prod")
	s := example(t, "peers-gce.sh")
	want := cluster.View{Authoritative: true}
	for i, state := range []cluster.PeerState{cluster.Running, cluster.Pending, cluster.Running} {
		p := peer(string(rune('a'+i)), fmt.Sprintf("10.0.0.%d", i+1))
		p.ID, p.State, p.Zone, p.Region = fmt.Sprint(i+12), state, "europe-west1-b", "europe-west1"
		p.Launched = time.Date(2026, 1, 2, 10, 4, 5, 678e6, time.UTC)
		want.Peers = append(want.Peers, p)
	}
	peerstest.Run(t, peerstest.Leaf{Source: utc{s}, Want: want,
		Break: func() { gcloud("echo 'ERROR: (gcloud) no permission' >&2; exit 1") }, Mend: func() { gcloud("") }})
	gcloud("echo 'WARNING: Some requests did not succeed:' >&2; echo ' - zone europe-west1-c' >&2")
	if v, err := s.View(t.Context()); err == nil || !strings.Contains(err.Error(), "zone europe-west1-c") {
		t.Errorf("a zone is missing: %+v, %v", v, err)
	}
}
