package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/internal/cluster"
	"github.com/quorate/quorate/internal/config"
	"github.com/quorate/quorate/internal/control"
	"github.com/quorate/quorate/internal/doctor"
	"github.com/quorate/quorate/internal/hosts/probe"
	"github.com/quorate/quorate/internal/ledger"
	"github.com/quorate/quorate/internal/store"
)

// doctorCmd measures this machine with the settings of `quorate run`, before an
// agent runs here or beside it.
type doctorCmd struct {
	config.Config
	JSON bool `name:"json" help:"Print JSON."`
}

// doctorLimit bounds each look at another machine or the store.
const doctorLimit = 5 * time.Second

// Run prints a line for each check: exit code 0 when all is fit, else 1.
func (c *doctorCmd) Run(ctx context.Context, to streams) error {
	all := doctor.Judge(c.look(ctx, to))
	if err := printChecks(to.out, all, c.JSON); err != nil {
		return err
	}
	if !doctor.Fit(all) {
		return exitWith(1)
	}
	return nil
}

func (c *doctorCmd) look(ctx context.Context, to streams) doctor.Facts {
	f := doctor.Facts{Now: time.Now()}
	cfg := c.Config.Filled(ctx)
	w, err := wire(ctx, c.Config, io.Discard)
	f.Config = err
	f.Disk = lookAtDisk(cfg)
	if err != nil {
		return f // nothing tells where the others and the store are
	}
	own := w.ownReport(ctx)
	if all := w.parts.Offers.Versions(); len(all) > 0 {
		f.Etcd = all[len(all)-1].String()
	}
	if own.Etcd.Version != "" {
		f.Etcd = own.Etcd.Version
	}
	f.Disk.DB = max(f.Disk.DB, own.Etcd.DBSize)
	if own.Etcd.Quota > 0 {
		f.Disk.Quota = own.Etcd.Quota
	}
	f.Ports = w.lookAtPorts(own)
	f.Peers = w.lookAtPeers(ctx)
	if w.parts.Store != nil {
		s := lookAtStore(ctx, w.parts.Store, w.cfg.Cluster)
		f.Store = &s
	}
	f.Certs = lookAtCerts(cfg)
	return f
}

func printChecks(out io.Writer, all []doctor.Check, asJSON bool) error {
	if asJSON {
		return writeJSON(out, struct {
			Fit    bool           `json:"fit"`
			Checks []doctor.Check `json:"checks"`
		}{doctor.Fit(all), all})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHECK\tVERDICT\tMEASURED\t")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Verdict, c.Measured, c.Say)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	verdict := doctor.Go
	if !doctor.Fit(all) {
		verdict = doctor.NoGo
	}
	_, err := fmt.Fprintf(out, "%s\n", verdict)
	return err
}

// ownReport is that of the agent that runs for this node already; the zero
// report when none does.
func (w *wiring) ownReport(ctx context.Context) cluster.Report {
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	r, err := control.NewClient(w.agentAt(w.cfg.Host, w.cfg.AgentPort), w.parts.HTTP).Report(ctx)
	if err != nil || r.Name != w.cfg.Name {
		return cluster.Report{}
	}
	return r
}

func (w *wiring) agentAt(host string, port int) string {
	return w.parts.Secure.Agent + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// lookAtDisk measures the data directory, or where it will be.
func lookAtDisk(c config.Config) doctor.Disk {
	d := doctor.Disk{Path: c.EtcdDataDir, Quota: quotaOf(c.EtcdFlags)}
	at := d.Path
	for at != filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && info.IsDir() {
			break
		}
		at = filepath.Dir(at)
	}
	var fs unix.Statfs_t
	if d.Err = unix.Statfs(at, &fs); d.Err != nil {
		return d
	}
	d.Free = int64(fs.Bavail) * fs.Bsize
	if info, err := os.Stat(filepath.Join(d.Path, "member", "snap", "db")); err == nil {
		d.DB = info.Size()
	}
	latency, err := probe.Fsync(at)
	d.Err, d.N, d.P50, d.P99 = err, latency.N, latency.P50, latency.P99
	return d
}

// quotaOf is what etcd's flags allow its database, else etcd's default.
func quotaOf(flags []string) int64 {
	quota := int64(2 << 30)
	for _, f := range flags {
		if value, ok := strings.CutPrefix(strings.TrimLeft(f, "-"), "quota-backend-bytes="); ok {
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
				quota = n
			}
		}
	}
	return quota
}

// lookAtPorts opens each port for a moment, unless this node's own hold them.
func (w *wiring) lookAtPorts(own cluster.Report) []doctor.Port {
	etcdHere := w.etcdRunsHere()
	ports := []doctor.Port{
		{Use: "etcd's clients", Number: w.cfg.ClientPort, Ours: etcdHere},
		{Use: "etcd's members", Number: w.cfg.PeerPort, Ours: etcdHere},
		{Use: "agents", Number: w.cfg.AgentPort, Ours: own.Name != ""},
	}
	if w.cfg.HealthPort != 0 {
		ports = append(ports, doctor.Port{Use: "health", Number: w.cfg.HealthPort, Ours: own.Name != ""})
	}
	for i, p := range ports {
		if p.Ours {
			continue
		}
		ln, err := net.Listen("tcp", w.address(p.Number))
		switch {
		case err == nil:
			ports[i].Free = true
			ln.Close()
		case errors.Is(err, unix.EADDRINUSE):
			ports[i].Holder = probe.Holder(w.cfg.ListenHost, p.Number)
		default:
			ports[i].Err = err
		}
	}
	return ports
}

