package hosts

import "time"

// Task is what the probe on a host is told: who it is, where it looks, whom it
// calls.
type Task struct {
	Name    string     `json:"name"`
	Nonce   string     `json:"nonce"`  // by which probes of one run know each other
	Listen  string     `json:"listen"` // IP address
	DataDir string     `json:"data_dir"`
	Busy    bool       `json:"busy"` // etcd runs there: its disk is left alone
	Ports   []Port     `json:"ports"`
	Peers   []PeerHost `json:"peers"` // all hosts, this one too
}

// Port is one of a node's ports, by its setting's name.
type Port struct {
	Key    string `json:"key"`
	Number int    `json:"number"`
}

// PeerHost is a host to call.
type PeerHost struct {
	Name  string `json:"name"`
	Host  string `json:"host"`
	Ports []Port `json:"ports"`
}

// Measured is what the probe has found.
type Measured struct {
	Fsync Latency `json:"fsync"`
	Free  int64   `json:"free"` // bytes, for the data
	// Data says that etcd's data of an earlier life is there.
	Data   bool     `json:"data"`
	Here   bool     `json:"here"` // the address to listen on is this host's
	Taken  []Taken  `json:"taken"`
	Calls  []Call   `json:"calls"`
	Errors []string `json:"errors"` // what could not be measured
}

// Latency is how long writing to the disk took, in nanoseconds.
type Latency struct {
	N        int
	P50, P99 time.Duration
}

// Taken is a port that somebody listens on.
type Taken struct {
	Port   Port   `json:"port"`
	Holder string `json:"holder"` // the program's name, where it is known
}

// Call is one try to reach a port.
type Call struct {
	To    string `json:"to"` // the host's name
	Port  Port   `json:"port"`
	Error string `json:"error"` // empty: reached
	// Other is who answered instead, as another of our hosts at that address.
	Other string `json:"other"`
}
