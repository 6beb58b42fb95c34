package store_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quorate/quorate/internal/store"
)

// answer is one canned reply of a provider.
type answer struct {
	status int
	code   string // the provider's own
	text   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-ms-error-code", a.code)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(a.status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, a.code, a.text)
}

// providers points every SDK at a server here and names its store.
func providers(t *testing.T, h http.Handler) map[string]string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	for key, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": os.DevNull,
		"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "hunter2",
		"STORAGE_EMULATOR_HOST": host,
		"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_KEY": base64.StdEncoding.EncodeToString([]byte("hunter2")),
	} {
		t.Setenv(key, value)
	}
	return map[string]string{
		"s3": "s3://bucket", "gs": "gs://bucket?anonymous=true",
		"azblob": "azblob://container?protocol=http&domain=" + host,
	}
}

// TestDoubtIsNotAbsence holds the rows that gocloud.dev calls NotFound. Each
// would have been an empty ledger.
func TestDoubtIsNotAbsence(t *testing.T) {
	rows := map[string]struct {
		provider string
		answer   answer
		absent   bool
	}{
		"S3, no object":            {"s3", answer{404, "NoSuchKey", "The specified key does not exist."}, true},
		"S3, no bucket":            {"s3", answer{404, "NoSuchBucket", "The specified bucket does not exist"}, false},
		"S3, denied":               {"s3", answer{403, "AccessDenied", "Access Denied"}, false},
		"S3, another region":       {"s3", answer{301, "PermanentRedirect", "use the endpoint"}, false},
		"S3, a proxy's own 404":    {"s3", answer{404, "", "not here"}, false},
		"GCS, no object":           {"gs", answer{404, "NoSuchKey", "The specified key does not exist."}, true},
		"GCS, no bucket":           {"gs", answer{404, "NoSuchBucket", "The specified bucket does not exist."}, false},
		"GCS, denied":              {"gs", answer{403, "AccessDenied", "Access denied."}, false},
		"Azure, no blob":           {"azblob", answer{404, "BlobNotFound", "The specified blob does not exist."}, true},
		"Azure, no container":      {"azblob", answer{404, "ContainerNotFound", "The specified container does not exist."}, false},
		"Azure, denied":            {"azblob", answer{403, "AuthorizationFailure", "This request is not authorized"}, false},
		"Azure, a proxy's own 404": {"azblob", answer{404, "", "not here"}, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := fresh(t, providers(t, row.answer)[row.provider])
			_, err := s.Read(t.Context(), "key")
			if err == nil || errors.Is(err, store.ErrNotFound) != row.absent {
				t.Errorf("%v; want absence %t", err, row.absent)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// TestConflictIsNoVerdict: S3 answers 409 to a conditional write that meets
// another one under way. It is tried again until there is a verdict.
func TestConflictIsNoVerdict(t *testing.T) {
	for name, row := range map[string]struct {
		conflicts int64
		then      int
		want      error
	}{
		"then written":     {2, http.StatusOK, nil},
		"then refused":     {2, http.StatusPreconditionFailed, store.ErrExists},
		"and nothing else": {100, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			s := fresh(t, providers(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case n.Add(1) <= row.conflicts:
					answer{409, "ConditionalRequestConflict", "a conflicting conditional operation"}.ServeHTTP(w, r)
				case row.then == http.StatusOK:
					w.Header().Set("ETag", `"x"`)
				default:
					answer{row.then, "PreconditionFailed", "it exists"}.ServeHTTP(w, r)
				}
			}))["s3"])
			err := s.Create(t.Context(), "key", []byte("x"))
			if row.then == 0 {
				if err == nil || errors.Is(err, store.ErrExists) {
					t.Errorf("%v; want an error that is no verdict", err)
				}
				return
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%v, want %v", err, row.want)
			}
			if got := s.Requests()["create"]; got != row.conflicts+1 || n.Load() != got {
				t.Errorf("%d requests counted and %d made, want %d", got, n.Load(), row.conflicts+1)
			}
		})
	}
}

// TestConditionIsSent: what each provider is asked, and its refusal understood.
func TestConditionIsSent(t *testing.T) {
	var asked atomic.Value
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("If-None-Match") + r.URL.Query().Get("ifGenerationMatch"))
		answer{412, "ConditionNotMet", "it exists"}.ServeHTTP(w, r)
	})
	for provider, want := range map[string]string{"s3": "*", "gs": "0", "azblob": "*"} {
		t.Run(provider, func(t *testing.T) {
			a := handler
			if provider == "s3" {
				a = func(w http.ResponseWriter, r *http.Request) {
					asked.Store(r.Header.Get("If-None-Match"))
					answer{412, "PreconditionFailed", "it exists"}.ServeHTTP(w, r)
				}
			}
			s := fresh(t, providers(t, a)[provider])
			if err := s.Create(t.Context(), "key", []byte("x")); !errors.Is(err, store.ErrExists) {
				t.Errorf("%v, want ErrExists", err)
			}
			if got := asked.Load(); got != want {
				t.Errorf("the condition sent is %q, want %q", got, want)
			}
		})
	}
}

// TestRefusedUploadIsAnError: gocloud.dev's Azure writer has panicked here.
func TestRefusedUploadIsAnError(t *testing.T) {
	for name, url := range providers(t, answer{403, "AccessDenied", "no"}) {
		s := fresh(t, url)
		if _, err := s.Upload(t.Context(), "key", strings.NewReader("some bytes")); err == nil {
			t.Errorf("%s: a refused upload succeeded", name)
		}
		if err := s.Put(t.Context(), "key", []byte("some bytes")); err == nil {
			t.Errorf("%s: a refused put succeeded", name)
		}
	}
}
