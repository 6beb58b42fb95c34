package plan

import (
	"maps"
	"slices"
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// printing is node a, its disk empty, in a registry of a, b and c, recorded as
// the founders, with leave to register; nobody answers.
func printing(options ...func(*Print)) Print {
	o := Print{Name: "a", PeerURL: at("a"), Scheme: "http", Join: cluster.JoinReplace, Size: 3, Register: true, Token: "t",
		Disk: cluster.Disk{State: cluster.DiskEmpty}, Mark: MarkNone, Registry: true, Vitals: map[cluster.MemberID]Vital{}}
	registered(3, "a", "b", "c")(&o)
	recorded("a", "b", "c")(&o)
	for _, set := range options {
		set(&o)
	}
	return o
}

func registered(size int, names ...string) func(*Print) {
	return func(o *Print) {
		v := cluster.View{Size: size}
		for _, n := range names {
			v.Peers = append(v.Peers, machine(n))
		}
		o.View = cluster.Known(v)
	}
}

// recorded are the founders that the registry keeps.
func recorded(names ...string) func(*Print) {
	return func(o *Print) {
		var all []cluster.Founder
		for _, n := range names {
			all = append(all, cluster.Founder{Name: n, PeerURL: at(n)})
		}
		o.Founders = cluster.Known(all)
	}
}

// unrecorded is a registry by which nobody has founded yet.
func unrecorded(o *Print) { o.Founders = cluster.Absent[[]cluster.Founder]() }

func outOfStep(o *Print) { o.OutOfStep = true }

// quorum answers with these members; those named are healthy, others unwell.
func quorum(members []cluster.Member, healthy ...string) func(*Print) {
	return func(o *Print) {
		o.Answers = []PrintAnswer{{At: "x", ClusterID: 7, Members: members}}
		o.Members = cluster.Known(members)
		for _, n := range healthy {
			o.Vitals[id(n)] = VitalHealthy
		}
	}
}

func mute(names ...string) func(*Print) {
	return func(o *Print) {
		for _, n := range names {
			o.Vitals[id(n)] = VitalSilent
		}
	}
}

func marked(m Mark) func(*Print)                     { return func(o *Print) { o.Mark = m } }
func byStrategy(j cluster.JoinStrategy) func(*Print) { return func(o *Print) { o.Join = j } }
func most(n int) func(*Print)                        { return func(o *Print) { o.Size = n } }
func justAsks(o *Print)                              { o.Register = false }
func asVoter(o *Print)                               { o.AsVoter = true }
func first(o *Print)                                 { o.First = true }
func aList(o *Print)                                 { o.Registry = false }
func named(name string) func(*Print)                 { return func(o *Print) { o.Name, o.PeerURL = name, at(name) } }
func onData(o *Print) {
	o.Disk = cluster.Disk{State: cluster.DiskData, ClusterID: 7, MemberID: id("a")}
}
func plus(a []cluster.Member, b ...cluster.Member) []cluster.Member { return slices.Concat(a, b) }
func answers(clusters ...cluster.ClusterID) func(*Print) {
	return func(o *Print) {
		for _, c := range clusters {
			o.Answers = append(o.Answers, PrintAnswer{At: "x", ClusterID: c})
		}
	}
}

// fellow is a founder that has started and waits: it lists these, without a quorum.
func fellow(members ...cluster.Member) func(*Print) {
	return func(o *Print) { o.Answers = []PrintAnswer{{At: "x", ClusterID: 7, Members: members}} }
}

// lone is b, once the only voter, which has taken these entries and lost its quorum to one.
func lone(more ...cluster.Member) func(*Print) {
	return func(o *Print) {
		o.Answers = []PrintAnswer{{At: "x", ClusterID: 7, MemberID: id("b"), Members: plus([]cluster.Member{voter("b")}, more...)}}
	}
}

// also is one more answer, by a peer port.
func also(members ...cluster.Member) func(*Print) {
	return func(o *Print) {
		o.Answers = append(o.Answers, PrintAnswer{At: "y", ClusterID: 7, Members: members})
	}
}

func TestDecidePrint(t *testing.T) {
	tests := printRows()
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		if got := askPrint(tests[name].see); got != tests[name].want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tests[name].want)
		}
	}
}

