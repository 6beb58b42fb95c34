package plan

import (
	"testing"

	"github.com/quorate/quorate/internal/cluster"
)

// What is inside the steps, where more than their names matters.
func TestSteps(t *testing.T) { checkAs(t, stepsRows(), askSteps) }

func stepsRows() map[string]row {
	return map[string]row{
		"a first charter":              {see(empty("b", "c")), "[{'Charter':{'cluster':'test','epoch':1,'token':'test-1-n','founders':[{'name':'a','peer_url':'http://a:2380'},{'name':'b','peer_url':'http://b:2380'},{'name':'c','peer_url':'http://c:2380'}],'seed':{'kind':'empty'},'by':'a','at':'2026-01-02T12:00:00Z','reason':'first founding','nonce':'n'}}]"},
		"a founder":                    {see(charter(1, "a", "b")), "[{'Epoch':1},{'State':'new','Initial':'a=http://a:2380,b=http://b:2380','Token':'test-1-t','Spends':'e1','Charter':{'cluster':'test','epoch':1,'token':'test-1-t','founders':[{'name':'a','peer_url':'http://a:2380'},{'name':'b','peer_url':'http://b:2380'}],'seed':{'kind':'empty'},'by':'b','at':'0001-01-01T00:00:00Z','reason':'','nonce':'e1'}}]"},
		"a founder of a seed":          {see(charter(2, "a"), seed(cluster.Seed{Kind: cluster.SeedBackup, Backup: "k1"}), staged(2)), "[{'Epoch':2},{'Epoch':2,'Spends':'e2'}]"},
		"a survivor's charter":         {leftover(peers("a")), "[{'Charter':{'cluster':'test','epoch':2,'token':'test-2-n','founders':[{'name':'a','peer_url':'http://a:2380'}],'seed':{'kind':'survivor','survivor':'a','member':'a','term':5,'index':100,'bump':1000000000},'by':'a','at':'2026-01-02T12:00:00Z','reason':'a majority is proven lost, and this survivor's log is the newest: term 5 index 100; in the store k1, term 0 index 0','nonce':'n'}}]"},
		"a backup's charter":           {fresh(), "[{'Charter':{'cluster':'test','epoch':2,'token':'test-2-n','founders':[{'name':'d','peer_url':'http://d:2380'},{'name':'e','peer_url':'http://e:2380'},{'name':'f','peer_url':'http://f:2380'}],'seed':{'kind':'backup','backup':'k1','sha256':'5ha','bump':1000000000},'by':'d','at':'2026-01-02T12:00:00Z','reason':'every disk of epoch 1 is proven lost','nonce':'n'}}]"},
		"an adoption":                  {house3(unstamped, ledger(func(l *Ledger) { *l = see().Ledger })), "[{'Charter':{'cluster':'test','epoch':1,'token':'test-1-n','founders':[{'name':'a','peer_url':'http://a:2380'},{'name':'b','peer_url':'http://b:2380'},{'name':'c','peer_url':'http://c:2380'}],'seed':{'kind':'adopted','cluster_id':'c1'},'by':'a','at':'2026-01-02T12:00:00Z','reason':'adopting a running cluster','nonce':'n'}}]"},
		"an adoption, one unstarted":   {see(keeping(voter("a"), unstarted(voter("b")), learner("c"), cluster.Member{ID: 9, Name: "x"}), unstamped, ledger(func(l *Ledger) { *l = see().Ledger })), "[{'Charter':{'cluster':'test','epoch':1,'token':'test-1-n','founders':[{'name':'a','peer_url':'http://a:2380'}],'seed':{'kind':'adopted','cluster_id':'c1'},'by':'a','at':'2026-01-02T12:00:00Z','reason':'adopting a running cluster','nonce':'n'}}]"},
		"resumed data":                 {see(data(1)), "[{'State':'resume','Initial':'','Token':'','Spends':'','Charter':{'cluster':'test','epoch':1,'token':'test-1-t','founders':[{'name':'a','peer_url':'http://a:2380'},{'name':'b','peer_url':'http://b:2380'},{'name':'c','peer_url':'http://c:2380'}],'seed':{'kind':'empty'},'by':'b','at':'0001-01-01T00:00:00Z','reason':'','nonce':'e1'}}]"},
		"resumed data without stamp":   {see(unstamped, charter(1, "a"), seed(cluster.Seed{Kind: cluster.SeedAdopted, ClusterID: 0x77})), "[{'State':'resume','Initial':'','Token':'','Spends':'','Charter':{'cluster':'test','epoch':1,'token':'test-1-t','founders':[{'name':'a','peer_url':'http://a:2380'}],'seed':{'kind':'adopted','cluster_id':'77'},'by':'b','at':'0001-01-01T00:00:00Z','reason':'','nonce':'e1'}}]"},
		"the newcomer is listed first": {roomy(), "[{'Members':[{'id':'a','name':'a','peer_urls':['http://a:2380'],'client_urls':['http://a:2379']},{'id':'b','name':'b','peer_urls':['http://b:2380'],'client_urls':['http://b:2379']},{'id':'0','name':'','peer_urls':['http://d:2380'],'learner':true}]},{'Name':'d','PeerURL':'http://d:2380','DiskID':'disk-d'}]"},
		"a joiner's initial cluster":   {dee(leads("b", cluster.Member{ID: 0x11, Name: "m", PeerURLs: []string{at("m")}}, unstarted(voter("c")), cluster.Member{ID: 0xe, Name: "d", PeerURLs: []string{at("x")}}, entry), invites("b", 9, "disk-d")), "[{'State':'existing','Initial':'m=http://m:2380,c=http://c:2380,e=http://x:2380,d=http://d:2380','Token':'test-1-t','Spends':'9','Charter':{'cluster':'test','epoch':1,'token':'test-1-t','founders':[{'name':'a','peer_url':'http://a:2380'},{'name':'b','peer_url':'http://b:2380'},{'name':'c','peer_url':'http://c:2380'}],'seed':{'kind':'empty'},'by':'b','at':'0001-01-01T00:00:00Z','reason':'','nonce':'e1'}}]"},
	}
}
