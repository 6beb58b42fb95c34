package cloudflare_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/cloudflare"
	"github.com/quorate/quorate/internal/publish/publishtest"
)

// canned is a server of our own that answers as Cloudflare's published API
// does (developers.cloudflare.com/api/resources/dns): Cloudflare itself cannot
// run here, so what these tests show is that we speak the documented shapes.
type canned struct {
	t     *testing.T
	zones []map[string]string

	mu      sync.Mutex
	records []map[string]any
	next    int
	limits  int // how many calls still to answer with 429
	most    int // records a page at most; 0: as many as are asked for
	hide    int // records that the pages lack, though they count
	lose    int // how many batches still to make and to answer with a gateway's 502
	calls   []string
}

const token = "s3cr3t-token"

func fixed(token string) func() (string, error) { return func() (string, error) { return token, nil } }

// zoneID is an id as Cloudflare's are: 32 hexadecimal digits.
func zoneID(i int) string { return fmt.Sprintf("023e105f4ecef8ad9ca31a8372d0c35%d", i) }

var idForm = regexp.MustCompile(`^/zones/[0-9a-f]{32}(/|$)`)

func serve(t *testing.T, zones ...string) (*canned, string) {
	t.Helper()
	c := &canned{t: t}
	for i, z := range zones {
		c.zones = append(c.zones, map[string]string{"id": zoneID(i), "name": z})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /zones", c.listZones)
	mux.HandleFunc("GET /zones/{id}", c.zone)
	mux.HandleFunc("GET /zones/{id}/dns_records", c.list)
	mux.HandleFunc("POST /zones/{id}/dns_records/batch", c.batch)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls = append(c.calls, r.Method+" "+r.URL.Path)
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			fail(w, http.StatusForbidden, 9109, "Unauthorized to access requested resource")
		case c.limits > 0:
			c.limits--
			w.Header().Set("Retry-After", "1")
			fail(w, http.StatusTooManyRequests, 971, "Please wait and consider throttling your request speed")
		case r.URL.Path != "/zones" && !idForm.MatchString(r.URL.Path):
			fail(w, http.StatusBadRequest, 7003, "Could not route to "+r.URL.Path+", perhaps your object identifier is invalid?")
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return c, srv.URL
}

func fail(w http.ResponseWriter, status, code int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"success": false, "errors": []any{map[string]any{"code": code, "message": message}}, "result": nil})
}

func answer(w http.ResponseWriter, result any, info map[string]int) {
	_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "errors": []any{}, "messages": []any{}, "result": result, "result_info": info})
}

// listZones matches names as a substring would not: exactly, unless the test
// wants a near one.
func (c *canned) listZones(w http.ResponseWriter, r *http.Request) {
	found := []map[string]string{}
	for _, z := range c.zones {
		if z["name"] == r.URL.Query().Get("name") || strings.HasPrefix(z["name"], "near.") {
			found = append(found, z)
		}
	}
	answer(w, found, map[string]int{"page": 1, "total_count": len(found)})
}

func (c *canned) zone(w http.ResponseWriter, r *http.Request) {
	for _, z := range c.zones {
		if z["id"] == r.PathValue("id") {
			answer(w, z, nil)
			return
		}
	}
	fail(w, http.StatusNotFound, 1001, "Invalid zone identifier")
}

func (c *canned) list(w http.ResponseWriter, r *http.Request) {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	per, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	if page < 1 || per < 5 {
		fail(w, http.StatusBadRequest, 9103, "page and per_page: out of range")
		return
	}
	if c.most > 0 {
		per = min(per, c.most)
	}
	from := min((page-1)*per, len(c.records))
	to := min(from+per, len(c.records))
	answer(w, c.records[from:to], map[string]int{"page": page, "per_page": per, "count": to - from,
		"total_count": len(c.records) + c.hide, "total_pages": (len(c.records) + per - 1) / per})
}

