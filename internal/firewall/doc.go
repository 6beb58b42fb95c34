// Package firewall keeps the security-group rules that let the machines of
// other regions in: for each peer its address, alone, on the cluster's ports. A
// security group cannot name a group of another region, nor public addresses of
// its own, so somebody has to follow the machines as they come and go.
//
// Owned rules are those whose description is quorate:<cluster>:<peer id>. No
// other rule is ever touched. What shall be is decided purely (Wanted, Diff,
// Turn); Group does it in EC2.
package firewall
