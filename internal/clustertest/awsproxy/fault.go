package awsproxy

import (
	"fmt"
	"net/http"
)

// Fault is how a call fails.
type Fault struct {
	Status  int    // of HTTP; 0: the answer is a success that says nothing
	Code    string // of AWS
	Message string
	Hang    bool // no answer at all, until the caller gives up or the fault is healed
}

// The failures that AWS has.
var (
	Throttled = Fault{Status: 400, Code: "Throttling", Message: "Rate exceeded"}
	Broken    = Fault{Status: 500, Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure."}
	Denied    = Fault{Status: 403, Code: "AccessDenied", Message: "User is not authorized to perform this operation"}
	Hanging   = Fault{Hang: true}
	Empty     = Fault{} // a whole answer with nothing in it
)

// Inject has every call of the action fail until Heal. An action may be
// "CompleteLifecycleAction", "autoscaling:*" (a whole service),
// "eu-west-1:*" (a whole region) or "*".
func (p *Proxy) Inject(action string, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[action] = f
}

// Heal ends the faults of these actions, or all of them.
func (p *Proxy) Heal(actions ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range actions {
		delete(p.faults, a)
	}
	if len(actions) == 0 {
		clear(p.faults)
	}
	close(p.cleared)
	p.cleared = make(chan struct{})
}

func (p *Proxy) fault(c Call) (Fault, chan struct{}, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range []string{c.Action, c.Service + ":*", c.Region + ":*", "*"} {
		if f, ok := p.faults[key]; ok {
			return f, p.cleared, true
		}
	}
	return Fault{}, nil, false
}

// fail says that the call has been answered with its fault.
func (p *Proxy) fail(w http.ResponseWriter, r *http.Request, c Call) bool {
	for {
		f, cleared, faulty := p.fault(c)
		switch {
		case !faulty:
			return false
		case !f.Hang:
			writeFault(w, c, f)
			return true
		}
		select {
		case <-r.Context().Done():
			return true
		case <-cleared:
		}
	}
}

func writeFault(w http.ResponseWriter, c Call, f Fault) {
	switch {
	case f.Status == 0 && (c.Service == "autoscaling" || c.Service == "cloudformation"):
		succeed(w, c.Action)
	case f.Status == 0:
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, "<%sResponse></%sResponse>", c.Action, c.Action)
	case c.Service == "sqs":
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, `{"__type":%q,"message":%q}`, f.Code, f.Message)
	case c.Service == "ec2":
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, `<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>proxy</RequestID></Response>`, f.Code, f.Message)
	case c.Service == "s3":
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, `<Error><Code>%s</Code><Message>%s</Message><RequestId>proxy</RequestId></Error>`, f.Code, f.Message)
	default:
		refuse(w, f)
	}
}

// succeed answers an action of the query protocol with an empty result.
func succeed(w http.ResponseWriter, action string) {
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprintf(w, `<%[1]sResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><%[1]sResult></%[1]sResult><ResponseMetadata><RequestId>proxy</RequestId></ResponseMetadata></%[1]sResponse>`, action)
}

// refuse answers an action of the query protocol with an error.
func refuse(w http.ResponseWriter, f Fault) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.Status)
	fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>proxy</RequestId></ErrorResponse>`, f.Code, f.Message)
}
