package plan

import "encoding/json"

// decisionJSON is the form of a Decision for people and journals: of the steps
// only their names, since an Observation gives the steps again.
type decisionJSON struct {
	Verb   string   `json:"verb"`
	Reason string   `json:"reason"`
	Detail string   `json:"detail,omitempty"`
	Steps  []string `json:"steps,omitempty"`
}

// MarshalJSON writes the decision with the names of its steps.
func (d Decision) MarshalJSON() ([]byte, error) {
	return json.Marshal(decisionJSON{d.Verb, d.Reason, d.Detail, d.StepNames()})
}

// UnmarshalJSON reads everything but the steps.
func (d *Decision) UnmarshalJSON(b []byte) error {
	var j decisionJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*d = Decision{Verb: j.Verb, Reason: j.Reason, Detail: j.Detail}
	return nil
}