// batch is deletes, then posts, all or nothing; an identical record is refused.
func (c *canned) batch(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Deletes []struct{ ID string }
		Posts   []map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fail(w, http.StatusBadRequest, 9207, "Failed to parse request body")
		return
	}
	records := slices.Clone(c.records)
	for _, d := range q.Deletes {
		i := slices.IndexFunc(records, func(r map[string]any) bool { return r["id"] == d.ID })
		if i < 0 {
			fail(w, http.StatusNotFound, 81044, "Record does not exist.")
			return
		}
		records = slices.Delete(records, i, i+1)
	}
	for _, p := range q.Posts {
		if ttl, _ := p["ttl"].(float64); ttl != 1 && (ttl < 60 || ttl > 86400) {
			fail(w, http.StatusBadRequest, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
			return
		}
		if p["type"] == "SRV" {
			d, ok := p["data"].(map[string]any)
			if !ok || p["content"] != nil {
				fail(w, http.StatusBadRequest, 9101, "data is a required field.")
				return
			}
			p["priority"], p["content"] = d["priority"], fmt.Sprintf("%v %v %v", d["weight"], d["port"], d["target"])
		}
		same := func(r map[string]any) bool {
			return r["name"] == p["name"] && r["type"] == p["type"] && r["content"] == p["content"]
		}
		if slices.ContainsFunc(records, same) {
			fail(w, http.StatusBadRequest, 81058, "An identical record already exists.")
			return
		}
		c.next++
		p["id"] = fmt.Sprintf("372e67954025e0ba6aaa6d58%08x", c.next)
		records = append(records, p)
	}
	c.records = records
	if c.lose > 0 {
		c.lose--
		w.WriteHeader(http.StatusBadGateway)
		fmt.Fprint(w, "<html>502 Bad Gateway</html>")
		return
	}
	answer(w, map[string]any{}, nil)
}

func TestConformance(t *testing.T) {
	_, api := serve(t, "example.org")
	publishtest.Conformance(t, "example.org", cloudflare.Open(cloudflare.Config{Zone: "Example.org", Token: fixed(token), API: api}))
}

// TestLostReply: a batch is made, and a gateway answers for it.
func TestLostReply(t *testing.T) {
	c, api := serve(t, "example.org")
	publishtest.LostReply(t, "example.org", cloudflare.Open(cloudflare.Config{Zone: "example.org", Token: fixed(token), API: api}), func() { c.lose = 1 })
	if c.lose != 0 {
		t.Error("no answer was lost")
	}
}

// TestPages: the API may give fewer a page than were asked for; pages that do
// not add up are no list.
func TestPages(t *testing.T) {
	c, api := serve(t, "example.org")
	for i := range 23 {
		c.records = append(c.records, map[string]any{"id": fmt.Sprint(i), "type": "A", "name": fmt.Sprintf("n%02d.example.org", i), "content": "10.0.0.1", "ttl": 60})
	}
	z := cloudflare.Open(cloudflare.Config{Zone: "example.org", Token: fixed(token), API: api})
	for _, c.most = range []int{0, 5, 23, 7} {
		if sets, err := z.List(t.Context(), "example.org"); err != nil || len(sets) != 23 {
			t.Errorf("%d a page: %d sets, %v", c.most, len(sets), err)
		}
	}
	c.hide = 1
	if sets, err := z.List(t.Context(), "example.org"); err == nil || sets != nil || !strings.Contains(err.Error(), "23 records came, of 24") {
		t.Errorf("%d sets, %v", len(sets), err)
	}
}

