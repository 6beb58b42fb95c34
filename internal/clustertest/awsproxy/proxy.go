package awsproxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Call is one request to AWS, as it was made.
type Call struct {
	Service string // as it is signed for: autoscaling, ec2, sqs, s3, …
	Region  string
	Action  string // CompleteLifecycleAction; of S3 and Route 53: "PUT /path"
	Params  url.Values
	Body    []byte // what Params cannot hold: JSON, CBOR, an object
	At      time.Time
}

// Proxy is one AWS for a test. All methods are safe for concurrent use.
type Proxy struct {
	URL string // also in AWS_ENDPOINT_URL

	t    testing.TB
	moto *url.URL

	// moment is held while moto and the proxy change one after the other what a
	// group looks like: nobody sees it half done, as a smaller group.
	moment sync.RWMutex

	mu           sync.Mutex
	calls        []Call
	faults       map[string]Fault
	cleared      chan struct{} // closed when the faults change: a hanging call looks again
	addresses    map[string]addresses
	machines     map[string]*machine
	queues       map[string]string // group → queue URL
	surplus      map[string]int    // region/group → instances beyond those desired
	hookTimeout  time.Duration
	onTerminated func(instanceID string)
}

type addresses struct{ private, public string }

// New is a proxy in front of moto until the test ends; the AWS SDK is pointed
// at it by AWS_ENDPOINT_URL.
func New(t testing.TB, motoEndpoint string) *Proxy {
	t.Helper()
	target, err := url.Parse(motoEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, moto: target, faults: map[string]Fault{}, cleared: make(chan struct{}), addresses: map[string]addresses{},
		machines: map[string]*machine{}, queues: map[string]string{}, surplus: map[string]int{}, onTerminated: func(string) {}}
	srv := httptest.NewServer(p)
	p.URL = srv.URL
	t.Cleanup(func() { p.Heal(); srv.CloseClientConnections(); srv.Close() })
	t.Setenv("AWS_ENDPOINT_URL", p.URL)
	return p
}

// Calls are all requests so far.
func (p *Proxy) Calls() []Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Call(nil), p.calls...)
}

// Count is how often the action was asked for, those that failed included;
// where params are given ("InstanceId", "i-1"), only with these.
func (p *Proxy) Count(action string, params ...string) int {
	n := 0
	for _, c := range p.Calls() {
		match := c.Action == action
		for i := 0; i+1 < len(params); i += 2 {
			match = match && c.Params.Get(params[i]) == params[i+1]
		}
		if match {
			n++
		}
	}
	return n
}

// SetAddress has DescribeInstances answer with these addresses for the
// instance; an empty one stays moto's.
func (p *Proxy) SetAddress(instanceID, private, public string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses[instanceID] = addresses{private, public}
}

var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/`)

// read takes the request apart; its body can be read again afterwards.
func read(r *http.Request) (Call, error) {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	c := Call{Action: r.Method + " " + r.URL.Path, Params: r.URL.Query(), Body: body, At: time.Now()}
	if m := scope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		c.Region, c.Service = m[1], m[2]
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		c.Action, c.Params = form.Get("Action"), form
	}
	if _, action, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		c.Action = action
	}
	if _, action, ok := strings.Cut(r.URL.Path, "/operation/"); ok { // Smithy RPC
		c.Action = path.Base(action)
	}
	return c, err
}

// ServeHTTP records the call, and answers it itself or asks moto.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := read(r)
	if err != nil {
		return // the client is gone
	}
	p.mu.Lock()
	p.calls = append(p.calls, c)
	p.mu.Unlock()
	if p.fail(w, r, c) {
		return
	}
	p.expire()
	if c.Service == "autoscaling" && p.answer(w, c) {
		return
	}
	if c.Service == "cloudformation" && c.Action == "SignalResource" {
		succeed(w, c.Action) // moto's stacks are done at once and wait for nobody
		return
	}
	if c.Service == "autoscaling" {
		p.moment.RLock()
		defer p.moment.RUnlock()
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(p.moto)
			pr.Out.Host = pr.In.Host // moto writes it into queue URLs
			pr.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(resp *http.Response) error { return p.rewrite(c, resp) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r)
}

// ask has moto do something that no client asked for.
func (p *Proxy) ask(service, region string, form url.Values) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, p.moto.String()+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/"+region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", form.Get("Action"), resp.Status, body)
	}
	return body, err
}
