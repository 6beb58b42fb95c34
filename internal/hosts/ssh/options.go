package ssh

import (
	"strconv"
	"strings"
)

// Options are what is said beside the user's own ssh_config, which holds where
// an option is empty.
type Options struct {
	User       string
	Identity   string // file of a private key, or of its public half where an agent has the key
	Jump       string // bastions between commas, as ProxyJump takes them
	Port       int    // 0: ssh_config's, else 22
	ConfigFile string // instead of ~/.ssh/config and the system's
	// AcceptNew lets in hosts whose key nobody knows and notes the key. A key that
	// has changed is refused all the same.
	AcceptNew bool
}

// connectTimeout, and how long a dead connection goes unnoticed, in seconds.
const (
	connectTimeout = "15"
	aliveInterval  = "5"
	aliveCount     = "4"
)

// args are ssh's options, before the destination.
func (o Options) args() []string {
	out := append(o.trust(), "-o", "ConnectTimeout="+connectTimeout, "-o", "ServerAliveInterval="+aliveInterval,
		"-o", "ServerAliveCountMax="+aliveCount, "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no",
		"-o", "RequestTTY=no", "-o", "RemoteCommand=none", "-o", "PermitLocalCommand=no")
	if o.User != "" {
		out = append(out, "-l", o.User)
	}
	if o.Port != 0 {
		out = append(out, "-p", strconv.Itoa(o.Port))
	}
	if o.Jump != "" {
		out = append(out, "-o", "ProxyCommand="+o.proxy())
	}
	return out
}

// trust is how we and a host prove to each other who we are. Nothing is asked
// on a terminal.
func (o Options) trust() []string {
	checking := "yes"
	if o.AcceptNew {
		checking = "accept-new"
	}
	out := []string{"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=" + checking}
	if o.ConfigFile != "" {
		out = append(out, "-F", o.ConfigFile)
	}
	if o.Identity != "" {
		out = append(out, "-i", o.Identity, "-o", "IdentitiesOnly=yes")
	}
	return out
}

// proxy is what -J would do, with our trust on the way too: -J forgets the
// identity and the rule for new keys.
func (o Options) proxy() string {
	hops := strings.Split(o.Jump, ",")
	last := hops[len(hops)-1]
	words := append([]string{"ssh"}, o.trust()...)
	words = append(words, "-o", "ConnectTimeout="+connectTimeout)
	if len(hops) > 1 {
		words = append(words, "-J", strings.Join(hops[:len(hops)-1], ","))
	}
	if strings.Contains(last, ":") && !strings.HasPrefix(last, "ssh://") {
		last = "ssh://" + last
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(Quote(w), "%", "%%") // % is a mark of ProxyCommand's
	}
	return strings.Join(words, " ") + " -W '[%h]:%p' -- " + strings.ReplaceAll(Quote(last), "%", "%%")
}

// through names the bastions in an error: the fault may be there.
func (o Options) through() string {
	if o.Jump == "" {
		return ""
	}
	return " through " + o.Jump
}

// Quote makes a word that a POSIX shell reads back as it is.
func Quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// line is words as a remote shell reads them.
func line(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
