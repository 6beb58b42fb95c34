package aws

import (
	"reflect"

	"github.com/quorate/quorate/internal/aws/awstest"
	"github.com/quorate/quorate/internal/clustertest/awsproxy"
	"github.com/quorate/quorate/internal/peers/peerstest"
)

func tagIsASource(r rig) {
	ids := r.Group(home, "g", 3)
	r.tag(home, "etcd:cluster", "main", ids...)
	r.launch(home, "etcd:cluster", "other", 1)
	peerstest.Run(r.T, peerstest.Leaf{Source: r.source("aws-tag://etcd:cluster=main"), Want: r.want(home, "g", 3, ids),
		Break: func() { r.Inject("DescribeAutoScalingInstances", awsproxy.Broken) }, Mend: func() { r.Heal() }})
}

// Several groups, a page for each thing, and some in no group: then nobody
// knows the size.
func tagAcrossGroups(r rig) {
	a, b := r.Group(home, "a", 4), r.Group(home, "b", 3)
	r.tag(home, "etcd", "x*", append(a, b...)...)
	r.launch(home, "etcd", "xyz", 1) // a pattern would find it
	s := r.source("aws-tag://etcd=x*")
	s.pageSize = 1
	v := r.view(s)
	if got := names(v); !reflect.DeepEqual(got, sorted(append(a, b...)...)) || v.Size != 7 {
		r.Errorf("%v of %d", got, v.Size)
	}
	if i, g := r.Count("DescribeInstances"), r.Count("DescribeAutoScalingGroups"); i < 2 || g < 2 {
		r.Errorf("%d and %d calls: there were no pages", i, g)
	}
	r.launch(home, "etcd", "x*", 1)
	if v := r.view(s); len(v.Peers) != 8 || v.Size != 0 {
		r.Errorf("with a machine in no group: %+v", v)
	}
}

func tagDoubtIsUnknown(r rig) {
	r.tag(home, "etcd", "c", r.Group(home, "g", 2)...)
	gone := r.launch(home, "etcd", "gone", 2)
	r.terminate(home, gone...)
	s := r.source("aws-tag://etcd=c")
	r.view(s)
	for _, c := range []struct {
		action string
		fault  awsproxy.Fault
		want   string
	}{
		{"DescribeInstances", awsproxy.Empty, "no instance has the tag"},
		{"DescribeAutoScalingInstances", awsproxy.Empty, "Auto Scaling in none"},
		{"DescribeAutoScalingGroups", awsproxy.Empty, "0 groups of 1"},
		{"*", awsproxy.Throttled, "Throttling"},
	} {
		r.Inject(c.action, c.fault)
		r.unknown(s, c.want)
		r.Heal()
	}
	r.view(s)
	r.unknown(r.source("aws-tag://etcd=nobody"), "no instance has the tag")
	r.unknown(r.source("aws-tag://etcd=gone"), "no instance: not believed")
	r.unknown(r.source("aws-tag://etcd=c?regions=us-east-1,eu-west-1"), "eu-west-1: no instance has the tag")
}

func ownTag(r rig) {
	ids := r.launch(home, "etcd", "mine", 2)
	imds := awstest.Serve(r.T, awstest.Instance{ID: ids[0], Region: home, PrivateIPv4: "10.0.0.9"})
	imds.Point(r.T)
	if got := names(r.view(r.source("aws-tag://etcd="))); !reflect.DeepEqual(got, sorted(ids...)) {
		r.Errorf("%v", got)
	}
	r.unknown(r.source("aws-tag://nothing="), "has no tag nothing")
}
