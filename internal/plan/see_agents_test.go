package plan

import "github.com/quorate/quorate/internal/cluster"

// Options: what other agents say.

func report(name string) cluster.Report {
	return cluster.Report{Cluster: "test", Name: name, PeerURL: at(name), Disk: cluster.Disk{State: cluster.DiskEmpty, ID: "disk-" + name}, Zone: "z-" + name}
}

func says(name string, f func(*cluster.Report)) opt {
	return func(o *Observation) {
		for i := range o.Reports {
			if o.Reports[i].Name == name {
				f(&o.Reports[i])
				return
			}
		}
		r := report(name)
		f(&r)
		o.Reports = append(o.Reports, r)
	}
}

func empty(names ...string) opt {
	return func(o *Observation) {
		for _, n := range names {
			says(n, func(*cluster.Report) {})(o)
		}
	}
}

func holds(name string, e cluster.Epoch, term, index uint64) opt {
	return says(name, func(r *cluster.Report) {
		r.Disk = diskOf(name, e, term, index)
		r.Etcd = cluster.EtcdState{Running: true, MemberID: id(name), ClusterID: r.Disk.ClusterID}
	})
}

func disowns(name string, ids ...cluster.MemberID) opt {
	return says(name, func(r *cluster.Report) { r.Disowns = ids })
}

// asks has a machine ask for an entry.
func asks(name string) opt {
	return says(name, func(r *cluster.Report) { r.Joining, r.Join = true, cluster.JoinReplace })
}

// leads has another node's agent be the keeper of these members.
func leads(name string, members ...cluster.Member) opt {
	return and(holds(name, 1, 5, 100), says(name, func(r *cluster.Report) {
		r.Keeper, r.Members = true, members
		r.Etcd.Healthy, r.Etcd.Term = true, 5
		r.Charter = &r.Disk.Stamp.Charter
	}))
}

func invites(name string, id cluster.MemberID, disk string) opt {
	return says(name, func(r *cluster.Report) { r.Invitations = map[cluster.MemberID]string{id: disk} })
}
