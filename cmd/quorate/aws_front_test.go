package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/moto"
)

// frontedMoto is moto behind a proxy that hands it templates as it can take
// them: moto's CloudFormation overlooks a balancer's type, and has no TCP
// listener for the application balancer that it then makes.
func frontedMoto(t *testing.T) {
	t.Helper()
	// moto finds the bucket of a template's URL in its path only at localhost.
	target, err := url.Parse(strings.Replace(moto.Start(t), "127.0.0.1", "localhost", 1))
	must(t, err)
	forward := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		if form, err := url.ParseQuery(string(raw)); err == nil && form.Get("TemplateBody") != "" {
			form.Set("TemplateBody", httpListener(form.Get("TemplateBody")))
			raw = []byte(form.Encode())
		}
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(string(raw))), int64(len(raw))
		forward.ServeHTTP(w, req)
	}))
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ENDPOINT_URL", strings.Replace(srv.URL, "127.0.0.1", "localhost", 1))
}

func httpListener(template string) string {
	var all map[string]any
	if json.Unmarshal([]byte(template), &all) != nil {
		return template
	}
	resources, _ := all["Resources"].(map[string]any)
	if listener, there := resources["Listener"].(map[string]any); there {
		listener["Properties"].(map[string]any)["Protocol"] = "HTTP"
	}
	out, _ := json.Marshal(all)
	return string(out)
}
