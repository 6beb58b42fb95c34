package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// serveHealth serves /readyz on the health port, where there is one, until
// stop is called, which returns when it has ended. It is for load balancers,
// which show no certificate and must see nothing else.
func (w *wiring) serveHealth(ready func() (ok bool, why string)) (stop func(), err error) {
	if w.cfg.HealthPort == 0 {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", w.address(w.cfg.HealthPort))
	if err != nil {
		return nil, usage{fmt.Errorf("health-port: %w", err)}
	}
	srv := &http.Server{Handler: readyz(ready), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(w.parts.Log.Handler(), slog.LevelDebug)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			w.parts.Log.Error("serving the health port", "error", err)
		}
	}()
	return func() { _ = srv.Close(); <-ended }, nil
}

// readyz tells a stranger no more than yes or no.
func readyz(ready func() (ok bool, why string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.NotFound(w, r)
			return
		}
		if ok, _ := ready(); !ok {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}
