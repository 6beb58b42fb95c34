package route53_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// strict is a proxy before moto that refuses what Route 53 refuses and moto
// takes: creating a set that exists (moto only minds the very same values), and
// with the right error deleting one that is otherwise (moto says InvalidInput).
// https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
//
// The counter is how many answers to changes that were made are still to be lost.
func strict(t *testing.T, endpoint string) *atomic.Int32 {
	t.Helper()
	lose := new(atomic.Int32)
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	behind := httputil.NewSingleHostReverseProxy(target)
	var one sync.Mutex // batches are taken one after the other
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/rrset") {
			behind.ServeHTTP(w, r)
			return
		}
		one.Lock()
		defer one.Unlock()
		body, _ := io.ReadAll(r.Body)
		if why := refuse(endpoint+r.URL.Path, r.Header.Get("Authorization"), body); why != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `<InvalidChangeBatch xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Messages><Message>%s</Message></Messages></InvalidChangeBatch>`, why)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if lose.Load() > 0 {
			lose.Add(-1)
			behind.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	return lose
}

type rrset struct {
	Name   string   `xml:"Name"`
	Type   string   `xml:"Type"`
	TTL    string   `xml:"TTL"`
	Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

func (s rrset) key() string { return strings.TrimSuffix(s.Name, ".") + " " + s.Type }

// refuse tries the batch on what moto holds.
func refuse(at, auth string, body []byte) string {
	var batch struct {
		Changes []struct {
			Action string
			Set    rrset `xml:"ResourceRecordSet"`
		} `xml:"ChangeBatch>Changes>Change"`
	}
	if err := xml.Unmarshal(body, &batch); err != nil {
		return err.Error()
	}
	now := map[string]rrset{}
	for _, c := range batch.Changes {
		req, _ := http.NewRequest(http.MethodGet, strings.TrimSuffix(at, "/")+"?maxitems=1&name="+url.QueryEscape(c.Set.Name)+"&type="+c.Set.Type, nil)
		req.Header.Set("Authorization", auth) // moto tells the service by it
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err.Error()
		}
		var listed struct {
			Sets []rrset `xml:"ResourceRecordSets>ResourceRecordSet"`
		}
		_ = xml.NewDecoder(resp.Body).Decode(&listed)
		resp.Body.Close()
		for _, s := range listed.Sets {
			now[s.key()] = s
		}
	}
	for _, c := range batch.Changes {
		old, exists := now[c.Set.key()]
		switch {
		case c.Action == "CREATE" && exists:
			return fmt.Sprintf("[Tried to create resource record set [name='%s', type='%s'] but it already exists]", c.Set.Name, c.Set.Type)
		case c.Action == "DELETE" && !exists:
			return fmt.Sprintf("[Tried to delete resource record set [name='%s', type='%s'] but it was not found]", c.Set.Name, c.Set.Type)
		case c.Action == "DELETE" && (old.TTL != c.Set.TTL || !slices.Equal(slices.Sorted(slices.Values(old.Values)), slices.Sorted(slices.Values(c.Set.Values)))):
			return fmt.Sprintf("[Tried to delete resource record set [name='%s', type='%s'] but the values provided do not match the current values]", c.Set.Name, c.Set.Type)
		case c.Action == "DELETE":
			delete(now, c.Set.key())
		default:
			now[c.Set.key()] = c.Set
		}
	}
	return ""
}
