package clouddns_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/api/dns/v1"
	"google.golang.org/api/option"

	"github.com/quorate/quorate/internal/publish/clouddns"
)

// TestRotatedCredentials: a service account's key is replaced and the old one
// deleted; whoever has run since before takes the new file over.
func TestRotatedCredentials(t *testing.T) {
	c, _ := serve(t, zone("ours", "example.org.", "public"))
	var valid atomic.Value // the id of the key that the account has
	valid.Store("first")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dns/v1/projects/p/managedZones", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, dns.ManagedZonesListResponse{ManagedZones: c.zones})
	})
	mux.HandleFunc("GET /dns/v1/projects/p/managedZones/{z}/rrsets", c.list)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asserts := keyID(r.FormValue("assertion")); {
		case r.URL.Path == "/token" && asserts == valid.Load(): // its access token is the key's id
			w.Header().Set("Content-Type", "application/json")
			answer(w, map[string]any{"access_token": asserts, "token_type": "Bearer", "expires_in": 3600})
		case r.Header.Get("Authorization") == "Bearer "+valid.Load().(string):
			mux.ServeHTTP(w, r)
		default:
			fail(w, http.StatusUnauthorized, "authError", "Request had invalid authentication credentials.")
		}
	}))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "account.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	writeAccount(t, file, "first", srv.URL+"/token")
	z := open(t, clouddns.Config{Zone: "example.org", Options: []option.ClientOption{option.WithEndpoint(srv.URL)}})
	list := func(want string) {
		t.Helper()
		_, err := z.List(t.Context(), "example.org")
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	list("")
	valid.Store("second")
	list("invalid authentication credentials")
	writeAccount(t, file, "second", srv.URL+"/token")
	list("")
}

// keyID is the key that a service account's assertion says it is signed with.
func keyID(assertion string) any {
	head, _, _ := strings.Cut(assertion, ".")
	raw, _ := base64.RawURLEncoding.DecodeString(head)
	var v struct {
		KeyID string `json:"kid"`
	}
	_ = json.Unmarshal(raw, &v)
	return v.KeyID
}

// writeAccount writes a service account's file with a new key.
func writeAccount(t *testing.T, file, id, tokens string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "q@p.iam.gserviceaccount.com", "private_key_id": id,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokens})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
