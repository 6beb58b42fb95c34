package cluster

import "encoding/json"

// Fact is something that a node may know. Its zero value is unknown: a
// look-up that failed or was never made is a value of its own, so that it can
// never be mistaken for "there is none". Unknown is not absent.
type Fact[T any] struct {
	value T
	state factState
}

type factState uint8

const (
	unknown factState = iota
	absent
	known
)

// Known is the fact v.
func Known[T any](v T) Fact[T] { return Fact[T]{value: v, state: known} }

// Absent is the proven fact that there is no T.
func Absent[T any]() Fact[T] { return Fact[T]{state: absent} }

// Unknown is the zero Fact, spelt out.
func Unknown[T any]() Fact[T] { return Fact[T]{} }

// Known says that a value was found; Value then holds it.
func (f Fact[T]) Known() bool { return f.state == known }

// Absent says that the look-up succeeded and found nothing.
func (f Fact[T]) Absent() bool { return f.state == absent }

// Unknown says that nothing may be concluded.
func (f Fact[T]) Unknown() bool { return f.state == unknown }

// Value is the known value, or T's zero value.
func (f Fact[T]) Value() T { return f.value }

// factJSON is the form of a Fact in journals and reports.
type factJSON[T any] struct {
	State string `json:"state"`
	Value *T     `json:"value,omitempty"`
}

// MarshalJSON writes {"state":"unknown|absent|known","value":…}.
func (f Fact[T]) MarshalJSON() ([]byte, error) {
	switch f.state {
	case known:
		return json.Marshal(factJSON[T]{State: "known", Value: &f.value})
	case absent:
		return json.Marshal(factJSON[T]{State: "absent"})
	}
	return json.Marshal(factJSON[T]{State: "unknown"})
}

// UnmarshalJSON reads what MarshalJSON wrote; anything else is unknown.
func (f *Fact[T]) UnmarshalJSON(b []byte) error {
	var j factJSON[T]
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	switch {
	case j.State == "known" && j.Value != nil:
		*f = Known(*j.Value)
	case j.State == "absent":
		*f = Absent[T]()
	default:
		*f = Unknown[T]()
	}
	return nil
}