// lookAtPeers asks the agents of all other nodes that the source lists.
func (w *wiring) lookAtPeers(ctx context.Context) []doctor.Peer {
	call, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	view, err := w.parts.Source.View(call)
	if err != nil {
		return []doctor.Peer{{Name: "peers", Err: err}}
	}
	var out []doctor.Peer
	for _, p := range view.Peers {
		if p.Name != w.cfg.Name && p.Alive() {
			out = append(out, w.lookAtPeer(ctx, p))
		}
	}
	return out
}

func (w *wiring) lookAtPeer(ctx context.Context, p cluster.Peer) doctor.Peer {
	ctx, cancel := context.WithTimeout(ctx, doctorLimit)
	defer cancel()
	d := doctor.Peer{Name: p.Name}
	at := p.AgentURL(w.parts.Secure.Agent)
	c := control.NewClient(at, w.parts.HTTP)
	if _, d.Err = c.Report(ctx); d.Err != nil { // opens the connection
		return d
	}
	sent := time.Now()
	r, err := c.Report(ctx)
	if d.Err = err; err != nil {
		return d
	}
	d.Took = time.Since(sent)
	d.Ahead = r.At.Add(r.Age).Sub(sent.Add(d.Took / 2))
	if r.Etcd.Running {
		d.Etcd = r.Etcd.Version
	}
	d.Quorate = r.Version
	d.MTU = pathMTU(at)
	d.Large, d.LargeErr = large(ctx, w.parts.HTTP, at+"/metrics")
	return d
}

// large fetches what is too large for one packet: where the path takes only
// small ones it never arrives.
func large(ctx context.Context, web *http.Client, at string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return 0, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 16<<20))
	return int(n), err
}

// pathMTU is what the kernel knows of the path to that URL's host; 0: nothing.
func pathMTU(raw string) (mtu int) {
	u, err := url.Parse(raw)
	if err != nil {
		return 0
	}
	conn, err := net.DialTimeout("udp", u.Host, time.Second)
	if err != nil {
		return 0
	}
	defer conn.Close()
	sys, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0
	}
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if to, ok := conn.RemoteAddr().(*net.UDPAddr); ok && to.IP.To4() == nil {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	_ = sys.Control(func(fd uintptr) { mtu, err = unix.GetsockoptInt(int(fd), level, option) })
	if err != nil {
		return 0
	}
	return mtu
}

// lookAtStore tries all that an agent does there, below our prefix, and leaves
// nothing behind if it may delete.
func lookAtStore(ctx context.Context, st *store.Store, cluster string) doctor.Store {
	d := doctor.Store{Name: st.String()}
	within := func(act func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, doctorLimit)
		defer cancel()
		return act(ctx)
	}
	d.Create = within(ledger.Open(st, cluster).Probe)
	const prefix = "doctor/"
	key := prefix + rand.Text()
	sent := time.Now()
	d.Put = within(func(ctx context.Context) error { return st.Put(ctx, key, []byte("quorate doctor\n")) })
	d.Took = time.Since(sent)
	d.Get = within(func(ctx context.Context) error { _, err := st.Read(ctx, key); return err })
	d.List = within(func(ctx context.Context) error {
		all, err := st.List(ctx, prefix)
		for _, o := range all {
			if o.Key == key {
				d.Ahead, d.ClockKnown = o.ModTime.Sub(sent.Add(d.Took/2)), true
			}
		}
		return err
	})
	d.Drop = within(func(ctx context.Context) error { return st.Delete(ctx, key) })
	return d
}

// lookAtCerts reads every certificate that a setting names: of a chain the
// first that ends counts.
func lookAtCerts(c config.Config) []doctor.Cert {
	var out []doctor.Cert
	for _, f := range []struct{ key, path string }{
		{"cert-file", c.CertFile}, {"trusted-ca-file", c.TrustedCAFile}, {"peer-cert-file", c.PeerCertFile}, {"peer-trusted-ca-file", c.PeerTrustedCAFile},
	} {
		if f.path != "" {
			out = append(out, firstToEnd(f.key, f.path))
		}
	}
	return out
}

func firstToEnd(key, path string) doctor.Cert {
	d := doctor.Cert{Key: key, File: path}
	raw, err := os.ReadFile(path)
	if err != nil {
		d.Err = err
		return d
	}
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
			d.Err = err
		case d.Ends.IsZero() || c.NotAfter.Before(d.Ends):
			d.Name, d.Ends = c.Subject.CommonName, c.NotAfter
		}
	}
	if d.Ends.IsZero() && d.Err == nil {
		d.Err = errors.New("it holds no certificate")
	}
	return d
}
