package route53_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/publish"
	"github.com/quorate/quorate/internal/publish/publishtest"
	"github.com/quorate/quorate/internal/publish/route53"
)

func client(t *testing.T) *sdk.Client {
	t.Helper()
	strict(t, moto.Start(t))
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sdk.NewFromConfig(cfg)
}

// make makes a hosted zone and is its id.
func makeZone(t *testing.T, c *sdk.Client, name string, private bool) string {
	t.Helper()
	in := &sdk.CreateHostedZoneInput{Name: &name, CallerReference: aws.String(name + time.Now().String())}
	if private {
		in.HostedZoneConfig = &types.HostedZoneConfig{PrivateZone: true}
		in.VPC = &types.VPC{VPCId: aws.String("vpc-1"), VPCRegion: types.VPCRegionUsEast1}
	}
	out, err := c.CreateHostedZone(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(aws.ToString(out.HostedZone.Id), "/hostedzone/")
}

func open(t *testing.T, c route53.Config) *route53.Zone {
	t.Helper()
	z, err := route53.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestConformance(t *testing.T) {
	c := client(t)
	for _, z := range []string{"aexample.org", "example.org", "example.org.uk", "zexample.org"} {
		makeZone(t, c, z, false)
	}
	publishtest.Conformance(t, "example.org", open(t, route53.Config{Zone: "Example.org."}))
}

// TestLostReply: Route 53 makes a change, and the connection ends before its
// answer; the SDK sends it again, and that is a conflict.
func TestLostReply(t *testing.T) {
	lose := strict(t, moto.Start(t))
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	makeZone(t, sdk.NewFromConfig(cfg), "example.org", false)
	publishtest.LostReply(t, "example.org", open(t, route53.Config{Zone: "example.org"}), func() { lose.Store(1) })
	if lose.Load() != 0 {
		t.Error("no answer was lost")
	}
}

func TestExactlyThatZone(t *testing.T) {
	c := client(t)
	makeZone(t, c, "aexample.org", false)
	makeZone(t, c, "sub.example.org", false)
	makeZone(t, c, "zexample.org", false)
	public, private := makeZone(t, c, "two.org", false), makeZone(t, c, "two.org", true)
	yes, no := true, false
	for name, row := range map[string]struct {
		cfg  route53.Config
		want string // of the error; empty: none
	}{
		"none of that name": {route53.Config{Zone: "example.org"}, "no hosted zone is called exactly example.org"}, // TRAPS 17
		"a prefix of one":   {route53.Config{Zone: "zexample.or"}, "no hosted zone is called exactly zexample.or"},
		"two of that name":  {route53.Config{Zone: "two.org"}, "2 hosted zones are called two.org: say which with id=:"},
		"the private one":   {route53.Config{Zone: "two.org", Private: &yes}, ""},
		"the public one":    {route53.Config{Zone: "two.org", Private: &no}, ""},
		"by id":             {route53.Config{Zone: "two.org", ID: private}, ""},
		"another's id":      {route53.Config{Zone: "sub.example.org", ID: public}, "none is the one that id= and private= ask for"},
		"no such id":        {route53.Config{Zone: "two.org", ID: "ZNONE"}, "none is the one that id= and private= ask for: "},
		"not private":       {route53.Config{Zone: "zexample.org", Private: &yes}, "none is the one that id= and private= ask for"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(t, row.cfg).List(t.Context(), row.cfg.Zone)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
	// The one asked for is the one that is changed.
	z := open(t, route53.Config{Zone: "two.org", Private: &yes})
	if err := z.Apply(t.Context(), []publish.Change{{After: &publish.Set{Name: "a.two.org", Type: "A", TTL: time.Minute, Values: []string{"10.0.0.1"}}}}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{public: 0, private: 1} {
		sets, err := open(t, route53.Config{Zone: "two.org", ID: id}).List(t.Context(), "a.two.org")
		if err != nil || len(sets) != want {
			t.Errorf("zone %s: %v, %v; want %d", id, sets, err, want)
		}
	}
}

// An alias and a weighted set are not ours to touch, whatever the wish.
func TestSpecialSets(t *testing.T) {
	c := client(t)
	id := makeZone(t, c, "example.org", false)
	_, err := c.ChangeResourceRecordSets(t.Context(), &sdk.ChangeResourceRecordSetsInput{HostedZoneId: &id, ChangeBatch: &types.ChangeBatch{Changes: []types.Change{
		{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{Name: aws.String("alias.example.org."), Type: types.RRTypeA,
			AliasTarget: &types.AliasTarget{DNSName: aws.String("lb.example.com."), HostedZoneId: aws.String("Z1"), EvaluateTargetHealth: false}}},
		{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{Name: aws.String("weighted.example.org."), Type: types.RRTypeA, TTL: aws.Int64(60),
			SetIdentifier: aws.String("one"), Weight: aws.Int64(1), ResourceRecords: []types.ResourceRecord{{Value: aws.String("10.0.0.1")}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := open(t, route53.Config{Zone: "example.org"}).List(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	special := map[string]string{}
	for _, s := range sets {
		special[s.Name] = s.Special
	}
	if special["alias.example.org"] != "an alias of Route 53" || special["weighted.example.org"] != "under a routing policy of Route 53" {
		t.Errorf("listed as %v", special)
	}
}

// TestSecretAsPath: a secret where a file's path should be is not told.
func TestSecretAsPath(t *testing.T) {
	for name, row := range map[string]struct {
		set  map[string]string
		want string
	}{
		"a role's token": {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "hunter2", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}, "AWS_WEB_IDENTITY_TOKEN_FILE: no such file"},
		"a file to load": {map[string]string{"AWS_CA_BUNDLE": "hunter2"}, "one of its files: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
			for _, key := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
				t.Setenv(key, "")
			}
			for key, value := range row.set {
				t.Setenv(key, value)
			}
			z, err := route53.Open(t.Context(), route53.Config{Zone: "example.org"})
			if err == nil {
				_, err = z.List(t.Context(), "example.org")
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v, want %q and no secret", err, row.want)
			}
		})
	}
}
