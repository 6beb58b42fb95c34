package awsproxy

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// rewrite puts the proxy's own truth into moto's reply.
func (p *Proxy) rewrite(c Call, resp *http.Response) error {
	var change func(Call, []byte) []byte
	switch c.Action {
	case "DescribeInstances":
		change = p.rewriteAddresses
	case "DescribeAutoScalingGroups":
		change = func(c Call, b []byte) []byte { return p.rewriteDesired(c, p.rewriteStates(c, b)) }
	case "DescribeAutoScalingInstances":
		change = p.rewriteStates
	}
	if change == nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body.Close()
	body = change(c, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

var (
	tag            = regexp.MustCompile(`<(/?)([A-Za-z0-9]+)[^>]*?(/?)>`)
	ec2Instance    = regexp.MustCompile(`<instanceId>(i-[0-9a-f]+)</instanceId>`)
	privateAddress = regexp.MustCompile(`<privateIpAddress>[^<]*</privateIpAddress>`)
	publicAddress  = regexp.MustCompile(`<(ipAddress|publicIp)>[^<]*</(ipAddress|publicIp)>`)
	groupInstance  = regexp.MustCompile(`<InstanceId>(i-[0-9a-f]+)</InstanceId>`)
	lifecycleState = regexp.MustCompile(`<LifecycleState>[^<]*</LifecycleState>`)
	groupName      = regexp.MustCompile(`<AutoScalingGroupName>([^<]*)</AutoScalingGroupName>`)
	desired        = regexp.MustCompile(`<DesiredCapacity>([0-9]+)</DesiredCapacity>`)
)

// each changes every child element of every parent element, whatever the order
// of the fields in it.
func each(body []byte, parent, child string, change func(piece []byte) []byte) []byte {
	var out []byte
	var open []string
	last, start, depth := 0, 0, 0
	for _, m := range tag.FindAllSubmatchIndex(body, -1) {
		name := string(body[m[4]:m[5]])
		switch {
		case m[7] > m[6]: // <empty/>
		case m[3] > m[2] && len(open) > 0: // </end>
			open = open[:len(open)-1]
			if name == child && len(open) == depth-1 {
				out = append(append(out, body[last:start]...), change(append([]byte(nil), body[start:m[1]]...))...)
				last, depth = m[1], 0
			}
		default:
			if depth == 0 && name == child && len(open) > 0 && open[len(open)-1] == parent {
				start, depth = m[0], len(open)+1
			}
			open = append(open, name)
		}
	}
	return append(out, body[last:]...)
}

func found(what *regexp.Regexp, piece []byte) string {
	if m := what.FindSubmatch(piece); m != nil {
		return string(m[1])
	}
	return ""
}

func (p *Proxy) rewriteAddresses(_ Call, body []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return each(body, "instancesSet", "item", func(piece []byte) []byte {
		a := p.addresses[found(ec2Instance, piece)]
		if a.private != "" {
			piece = privateAddress.ReplaceAll(piece, []byte("<privateIpAddress>"+a.private+"</privateIpAddress>"))
		}
		if a.public != "" {
			piece = publicAddress.ReplaceAll(piece, []byte("<${1}>"+a.public+"</${2}>"))
		}
		return piece
	})
}

// rewriteStates shows each instance's state in the proxy's eyes.
func (p *Proxy) rewriteStates(_ Call, body []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, parent := range []string{"Instances", "AutoScalingInstances"} {
		body = each(body, parent, "member", func(piece []byte) []byte {
			if s := p.stateOf(found(groupInstance, piece)); s != "" {
				piece = lifecycleState.ReplaceAll(piece, []byte("<LifecycleState>"+s+"</LifecycleState>"))
			}
			return piece
		})
	}
	return body
}

// rewriteDesired takes off the desired capacity those that only wait to end:
// moto still counts them.
func (p *Proxy) rewriteDesired(c Call, body []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return each(body, "AutoScalingGroups", "member", func(piece []byte) []byte {
		group := found(groupName, piece)
		return desired.ReplaceAllFunc(piece, func(b []byte) []byte {
			n, _ := strconv.Atoi(found(desired, b))
			return []byte("<DesiredCapacity>" + strconv.Itoa(n-p.ending(c.Region, group)-p.surplus[c.Region+"/"+group]) + "</DesiredCapacity>")
		})
	})
}
