package cluster

import (
	"encoding/json"
	"testing"
)

func TestVersionTravels(t *testing.T) {
	type holder struct {
		V Version `json:"v,omitzero"`
	}
	for _, v := range []Version{{}, {Major: 3, Minor: 6, Patch: 14}} {
		raw, err := json.Marshal(holder{v})
		var got holder
		if err == nil {
			err = json.Unmarshal(raw, &got)
		}
		if err != nil || got.V != v {
			t.Errorf("%s became %s by %s: %v", v, got.V, raw, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"v":"three"}`), &holder{}); err == nil {
		t.Error("a word was taken for a version")
	}
}
