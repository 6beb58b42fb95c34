package discoveryurl

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/quorate/quorate/internal/peers/registry"
)

// limit is far above any group's answer.
const limit = 1 << 20

// answer is what the v2 keys API says: a node, or an error with a code.
type answer struct {
	Node  *node `json:"node"`
	Code  int   `json:"errorCode"`
	Cause string
}

type node struct {
	Key     string  `json:"key"`
	Value   string  `json:"value"`
	Dir     bool    `json:"dir"`
	Created int64   `json:"createdIndex"`
	Nodes   []*node `json:"nodes"`
}

// The v2 API's codes.
const (
	codeNotFound  = 100
	codeDiffers   = 101
	codeNodeExist = 105
)

var (
	errExists  = errors.New("it is there already")
	errDiffers = errors.New("another wrote there meanwhile")
	errNoKey   = errors.New("there is no such key")
	errNoToken = errors.New("there is no such token")
)

// read takes an answer apart. Nothing of its text gets into an error: an
// error of this API repeats the key, and so the token.
func read(status int, body []byte) (answer, error) {
	if len(body) > limit {
		return answer{}, fmt.Errorf("an answer of more than %d bytes", limit)
	}
	var a answer
	err := json.Unmarshal(body, &a)
	switch {
	case err == nil && a.Code == codeNodeExist:
		return a, errExists
	case err == nil && a.Code == codeDiffers:
		return a, errDiffers
	case err == nil && a.Code == codeNotFound:
		return a, fmt.Errorf("%w: %w", errNoToken, errNoKey)
	case status == http.StatusNotFound: // of whoever: it proves nothing
		return a, errNoToken
	case status != http.StatusOK && status != http.StatusCreated:
		return a, fmt.Errorf("%d %s", status, http.StatusText(status))
	case err != nil:
		return a, errors.New("an answer that is no JSON of the keys API")
	case a.Code != 0:
		return a, fmt.Errorf("error %d of the keys API", a.Code)
	}
	return a, nil
}

// entries are the registrations; the hidden _config is none.
func (a answer) entries() ([]registry.Entry, error) {
	if a.Node == nil || !a.Node.Dir && len(a.Node.Nodes) == 0 {
		return nil, errors.New("an answer without a directory")
	}
	var out []registry.Entry
	for _, n := range a.Node.Nodes {
		if n == nil {
			return nil, errors.New("an empty node")
		}
		if id := path.Base(n.Key); !n.Dir && !strings.HasPrefix(id, "_") {
			out = append(out, registry.Entry{ID: id, Value: n.Value, Order: n.Created})
		}
	}
	return out, nil
}
