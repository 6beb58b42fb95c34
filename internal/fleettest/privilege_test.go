package fleettest

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/stack"
)

// recorded are the IAM actions that the agents of all fleets have used.
var recorded = map[string]int{}

// exercised are the features whose every action the fleets must use. The
// others are a machine's first boot (TLS, Install, KMS), which these machines
// do not have, and Firewall, which lets no loopback address in, so that it only
// looks here: its own tests change rules on moto.
var exercised = []stack.Feature{stack.Discovery, stack.Store, stack.Lifecycle, stack.Signal, stack.Condemn, stack.Metrics, stack.Messages,
	stack.DNS}

// TestFleet is everything: the two fleets, and then what they were allowed to do.
func TestFleet(t *testing.T) {
	t.Run("one region", testOneRegion)
	t.Run("two regions", testTwoRegions)
	if !t.Failed() {
		t.Run("least privilege", testLeastPrivilege)
	}
}

// testLeastPrivilege: the policy holds every action that was used, and every
// action of the policy was used.
func testLeastPrivilege(t *testing.T) {
	allowed := stack.Actions(append(exercised, stack.Firewall)...)
	for action, n := range recorded {
		if !slices.Contains(allowed, action) {
			t.Errorf("%s was used %d times, and no feature's policy allows it", action, n)
		}
	}
	for _, action := range stack.Actions(exercised...) {
		if recorded[action] == 0 {
			t.Errorf("the policy allows %s, and nothing has used it", action)
		}
	}
}

// record keeps what the agents of a fleet have asked for.
func (f *fleet) record() {
	defer func() { f.whole.Log(recorded) }()
	for _, c := range f.proxy.Calls() {
		recorded[action(c)]++
	}
}

// action is the IAM action that AWS checks for a call.
func action(c awsproxy.Call) string {
	switch c.Service {
	case "s3":
		return "s3:" + objectAction(c)
	case "route53":
		return "route53:" + recordAction(c.Action)
	case "monitoring":
		return "cloudwatch:" + c.Action
	}
	return c.Service + ":" + c.Action
}

func recordAction(request string) string {
	switch {
	case strings.Contains(request, "/hostedzonesbyname"):
		return "ListHostedZonesByName"
	case strings.HasPrefix(request, "GET ") && strings.HasSuffix(strings.TrimSuffix(request, "/"), "/rrset"):
		return "ListResourceRecordSets"
	case strings.HasPrefix(request, "POST ") && strings.HasSuffix(strings.TrimSuffix(request, "/"), "/rrset"):
		return "ChangeResourceRecordSets"
	case strings.HasPrefix(request, "GET ") && strings.Contains(request, "/change/"):
		return "GetChange"
	}
	return request
}

func objectAction(c awsproxy.Call) string {
	method, path, _ := strings.Cut(c.Action, " ")
	_, key, _ := strings.Cut(strings.Trim(path, "/"), "/")
	switch {
	case key == "" && method == http.MethodGet, key == "" && method == http.MethodHead:
		return "ListBucket"
	case key == "":
		return "on a bucket: " + c.Action
	case method == http.MethodGet, method == http.MethodHead:
		return "GetObject"
	case method == http.MethodDelete && c.Params.Has("uploadId"):
		return "AbortMultipartUpload"
	case method == http.MethodDelete:
		return "DeleteObject"
	case method == http.MethodPut, method == http.MethodPost: // in one piece or several
		return "PutObject"
	}
	return c.Action
}
