package clouddns_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/api/dns/v1"
	"google.golang.org/api/option"

	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/clouddns"
	"github.com/quorate/quorate/internal/publish/publishtest"
)

// canned is a server of our own that answers as Google's published API does
// (cloud.google.com/dns/docs/reference/rest/v1): Cloud DNS itself cannot run
// here. The client that speaks to it is Google's.
type canned struct {
	zones []*dns.ManagedZone

	mu   sync.Mutex
	sets map[string]*dns.ResourceRecordSet // by name and type
	slow bool                              // the next change is not done at once
}

func serve(t *testing.T, zones ...*dns.ManagedZone) (*canned, []option.ClientOption) {
	t.Helper()
	c := &canned{zones: zones, sets: map[string]*dns.ResourceRecordSet{}}
	mux := http.NewServeMux()
	const project = "/dns/v1/projects/p/managedZones"
	mux.HandleFunc("GET "+project, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, dns.ManagedZonesListResponse{ManagedZones: c.zones})
	})
	mux.HandleFunc("GET "+project+"/{z}/rrsets", c.list)
	mux.HandleFunc("POST "+project+"/{z}/changes", c.change)
	mux.HandleFunc("GET "+project+"/{z}/changes/{id}", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer(w, dns.Change{Id: r.PathValue("id"), Status: "done"})
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return c, []option.ClientOption{option.WithEndpoint(srv.URL), option.WithoutAuthentication()}
}

func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func fail(w http.ResponseWriter, code int, reason, message string) {
	w.WriteHeader(code)
	answer(w, map[string]any{"error": map[string]any{"code": code, "message": message, "errors": []any{map[string]string{"reason": reason, "message": message}}}})
}

func (c *canned) list(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keys []string
	for k := range c.sets {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	from, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
	to := min(from+100, len(keys))
	page := dns.ResourceRecordSetsListResponse{}
	for _, k := range keys[from:to] {
		page.Rrsets = append(page.Rrsets, c.sets[k])
	}
	if to < len(keys) {
		page.NextPageToken = strconv.Itoa(to)
	}
	answer(w, page)
}

// change is deletions, then additions, all or nothing.
func (c *canned) change(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var q dns.Change
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fail(w, http.StatusBadRequest, "parseError", err.Error())
		return
	}
	now := map[string]*dns.ResourceRecordSet{}
	for k, s := range c.sets {
		now[k] = s
	}
	for _, d := range q.Deletions {
		old, ok := now[d.Name+d.Type]
		switch {
		case !ok:
			fail(w, http.StatusNotFound, "notFound", fmt.Sprintf("The 'entity.change.deletions[%s]' resource named '%s (%s)' does not exist.", d.Name, d.Name, d.Type))
			return
		case old.Ttl != d.Ttl || !slices.Equal(old.Rrdatas, d.Rrdatas):
			fail(w, http.StatusPreconditionFailed, "conditionNotMet", "Precondition not met for 'entity.change.deletions'")
			return
		}
		delete(now, d.Name+d.Type)
	}
	for _, a := range q.Additions {
		if now[a.Name+a.Type] != nil {
			fail(w, http.StatusConflict, "alreadyExists", fmt.Sprintf("The resource 'entity.change.additions' named '%s (%s)' already exists", a.Name, a.Type))
			return
		}
		if a.Type == "SRV" && strings.Contains(a.Rrdatas[0], `"`) {
			fail(w, http.StatusBadRequest, "invalid", "Invalid value for 'entity.change.additions.rrdata'")
			return
		}
		now[a.Name+a.Type] = a
	}
	c.sets = now
	status := "done"
	if c.slow {
		c.slow, status = false, "pending"
	}
	answer(w, dns.Change{Id: "1", Status: status})
}

func zone(id, name, visibility string) *dns.ManagedZone {
	return &dns.ManagedZone{Name: id, DnsName: name, Visibility: visibility}
}

func open(t *testing.T, c clouddns.Config) *clouddns.Zone {
	t.Helper()
	c.Project = "p"
	z, err := clouddns.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestConformance(t *testing.T) {
	c, opts := serve(t, zone("near", "sub.example.org.", "public"), zone("ours", "example.org.", "public"))
	c.slow = true
	publishtest.Conformance(t, "example.org", open(t, clouddns.Config{Zone: "Example.org", Options: opts}))
}

func TestExactlyThatZone(t *testing.T) {
	c, opts := serve(t, zone("near", "sub.example.org.", "public"), zone("a", "two.org.", "public"), zone("b", "two.org.", "private"))
	c.sets["x"] = &dns.ResourceRecordSet{Name: "x.two.org.", Type: "A", RoutingPolicy: &dns.RRSetRoutingPolicy{}}
	yes := true
	for name, row := range map[string]struct {
		cfg  clouddns.Config
		want string
	}{
		"none of that name": {clouddns.Config{Zone: "example.org"}, "no managed zone of project p is called exactly example.org"}, // TRAPS 17
		"two of that name":  {clouddns.Config{Zone: "two.org"}, "2 managed zones are called two.org: say which with id=: a, b"},
		"by id":             {clouddns.Config{Zone: "two.org", ID: "a"}, ""},
		"the private one":   {clouddns.Config{Zone: "two.org", Private: &yes}, ""},
		"another's id":      {clouddns.Config{Zone: "two.org", ID: "near"}, "is called exactly two.org"},
	} {
		t.Run(name, func(t *testing.T) {
			row.cfg.Options = opts
			sets, err := open(t, row.cfg).List(t.Context(), row.cfg.Zone)
			if row.want == "" && (err != nil || len(sets) != 1 || sets[0].Special == "") || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%v, %v, want %q", sets, err, row.want)
			}
		})
	}
}

func TestNoProject(t *testing.T) {
	t.Setenv("GOOGLE_CLOUD_PROJECT", "")
	if _, err := clouddns.Open(clouddns.Config{Zone: "example.org"}); err == nil || !strings.Contains(err.Error(), "project=") {
		t.Errorf("without a project: %v", err)
	}
	t.Setenv("GOOGLE_CLOUD_PROJECT", "p")
	if _, err := clouddns.Open(clouddns.Config{Zone: "example.org"}); err != nil {
		t.Error(err)
	}
	var _ publish.Transactional = (*clouddns.Zone)(nil)
}

// TestSecretAsPath: a secret where a file's path should be is not told.
func TestSecretAsPath(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", `{"private_key":"hunter2"}`)
	z, err := clouddns.Open(clouddns.Config{Zone: "example.org", Project: "p"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = z.List(t.Context(), "example.org")
	if err == nil || !strings.Contains(err.Error(), "GOOGLE_APPLICATION_CREDENTIALS: no such file") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want the variable's name and no secret", err)
	}
}
