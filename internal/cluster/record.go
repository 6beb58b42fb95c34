package cluster

import "time"

// Record is one DNS record: one value of a name and type.
type Record struct {
	Name string        `json:"name"` // fully qualified, in lower case, without the last dot
	Type string        `json:"type"` // A, AAAA or SRV
	Data string        `json:"data"` // as a zone file has it; an SRV target ends with its dot
	TTL  time.Duration `json:"ttl"`
}
