package awstest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// answer is the text at a path, or 404.
func (s *IMDS) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	i := s.instance
	s.mu.Unlock()
	text := i.text(strings.TrimPrefix(r.URL.Path, latest))
	if text == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte(text))
}

func (i Instance) text(path string) string {
	switch path {
	case "dynamic/instance-identity/document":
		return i.document()
	case "meta-data/instance-id":
		return i.ID
	case "meta-data/instance-type":
		return i.Type
	case "meta-data/ami-id":
		return i.ImageID
	case "meta-data/local-ipv4":
		return i.PrivateIPv4
	case "meta-data/public-ipv4":
		return i.PublicIPv4
	case "meta-data/ipv6":
		return i.IPv6
	case "meta-data/placement/region":
		return i.Region
	case "meta-data/placement/availability-zone":
		return i.Zone
	case "meta-data/spot/instance-action":
		if i.SpotAction != "" {
			return encode(map[string]string{"action": i.SpotAction, "time": i.SpotAt.UTC().Format(time.RFC3339)})
		}
	case "meta-data/events/recommendations/rebalance":
		if !i.RebalanceAt.IsZero() {
			return encode(map[string]string{"noticeTime": i.RebalanceAt.UTC().Format(time.RFC3339)})
		}
	case "meta-data/iam/security-credentials", "meta-data/iam/security-credentials/":
		return i.Role
	case "meta-data/iam/security-credentials/" + i.Role:
		return i.credentials()
	}
	return ""
}

// document is the instance identity document, in the words of EC2.
func (i Instance) document() string {
	return encode(map[string]any{
		"accountId": i.AccountID, "architecture": "x86_64", "availabilityZone": i.Zone, "imageId": i.ImageID,
		"instanceId": i.ID, "instanceType": i.Type, "pendingTime": i.Launched.UTC().Format(time.RFC3339),
		"privateIp": i.PrivateIPv4, "region": i.Region, "version": "2017-09-30", "billingProducts": nil,
	})
}

func (i Instance) credentials() string {
	return encode(map[string]string{
		"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": i.AccessKeyID, "SecretAccessKey": i.SecretAccessKey, "Token": i.Session,
		"LastUpdated": time.Now().UTC().Format(time.RFC3339), "Expiration": time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339),
	})
}

func encode(v any) string {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // text and times always encode
	}
	return string(text)
}
