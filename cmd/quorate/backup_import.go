package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/quorate/quorate/internal/tlsfiles"
	"github.com/quorate/quorate/internal/v2backup"
)

// backupImport brings v2 keys into v3.
type backupImport struct {
	File         string   `arg:"" placeholder:"FILE" help:"The backup: gzip, or the bare lines, of {key, value, dir, ttl, expiration}."`
	Endpoints    []string `default:"127.0.0.1:2379" placeholder:"HOST:PORT,…" help:"The running cluster (default ${default})."`
	CACert       string   `name:"cacert" placeholder:"FILE" help:"PEM authorities of its certificates; makes the connection TLS, as --cert does."`
	Cert         string   `placeholder:"FILE" help:"PEM certificate to show."`
	Key          string   `placeholder:"FILE" help:"PEM key of --cert."`
	User         string   `placeholder:"USER" help:"User with the right to write these keys."`
	PasswordFile string   `placeholder:"FILE" help:"File that holds the user's password and nothing else."`
	DryRun       bool     `help:"Read the file, say what it holds, change nothing."`
	Output       string   `short:"o" enum:"table,json" default:"table" help:"table or json."`
}

// problems is everything that is wrong with the flags.
func (c *backupImport) problems(context.Context) []error {
	var all []error
	for _, p := range c.files().Validate("") {
		all = append(all, errors.New(strings.Replace(p.Error(), "trusted-ca-file", "cacert", 1)))
	}
	if (c.User == "") != (c.PasswordFile == "") {
		all = append(all, errors.New("user, password-file: want both or none"))
	}
	if len(c.Endpoints) == 0 || slices.Contains(c.Endpoints, "") {
		all = append(all, errors.New("endpoints: want HOST:PORT of the cluster to import to"))
	}
	for _, e := range c.Endpoints {
		if scheme, _, ok := strings.Cut(e, "://"); ok && scheme != "http" && scheme != "https" {
			all = append(all, fmt.Errorf("endpoints: %s: want HOST:PORT", e))
		}
	}
	return all
}

func (c *backupImport) files() tlsfiles.Files {
	return tlsfiles.Files{Cert: c.Cert, Key: c.Key, CA: c.CACert}
}

func (c *backupImport) Run(ctx context.Context, to streams) error {
	if err := errors.Join(c.problems(ctx)...); err != nil {
		return usage{err}
	}
	file, err := os.Open(c.File)
	if err != nil {
		return usage{fmt.Errorf("file: %w", err)}
	}
	defer file.Close()
	// All of it is read before anything is written.
	result, err := v2backup.Import(ctx, file, nil, time.Now, true)
	if err != nil {
		return usage{fmt.Errorf("file: reading %s: %w", c.File, err)}
	}
	if result == (v2backup.Result{}) {
		return usage{fmt.Errorf("file: %s holds no key at all: is it whole?", c.File)}
	}
	if !c.DryRun {
		if result, err = c.write(ctx, file); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		return writeJSON(to.out, result)
	}
	verb := "created"
	if c.DryRun {
		verb = "would be created, where they are not there yet"
	}
	fmt.Fprintf(to.out, "%d keys %s, %d of them with a lease\n%d there already, %d there with another value, which stays\n%d expired, %d directories, which v3 has not\n",
		result.Created, verb, result.Leased, result.Same, result.Kept, result.Expired, result.Dirs)
	return nil
}

// write connects and imports.
func (c *backupImport) write(ctx context.Context, file io.ReadSeeker) (r v2backup.Result, err error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return r, err
	}
	client, err := c.connect()
	if err != nil {
		return r, c.unanswered(ctx, err)
	}
	defer client.Close()
	first, cancel := context.WithTimeout(ctx, answerLimit) // nobody there is said soon
	defer cancel()
	if _, err := client.Get(first, "/", clientv3.WithCountOnly()); err != nil {
		return r, c.unanswered(ctx, fmt.Errorf("reading from %s: %w", strings.Join(c.Endpoints, ", "), err))
	}
	if r, err = v2backup.Import(ctx, file, client, time.Now, false); err != nil {
		err = fmt.Errorf("importing %s: %w\n(what was written stays; run it again and it does the rest)", c.File, err)
	}
	return r, err
}

func (c *backupImport) connect() (*clientv3.Client, error) {
	settings := clientv3.Config{Endpoints: c.Endpoints, Username: c.User, DialTimeout: 10 * time.Second,
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second, Logger: zap.NewNop()}
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, usage{fmt.Errorf("password-file: %w", err)}
		}
		settings.Password = strings.TrimRight(string(text), "\r\n")
	}
	if files := c.files(); !files.Empty() {
		settings.TLS = files.Client()
	} else if strings.HasPrefix(c.Endpoints[0], "https://") {
		settings.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client, err := clientv3.New(settings)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	return client, nil
}
