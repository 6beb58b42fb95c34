package etcd

import (
	"slices"
	"strings"
	"testing"
)

func TestArgsByVersion(t *testing.T) {
	c := Config{Name: "a", DataDir: "/var/lib/quorate/etcd", AdvertiseHost: "10.0.0.1", ClientPort: 2379, PeerPort: 2380}
	common := []string{
		"--name=a",
		"--data-dir=/var/lib/quorate/etcd",
		"--listen-client-urls=http://10.0.0.1:2379",
		"--advertise-client-urls=http://10.0.0.1:2379",
		"--listen-peer-urls=http://10.0.0.1:2380",
		"--initial-advertise-peer-urls=http://10.0.0.1:2380",
	}
	for version, checks := range map[Version][]string{
		{Major: 3, Minor: 5, Patch: 4}:  nil,
		{Major: 3, Minor: 5, Patch: 33}: {"--experimental-compact-hash-check-enabled=true"},
		{Major: 3, Minor: 6, Patch: 14}: {"--feature-gates=CompactHashCheck=true"},
		{Major: 3, Minor: 7, Patch: 3}:  {"--feature-gates=CompactHashCheck=true"},
	} {
		wantStrings(t, version.String(), Args(version, c, Start{}), slices.Concat(common, checks))
	}
}

func TestArgsWithEverything(t *testing.T) {
	c := Config{
		Name: "a", DataDir: "/d", ListenHost: "::", AdvertiseHost: "a.example", ClientPort: 12379, PeerPort: 12380,
		Client: TLSFiles{Cert: "c.pem", Key: "c.key", CA: "ca.pem"}, ClientCertAuth: true,
		Peer:  TLSFiles{Cert: "p.pem", Key: "p.key", CA: "pca.pem"},
		Extra: []string{"--max-wals", "7", "--pre-vote=false", "--feature-gates=InitialCorruptCheck=false"},
	}
	s := Start{State: StateExisting, InitialCluster: "a=https://a.example:12380", Token: "tok"}
	wantStrings(t, "everything", Args(sevenThree, c, s), []string{
		"--name=a",
		"--data-dir=/d",
		"--listen-client-urls=https://[::]:12379",
		"--advertise-client-urls=https://a.example:12379",
		"--listen-peer-urls=https://[::]:12380",
		"--initial-advertise-peer-urls=https://a.example:12380",
		"--initial-cluster-state=existing",
		"--initial-cluster=a=https://a.example:12380",
		"--initial-cluster-token=tok",
		"--cert-file=c.pem",
		"--key-file=c.key",
		"--peer-cert-file=p.pem",
		"--peer-key-file=p.key",
		"--peer-trusted-ca-file=pca.pem",
		"--peer-client-cert-auth=true",
		"--trusted-ca-file=ca.pem",
		"--client-cert-auth=true",
		"--max-wals=7",
		"--pre-vote=false",
		"--feature-gates=InitialCorruptCheck=false",
	})
}

// An operator's setting in the environment beats a default; given as a flag
// too, it would be lost, because Env withholds what is a flag.
func TestTheEnvironmentBeatsADefault(t *testing.T) {
	c := Config{Name: "a", DataDir: "/d", AdvertiseHost: "h", ClientPort: 1, PeerPort: 2, Environ: []string{"ETCD_FEATURE_GATES=InitialCorruptCheck=false"}}
	args := Args(sevenThree, c, Start{})
	if joined := strings.Join(args, " "); strings.Contains(joined, "feature-gates") {
		t.Errorf("quorate's default stands: %s", joined)
	}
	wantStrings(t, "environment", Env(c.Environ, args), c.Environ)
}

