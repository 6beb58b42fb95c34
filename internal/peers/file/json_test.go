package file

import (
	"strings"
	"testing"
)

// TestJSONTwice: of a key that is there twice nobody knows which is meant, at any
// depth and however it is written.
func TestJSONTwice(t *testing.T) {
	for text, key := range map[string]string{
		`[{"name":"a","host":"h","host":"i"}]`:                                  `"host"`,
		`[{"name":"a","host":"h"},{"name":"b","Name":"c","host":1}]`:            "",
		`[{"name":"a","Name":"b","host":"h"}]`:                                  `"Name"`,
		`[{"name":"a","host":"h"},{"name":"b","host":"i","id":"x","name":"b"}]`: `"name"`,
		`[{"name":"a","\u006eame":"b","host":"h"}]`:                             `"name"`,
	} {
		peers, err := FromJSON([]byte(text), usual)
		if err == nil || !strings.Contains(err.Error(), key) || peers != nil {
			t.Errorf("%s: %+v, %v", text, peers, err)
		}
	}
	peers, err := FromJSON([]byte(`[{"name":"host","host":"name","zone":"name"},{"name":"b","host":"i","zone":"name"}]`), usual)
	if err != nil || len(peers) != 2 {
		t.Errorf("%+v, %v", peers, err)
	}
}

// TestStrictTwice: what is kept raw is looked at too.
func TestStrictTwice(t *testing.T) {
	var v struct {
		Size int `json:"size"`
		More any `json:"more"`
	}
	for text, ok := range map[string]bool{
		`{"size":1,"size":3}`:                            false,
		`{"size":1,"SIZE":3}`:                            false,
		`{"size":1,"more":[{},{"a":{"b":1,"b":2}}]}`:     false,
		`{"more":["a","a",{"a":"a"},{"a":[]}],"size":1}`: true,
		`{"more":{"size":{"size":1}},"size":1}`:          true,
	} {
		if err := Strict([]byte(text), &v); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