// TestRefusedTTL: what the API refuses is said as it says it.
func TestRefusedTTL(t *testing.T) {
	_, api := serve(t, "example.org")
	err := cloudflare.Open(cloudflare.Config{Zone: "example.org", Token: fixed(token), API: api}).Apply(t.Context(), []publish.Change{
		{After: &publish.Set{Name: "a.example.org", Type: "A", TTL: 3 * time.Second, Values: []string{"10.0.0.1"}}}})
	if err == nil || !strings.Contains(err.Error(), "Invalid TTL") || !strings.Contains(err.Error(), "9021") || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

func TestExactlyThatZone(t *testing.T) {
	_, api := serve(t, "near.example.org", "two.org", "two.org")
	for name, row := range map[string]struct {
		cfg  cloudflare.Config
		want string
	}{
		"none of that name": {cloudflare.Config{Zone: "example.org", Token: fixed(token)}, "is called exactly example.org"}, // TRAPS 17
		"two of that name":  {cloudflare.Config{Zone: "two.org", Token: fixed(token)}, "2 zones are called two.org: say which with id="},
		"by id":             {cloudflare.Config{Zone: "two.org", ID: zoneID(2), Token: fixed(token)}, ""},
		"another's id":      {cloudflare.Config{Zone: "example.org", ID: zoneID(1), Token: fixed(token)}, "zone " + zoneID(1) + " is called two.org, not example.org"},
		"no such id":        {cloudflare.Config{Zone: "two.org", ID: zoneID(9), Token: fixed(token)}, "404 Not Found: Invalid zone identifier (1001)"},
		"not an id":         {cloudflare.Config{Zone: "two.org", ID: "none", Token: fixed(token)}, "400 Bad Request: Could not route"},
		"a wrong token":     {cloudflare.Config{Zone: "two.org", Token: fixed("s3cr3t-other")}, "Unauthorized to access requested resource (9109)"},
	} {
		t.Run(name, func(t *testing.T) {
			row.cfg.API = api
			_, err := cloudflare.Open(row.cfg).List(t.Context(), row.cfg.Zone)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "s3cr3t")) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// A rate limit is waited for once, and then an error for the next round.
func TestRateLimit(t *testing.T) {
	c, api := serve(t, "example.org")
	z := cloudflare.Open(cloudflare.Config{Zone: "example.org", Token: fixed(token), API: api})
	c.limits = 1
	if _, err := z.List(t.Context(), "example.org"); err != nil {
		t.Errorf("limited once: %v", err)
	}
	c.limits = 2
	if _, err := z.List(t.Context(), "example.org"); err == nil || !strings.Contains(err.Error(), "rate limit") {
		t.Errorf("limited twice: %v", err)
	}
}

// A record that somebody has put behind the proxy is not as wished.
func TestProxiedIsAnotherValue(t *testing.T) {
	c, api := serve(t, "example.org")
	c.records = []map[string]any{{"id": "r0", "type": "A", "name": "a.example.org", "content": "10.0.0.1", "ttl": 60, "proxied": true}}
	sets, err := cloudflare.Open(cloudflare.Config{Zone: "example.org", Token: fixed(token), API: api}).List(t.Context(), "example.org")
	if err != nil || len(sets) != 1 || !slices.Equal(sets[0].Values, []string{"proxied 10.0.0.1"}) {
		t.Errorf("%v, %v", sets, err)
	}
}

// TestRotatedToken: the token's file is read again, so that a new one is taken
// over by whoever has run since before.
func TestRotatedToken(t *testing.T) {
	_, api := serve(t, "example.org")
	file := filepath.Join(t.TempDir(), "token")
	z := cloudflare.Open(cloudflare.Config{Zone: "example.org", API: api, Token: func() (string, error) { return cloudflare.ReadToken(file, "") }})
	for _, row := range []struct{ token, want string }{{"s3cr3t-other", "Unauthorized"}, {token, ""}, {"", "no API token"}, {token, ""}} {
		if err := os.WriteFile(file, []byte(row.token), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := z.List(t.Context(), "example.org")
		if (err != nil) != (row.want != "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("with %q: %v, want %q", row.token, err, row.want)
		}
	}
}

func TestReadToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ file, variable, want, err string }{
		{file, "x", "from-file", ""}, {"", "x", "x", ""}, {"", "", "", "CLOUDFLARE_API_TOKEN"}, {"", "a b", "", "no API token"}, {file + "x", "x", "", "token-file: no such file"},
		{"/dev/zero", "", "", "1 MiB at most"}, {"hunter2", "", "", "token-file: no such file"},
	} {
		got, err := cloudflare.ReadToken(row.file, row.variable)
		if got != row.want || (err != nil) != (row.err != "") || err != nil && (!strings.Contains(err.Error(), row.err) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%+v: %q, %v", row, got, err)
		}
	}
}