func TestEnvWithholdsWhatIsAFlagOrOwned(t *testing.T) {
	environ := []string{
		"PATH=/bin", "ETCD_NAME=x", "ETCD_DATA_DIR=/x", "ETCD_INITIAL_CLUSTER_STATE=new", "ETCD_DISCOVERY_SRV=x",
		"ETCD_CONFIG_FILE=/x", "ETCD_MAX_WALS=9", "ETCD_QUOTA_BACKEND_BYTES=1", "ETCD_UNSUPPORTED_ARCH=arm",
		"NOTIFY_SOCKET=/run/x", "QUORATE_PASSWORD=secret", "JOURNAL_STREAM=1:2",
	}
	wantStrings(t, "Env", Env(environ, []string{"--max-wals=7", "--name=a"}),
		[]string{"PATH=/bin", "ETCD_QUOTA_BACKEND_BYTES=1", "ETCD_UNSUPPORTED_ARCH=arm", "JOURNAL_STREAM=1:2"})

	var named []string
	for _, w := range OwnedEnv(environ) {
		name, _, _ := strings.Cut(w, ":")
		named = append(named, name)
	}
	wantStrings(t, "OwnedEnv", named,
		[]string{"ETCD_NAME", "ETCD_DATA_DIR", "ETCD_INITIAL_CLUSTER_STATE", "ETCD_DISCOVERY_SRV", "ETCD_CONFIG_FILE"})
	if (Setting{Flag: "quota-backend-bytes"}).Env() != "ETCD_QUOTA_BACKEND_BYTES" {
		t.Error("Setting.Env does not name etcd's variable")
	}
}

func TestCheckExtraNamesEveryProblem(t *testing.T) {
	if err := CheckExtra([]string{"--max-wals", "7", "--pre-vote=false", "-log-level=debug", "--pre-vote", "--an-older-one"}); err != nil {
		t.Errorf("free flags are refused: %v", err)
	}
	extra := []string{"--name=x", "-data-dir", "/x", "--initial-cluster-token=t", "--discovery-srv=x", "--force-new-cluster", "--unsafe-no-fsync", "--peer-cert-file=x", "stray", "--log-level", "--quota-backend-bytes", "--"}
	err := CheckExtra(append(extra, "--"))
	if err == nil {
		t.Fatal("nothing is refused")
	}
	for _, want := range []string{"--name:", "--data-dir:", "--initial-cluster-token:", "--discovery-srv: set by quorate; use a peers source", "--force-new-cluster: set by quorate; use quorate recover", "--unsafe-no-fsync:", "--peer-cert-file:", "--log-level: want a value", "--quota-backend-bytes: want a value", `"--"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

// TestQuota: as etcd takes it, the last flag, then the variable, then its own.
func TestQuota(t *testing.T) {
	environ := []string{"PATH=/bin", "ETCD_QUOTA_BACKEND_BYTES=8000"}
	for _, c := range []struct {
		extra, environ []string
		want           int64
	}{
		{nil, nil, 2 << 30},
		{nil, environ, 8000},
		{[]string{"--quota-backend-bytes=5000", "-quota-backend-bytes", "6000", "--max-txn-ops=9"}, environ, 6000},
		{[]string{"--quota-backend-bytes=0"}, environ, 2 << 30},
		{[]string{"--quota-backend-bytes=-1"}, environ, 0},
	} {
		if got := Quota(c.extra, c.environ); got != c.want {
			t.Errorf("%v %v: %d, want %d", c.extra, c.environ, got, c.want)
		}
	}
}

// TestAuthorities: a CA for clients counts only where certificates are demanded
// of them, because else etcd does not get it.
func TestAuthorities(t *testing.T) {
	c := Config{Client: TLSFiles{"c", "k", "client-ca"}, Peer: TLSFiles{"p", "k", "peer-ca"}}
	if got := c.Authorities(); !slices.Equal(got, []string{"peer-ca"}) {
		t.Errorf("without client certificates: %v", got)
	}
	c.ClientCertAuth = true
	if got := c.Authorities(); !slices.Equal(got, []string{"peer-ca", "client-ca"}) {
		t.Errorf("with client certificates: %v", got)
	}
	if got := (Config{}).Authorities(); len(got) > 0 {
		t.Errorf("plain text: %v", got)
	}
}