// askPrint is the decision in words.
func askPrint(o Print) string { return DecidePrint(o).String() }

// printRow is a row of the specification of print mode.
type printRow = rowOf[Print]

func printRows() map[string]printRow {
	return map[string]printRow{
		"nothing is known":              {Print{}, "wait: the data directory is unread"},
		"the source is down":            {printing(func(o *Print) { o.View = cluster.Unknown[cluster.View]() }), "wait: the peers source does not answer"},
		"the source is down, and why":   {printing(func(o *Print) { o.View, o.Unread = cluster.Unknown[cluster.View](), "no such token" }), "wait: the peers source does not answer (no such token)"},
		"two clusters":                  {printing(answers(7, 8)), "refuse: two clusters answer: end one of them"},
		"not registered":                {printing(registered(3, "b", "c")), "register: this node is not in the registry: RegisterSelf{a}"},
		"not registered, only asks":     {printing(registered(3, "b", "c"), justAsks), "wait: this node is not in the registry (with --register: RegisterSelf{a})"},
		"registered by another address": {printing(func(o *Print) { o.PeerURL = at("z") }), "register: this node is not in the registry: RegisterSelf{a}"},

		"founds":                                            {printing(), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"founds again: it has not started":                  {printing(marked(MarkOurs)), "found: the peers source is complete, and nobody answers: StartEtcd{new}"},
		"would found":                                       {printing(justAsks), "wait: the peers source is complete, and nobody answers (with --register: MarkDisk{}, StartEtcd{new})"},
		"a list proves no first start":                      {printing(aList), "refuse: " + askFirst}, // trap 2
		"late, and a list proves nothing":                   {printing(aList, fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "refuse: " + askFirst},
		"late, and it is the first start":                   {printing(aList, first, fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "found: the other founders wait for this one: MarkDisk{}, StartEtcd{new}"},
		"a list, and this disk is marked":                   {printing(aList, marked(MarkOurs)), "found: the peers source is complete, and nobody answers: StartEtcd{new}"},
		"founds from a list, without leave":                 {printing(aList, first, justAsks), "found: the peers source is complete, and nobody answers: StartEtcd{new}"},
		"a lost disk never founds":                          {printing(marked(MarkOther)), "refuse: this node has been started before, on a disk that is lost, and no member answers: start the others"}, // trap 2
		"a mark unread founds nothing":                      {printing(marked("")), "wait: which disk has this node's identity is unread"},
		"the source is not complete":                        {printing(unrecorded, registered(3, "a", "b")), "wait: the peers source is not complete yet (2 of 3)"}, // trap 1
		"the size of the registry founds":                   {printing(unrecorded, most(5)), "found: the registry is complete, and nobody answers: WriteFounders{a+b+c}"},
		"records who founds":                                {printing(unrecorded), "found: the registry is complete, and nobody answers: WriteFounders{a+b+c}"},
		"would record who founds":                           {printing(unrecorded, justAsks), "wait: the registry is complete, and nobody answers (with --register: WriteFounders{a+b+c})"},
		"who founds is unread":                              {printing(func(o *Print) { o.Founders = cluster.Unknown[[]cluster.Founder]() }), "wait: who founds by this registry is unread"},
		"recorded, whoever registered since":                {printing(registered(3, "d", "e", "f", "a")), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"not among those recorded":                          {printing(recorded("b", "c", "d")), "wait: this node is no founder, and no member answers (the founders are 3)"}, // the registry lost a member's registration
		"recorded at another address":                       {printing(func(o *Print) { o.Founders = cluster.Known([]cluster.Founder{{Name: "a", PeerURL: at("z")}}) }), "wait: this node is no founder, and no member answers (the founders are 1)"},
		"founded otherwise":                                 {printing(recorded()), "wait: this node is no founder, and no member answers (the founders are 0)"},
		"late, not recorded: etcd's own fellows":            {printing(unrecorded, fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "found: the other founders wait for this one: MarkDisk{}, StartEtcd{new}"},
		"no size at all":                                    {printing(aList, most(0), registered(0, "a")), "refuse: founding needs a size: give --size, or a peers source that knows it"},
		"the fourth waits for the founders":                 {printing(unrecorded, registered(3, "b", "c", "d", "a")), "wait: this node is no founder, and no member answers (the founders are 3)"},
		"a list that lacks this node":                       {printing(aList, registered(3, "b", "c", "d")), "wait: this machine is not in the peers source"},
		"a list that names this node otherwise":             {printing(aList, func(o *Print) { o.Name = "z" }), "refuse: the peers source calls this machine by another name (a, not z)"},
		"late, the others wait":                             {printing(fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "found: the other founders wait for this one: MarkDisk{}, StartEtcd{new}"},
		"late, on a lost disk":                              {printing(fellow(unpublished("a"), unpublished("b"), unpublished("c")), marked(MarkOther)), "wait: an etcd answers, and no quorum does (x)"},
		"late, but it has run: lost":                        {printing(fellow(voters("a", "b", "c")...)), "wait: an etcd answers, and no quorum does (x)"}, // ETCD-FACTS 6.4
		"a cluster without a quorum, of others":             {printing(fellow(voters("b", "c", "d")...)), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, after its entry":                 {printing(marked(MarkOurs), lone(unstarted(voter("a")))), "join: the one voter waits for this node's entry to start: StartEtcd{existing}"},
		"the second voter, prepared":                        {printing(justAsks, byStrategy(cluster.JoinPrepared), lone(unstarted(voter("a")))), "join: the one voter waits for this node's entry to start: StartEtcd{existing}"},
		"the second voter, prepared, its mark unread":       {printing(justAsks, byStrategy(cluster.JoinPrepared), marked(""), lone(unstarted(voter("a")))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, an entry of another disk":        {printing(marked(MarkOther), lone(unstarted(voter("a")))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, an entry of nobody knows whose":  {printing(lone(unstarted(voter("a")))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, it has run":                      {printing(marked(MarkOurs), lone(unpublished("a"))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, only a peer port answers":        {printing(marked(MarkOurs), fellow(voter("b"), unstarted(voter("a")))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, another answer does not list it": {printing(marked(MarkOurs), lone(unstarted(voter("a"))), also(voter("b"))), "wait: an etcd answers, and no quorum does (x)"},
		"the second voter, beside a learner":                {printing(marked(MarkOurs), lone(unstarted(voter("a")), learner("c"))), "join: the one voter waits for this node's entry to start: StartEtcd{existing}"},
		"a learner's entry needs a quorum":                  {printing(marked(MarkOurs), lone(unstarted(learner("a")), voter("c"))), "wait: an etcd answers, and no quorum does (x)"},
		"the third voter's entry needs a quorum":            {printing(marked(MarkOurs), lone(unstarted(voter("a")), voter("c"))), "wait: an etcd answers, and no quorum does (x)"},
		"late, a quorum of the others serves":               {printing(quorum(plus(voters("b", "c"), unpublished("a")), "b", "c")), "join: an entry awaits this node: MarkDisk{}, StartEtcd{existing}"},

		"resumes":                        {printing(onData), "start: the data is usable: StartEtcd{resume}"},
		"resumes without the source":     {printing(onData, func(o *Print) { o.View = cluster.Unknown[cluster.View]() }), "start: the data is usable: StartEtcd{resume}"},
		"resumes without a quorum":       {printing(onData, answers(7)), "start: the data is usable: StartEtcd{resume}"},
		"resumes in its cluster":         {printing(onData, quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"the data is of another cluster": {printing(onData, answers(8)), "refuse: the data is of another cluster than the one that answers: set the data directory aside (7, not 8)"},
		"removed meanwhile":              {printing(onData, quorum(voters("b", "c"), "b", "c")), "refuse: this member has been removed from its cluster: set the data directory aside (member a)"},
		"moved":                          {printing(onData, func(o *Print) { o.PeerURL = at("z") }, quorum(voters("a", "b", "c"), "b", "c")), "update: the data's member has another address (http://a:2380): UpdateMember{a http://z:2380}"}, // trap 15
		"moved, only asks":               {printing(onData, justAsks, func(o *Print) { o.PeerURL = at("z") }, quorum(voters("a", "b", "c"), "b", "c")), "wait: the data's member has another address (with --register: UpdateMember{a http://z:2380})"},
		"moved to a member's address":    {printing(onData, func(o *Print) { o.PeerURL = at("b") }, quorum(voters("a", "b", "c"), "b", "c")), "refuse: another member has this node's address (b)"},
		"its learner serves":             {printing(onData, quorum(plus(voters("b", "c"), learner("a")), "a", "b", "c")), "promote: this node's etcd is a learner that serves: PromoteLearner{a}"},
		"its learner has yet to start":   {printing(onData, quorum(plus(voters("b", "c"), learner("a")), "b", "c")), "start: the data is usable: StartEtcd{resume}"},

		"brings the registry in step":     {printing(onData, outOfStep, quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: SyncRegistry{}, StartEtcd{resume}"},
		"before a member goes":            {printing(outOfStep, quorum(voters("b", "c", "d"), "b", "c"), mute("d")), "join: a dead member goes first (d): SyncRegistry{}, RemoveMember{d}"},
		"in step only by leave":           {printing(onData, outOfStep, justAsks, quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"out of step, with nothing to do": {printing(outOfStep, quorum(voters("b", "c", "d"), "b", "c", "d")), "wait: the cluster is full (3 members of 3)"},
		"joins as a learner":              {printing(quorum(voters("b", "c"), "b", "c")), "join: there is room for this node: MarkDisk{}, AddLearner{a}"},
		"joins as a voter":                {printing(asVoter, quorum(voters("b", "c"), "b", "c")), "join: there is room for this node: MarkDisk{}, AddVoter{a}"},
		"would join":                      {printing(justAsks, quorum(voters("b", "c"), "b", "c")), "wait: there is room for this node (with --register: MarkDisk{}, AddLearner{a})"},
		"its own entry awaits it":         {printing(marked(MarkOurs), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "join: an entry awaits this node: StartEtcd{existing}"},
		"its own entry, prepared":         {printing(justAsks, byStrategy(cluster.JoinPrepared), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "join: an entry awaits this node: StartEtcd{existing}"},
		"no entry is prepared":            {printing(byStrategy(cluster.JoinPrepared), quorum(voters("b", "c"), "b", "c")), "wait: no entry has been prepared for this node (strategy prepared)"},
		"wiped: its entry goes":           {printing(quorum(voters("a", "b", "c"), "b", "c")), "join: the entry of a lost disk goes first (a): RemoveMember{a}"}, // trap 5
		"wiped before it said its name":   {printing(marked(MarkOther), quorum(plus(voters("b", "c"), unpublished("a")), "b", "c")), "join: the entry of a lost disk goes first (a): RemoveMember{a}"},
		"wiped, and another is down":      {printing(quorum(voters("a", "b", "c", "d"), "b", "c")), "join: the entry of a lost disk goes first (a): RemoveMember{a}"},
		"wiped, and too many are down":    {printing(quorum(voters("a", "b", "c", "d", "e"), "b", "c")), "wait: the entry of a lost disk must go, but the rest would not be a quorum (a)"},
		"wiped, prepared":                 {printing(byStrategy(cluster.JoinPrepared), quorum(voters("a", "b", "c"), "b", "c")), "refuse: the entry of a lost disk has this node's address: remove it and add a new one (a)"},
		"empty, and a member serves here": {printing(quorum(voters("a", "b", "c"), "a", "b", "c")), "refuse: a member serves at this node's address, and the data directory is empty (a)"},

		"full":                                    {printing(quorum(voters("b", "c", "d"), "b", "c", "d")), "wait: the cluster is full (3 members of 3)"},
		"no upper limit":                          {printing(most(0), quorum(voters("b", "c", "d"), "b", "c", "d")), "join: there is room for this node: MarkDisk{}, AddLearner{a}"},
		"full, add never removes":                 {printing(byStrategy(cluster.JoinAdd), quorum(voters("b", "c", "d"), "b", "c"), mute("d")), "wait: the cluster is full (3 members of 3)"},
		"full, replaces the dead":                 {printing(quorum(voters("b", "c", "d"), "b", "c"), mute("d")), "join: a dead member goes first (d): RemoveMember{d}"},
		"full, unwell is not dead":                {printing(quorum(voters("b", "c", "d"), "b", "c")), "wait: the cluster is full (3 members of 3)"},
		"room, replace removes none":              {printing(most(5), quorum(voters("b", "c", "d"), "b", "c"), mute("d")), "wait: etcd adds none while too few voters are healthy (2 of 3)"},
		"overfull, one removal makes no room":     {printing(quorum(voters("b", "c", "d", "e", "f"), "b", "c", "d", "e"), mute("f")), "wait: the cluster is full (5 members of 3)"},
		"prune removes with room":                 {printing(most(5), byStrategy(cluster.JoinPrune), quorum(voters("b", "c", "d"), "b", "c"), mute("d")), "join: a dead member goes first (d): RemoveMember{d}"},
		"prune removes the first of two":          {printing(most(5), byStrategy(cluster.JoinPrune), quorum(voters("b", "c", "d", "e", "f"), "b", "c", "d"), mute("e", "f")), "join: a dead member goes first (e): RemoveMember{e}"}, // trap 14
		"prune minds the quorum":                  {printing(byStrategy(cluster.JoinPrune), quorum(voters("b", "c", "d", "e"), "b"), mute("c", "d", "e")), "wait: a dead member would go, but the rest would not be a quorum (c)"},
		"prune takes a dead learner too":          {printing(most(5), byStrategy(cluster.JoinPrune), quorum(plus(voters("b", "c"), learner("d")), "b", "c"), mute("d")), "join: a dead member goes first (d): RemoveMember{d}"},
		"another joiner's learner stays":          {printing(most(5), byStrategy(cluster.JoinPrune), quorum(plus(voters("b", "c"), unstarted(learner("d"))), "b", "c"), mute("d")), "wait: another learner is joining (http://d:2380)"}, // trap 6
		"another joiner's voter stays":            {printing(asVoter, byStrategy(cluster.JoinPrune), quorum(plus(voters("b", "c"), unstarted(voter("d"))), "b", "c"), mute("d")), "wait: the cluster is full (3 members of 3)"},
		"a founder that has not started stays":    {printing(quorum(plus(voters("b", "c"), unpublished("d")), "b", "c"), mute("d")), "wait: the cluster is full (3 members of 3)"},
		"a lone voter grows":                      {printing(asVoter, quorum(voters("b"), "b")), "join: there is room for this node: MarkDisk{}, AddVoter{a}"},
		"a list that lacks the newcomer":          {printing(aList, registered(3, "b", "c"), quorum(voters("b", "c"), "b", "c")), "join: there is room for this node: MarkDisk{}, AddLearner{a}"},
		"a file that lacks the newcomer":          {printing(aList, registered(3, "b", "c"), func(o *Print) { v := o.View.Value(); v.Authoritative = true; o.View = cluster.Known(v) }, quorum(voters("b", "c"), "b", "c")), "wait: this machine is not in the peers source"},
		"its entry waits, the mark is unread":     {printing(marked(""), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "wait: which disk has this node's identity is unread"},
		"late, into a larger cluster":             {printing(fellow(unpublished("a"), unpublished("b"), unpublished("c"), voter("d"))), "wait: an etcd answers, and no quorum does (x)"},
		"the machine is being terminated":         {printing(func(o *Print) { o.View.Value().Peers[0].State = cluster.Terminating }), "wait: this machine is being terminated"}, // trap 9
		"a voter joins beside a learner":          {printing(asVoter, most(5), quorum(plus(voters("b", "c"), learner("d")), "b", "c", "d")), "join: there is room for this node: MarkDisk{}, AddVoter{a}"},
		"replace takes no dead learner":           {printing(most(5), quorum(plus(voters("b", "c"), learner("d")), "b", "c"), mute("d")), "wait: another learner is joining (d)"},
		"prepared, for another disk, only asks":   {printing(justAsks, byStrategy(cluster.JoinPrepared), marked(MarkOther), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "wait: an entry awaits this node (with --register: MarkDisk{}, StartEtcd{existing})"},
		"prepared, for another disk":              {printing(byStrategy(cluster.JoinPrepared), marked(MarkOther), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "join: an entry awaits this node: MarkDisk{}, StartEtcd{existing}"},
		"wiped, and the mark is unread":           {printing(marked(""), quorum(voters("a", "b", "c"), "b", "c")), "join: the entry of a lost disk goes first (a): RemoveMember{a}"},
		"a lost learner's entry costs no quorum":  {printing(quorum(plus(voters("b", "c", "d"), learner("a")), "b")), "join: the entry of a lost disk goes first (a): RemoveMember{a}"},
		"a list is no registry: unrecorded":       {printing(aList, first, unrecorded), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"a list is no registry: recorded":         {printing(aList, first, recorded("b", "c")), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"a list is no registry: unread":           {printing(aList, first, func(o *Print) { o.Founders = cluster.Unknown[[]cluster.Founder]() }), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"the size given founds by a list":         {printing(aList, first, registered(5, "a", "b", "c")), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"no limit: the list's size founds":        {printing(aList, first, most(0)), "found: the peers source is complete, and nobody answers: MarkDisk{}, StartEtcd{new}"},
		"late, and another has started":           {printing(fellow(unpublished("a"), voter("b"), unpublished("c"))), "found: the other founders wait for this one: MarkDisk{}, StartEtcd{new}"},
		"late, of other machines":                 {printing(fellow(unpublished("a"), movedMember("b", "z"), unpublished("c"))), "wait: an etcd answers, and no quorum does (x)"},
		"late, marked before":                     {printing(marked(MarkOurs), fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "found: the other founders wait for this one: StartEtcd{new}"},
		"late, no founder, and no list":           {printing(recorded("b", "c", "d"), answers(7)), "wait: an etcd answers, and no quorum does (x)"},
		"late, by a list, and nobody waits":       {printing(aList, answers(7)), "wait: an etcd answers, and no quorum does (x)"},
		"another name at its address":             {printing(func(o *Print) { o.Name = "z" }), "refuse: the peers source calls this machine by another name (a, not z)"},
		"another name, only asks":                 {printing(justAsks, func(o *Print) { o.Name = "z" }), "refuse: the peers source calls this machine by another name (a, not z)"},
		"resumes under another name":              {printing(onData, func(o *Print) { o.Name = "z" }, quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"resumes, and registers again":            {printing(onData, registered(3, "b", "c"), quorum(voters("a", "b", "c"), "b", "c")), "register: this node is not in the registry: RegisterSelf{a}"},
		"resumes unregistered, only asks":         {printing(onData, justAsks, registered(3, "b", "c"), quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"resumes, and the list lacks it":          {printing(onData, aList, registered(3, "b", "c"), quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"resumes, and the registry is down":       {printing(onData, func(o *Print) { o.View = cluster.Unknown[cluster.View]() }, quorum(voters("a", "b", "c"), "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"its learner serves, only asks":           {printing(onData, justAsks, quorum(plus(voters("b", "c"), learner("a")), "a", "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"it serves, and votes":                    {printing(onData, quorum(voters("a", "b", "c"), "a", "b", "c")), "start: the data is usable: StartEtcd{resume}"},
		"the second voter, another's two lack it": {printing(marked(MarkOurs), lone(unstarted(voter("a"))), also(voter("b"), voter("c"))), "wait: an etcd answers, and no quorum does (x)"},
		"its own data says that it was removed":   {printing(onData, func(o *Print) { o.Disk.Removed = true }), "refuse: this member has been removed from its cluster: set the data directory aside (member a)"},
	}
}

// movedMember is one of that name at another address.
func movedMember(name, to string) cluster.Member {
	m := unpublished(name)
	m.PeerURLs = []string{at(to)}
	return m
}

// printStartRows say with which members and token etcd is started, now or after
// the change that is decided.
func printStartRows() map[string]printRow {
	odd := voter("d")
	odd.Name = "my node"
	return map[string]printRow{
		"who registers":    {printing(registered(3, "b", "c")), "a=http://a:2380 t"},
		"who is added":     {printing(quorum(plus(voters("b", "c"), odd), "b", "c", "d"), most(4)), "b=http://b:2380,c=http://c:2380,my node=http://d:2380,a=http://a:2380 "},
		"a dead one goes":  {printing(quorum(plus(voters("b", "c"), odd), "b", "c"), mute("d")), "b=http://b:2380,c=http://c:2380,a=http://a:2380 "},
		"its old one goes": {printing(quorum(voters("a", "b", "c"), "b", "c")), "b=http://b:2380,c=http://c:2380,a=http://a:2380 "},
		"who is promoted":  {printing(onData, quorum(plus(voters("b", "c"), learner("a")), "a", "b", "c")), " "},
		"who has moved":    {printing(onData, quorum([]cluster.Member{voter("b"), voter("c"), movedMember("a", "z")}, "b", "c")), " "},
		"a founder":        {printing(marked(MarkOurs)), "a=http://a:2380,b=http://b:2380,c=http://c:2380 t"},
		"a late founder":   {printing(fellow(unpublished("a"), unpublished("b"), unpublished("c"))), "a=http://a:2380,b=http://b:2380,c=http://c:2380 t"},
		"a joiner":         {printing(marked(MarkOurs), quorum(plus(voters("b", "c"), unstarted(learner("a"))), "b", "c")), "b=http://b:2380,c=http://c:2380,a=http://a:2380 "},
		"a second voter":   {printing(marked(MarkOurs), lone(unstarted(voter("a")))), "b=http://b:2380,a=http://a:2380 "},
		"one that resumes": {printing(onData), " "},
		"one that waits":   {printing(marked(MarkOther)), "nothing"},
	}
}

func askPrintStart(o Print) string {
	d := DecidePrint(o)
	if len(d.Steps) == 0 {
		return "nothing"
	}
	s := o.Ahead(d)
	return s.Initial + " " + s.Token
}

func TestPrintStart(t *testing.T) {
	for name, row := range printStartRows() {
		if got := askPrintStart(row.see); got != row.want {
			t.Errorf("%s: got %q, want %q", name, got, row.want)
		}
	}
}

// TestPrintFoundersAgree: whoever asks, in whatever state, prints the same list.
func TestPrintFoundersAgree(t *testing.T) {
	want := "a=http://a:2380,b=http://b:2380,c=http://c:2380"
	for _, name := range []string{"a", "b", "c"} {
		steps := DecidePrint(printing(named(name), registered(3, "a", "b", "c", "d"), marked(MarkOurs))).Steps
		if len(steps) != 1 || steps[0].(StartEtcd).Initial != want || steps[0].(StartEtcd).Token != "t" {
			t.Errorf("%s prints %+v", name, steps)
		}
	}
}
