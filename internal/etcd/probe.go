package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/quorate/quorate/internal/cluster"
)

// PeerPort is what an etcd tells on its peer port, to anyone whose TLS it
// accepts; no user, no leader and no quorum is needed.
type PeerPort struct {
	ClusterID cluster.ClusterID
	Members   []cluster.Member // that member's own view, which may be old
	Version   string           // the server's
	Agreed    cluster.Version  // the cluster's, as its members have agreed; zero: not yet
}

// ProbePeerPort asks whether an etcd lives at a peer URL. An error proves
// nothing about its absence: a machine may be cut off, or still starting.
func ProbePeerPort(ctx context.Context, peerURL string, files TLSFiles) (PeerPort, error) {
	found, err := probe(ctx, strings.TrimRight(peerURL, "/"), files)
	if err != nil {
		return PeerPort{}, fmt.Errorf("probing %s: %w", peerURL, err)
	}
	return found, nil
}

func probe(ctx context.Context, base string, files TLSFiles) (PeerPort, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if files.Enabled() {
		cfg, err := files.clientConfig()
		if err != nil {
			return PeerPort{}, err
		}
		transport.TLSClientConfig = cfg
	}
	web := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("etcd does not redirect") },
	}
	var list []struct {
		ID         uint64   `json:"id"`
		PeerURLs   []string `json:"peerURLs"`
		Learner    bool     `json:"isLearner"`
		Name       string   `json:"name"`
		ClientURLs []string `json:"clientURLs"`
	}
	header, err := fetch(ctx, web, base+"/members", &list)
	if err != nil {
		return PeerPort{}, err
	}
	var version struct {
		Server string `json:"etcdserver"`
		Agreed string `json:"etcdcluster"`
	}
	if _, err := fetch(ctx, web, base+"/version", &version); err != nil {
		return PeerPort{}, err
	}
	found := PeerPort{Version: version.Server}
	found.Agreed, _ = cluster.ParseVersion(version.Agreed) // "not_decided"
	if err := found.ClusterID.UnmarshalText([]byte(header.Get("X-Etcd-Cluster-ID"))); err != nil {
		return PeerPort{}, fmt.Errorf("something answers that is not etcd: %w", err)
	}
	for _, m := range list {
		found.Members = append(found.Members, cluster.Member{
			ID: cluster.MemberID(m.ID), Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.Learner,
		})
	}
	return found, nil
}

func fetch(ctx context.Context, web *http.Client, url string, into any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	r, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, r.Status)
	}
	const limit = 4 << 20 // a member list is a few kilobytes
	if err := json.NewDecoder(io.LimitReader(r.Body, limit)).Decode(into); err != nil {
		return nil, fmt.Errorf("reading %s: %w", url, err)
	}
	return r.Header, nil
}
