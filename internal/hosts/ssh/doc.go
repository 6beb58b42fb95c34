// Package ssh runs programs on hosts through the system's own OpenSSH client.
// What ssh_config, known_hosts and agents say is so honoured by construction,
// and hardware keys, certificates and bastions work as the user is used to.
//
// One connection a host is opened (a master without a session) and every
// program goes through it. Nothing secret is ever in an argument: what is
// secret goes through standard input.
package ssh
