package stack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/clustertest/moto"
	"github.com/quorate/quorate/internal/clustertest/pyvenv"
)

// The keys of backups, fetched by the script of the boot with the real AWS command
// line out of moto's parameter store: as they were put, for the agent alone.
// While one of them is missing nothing is there, and the boot fails.
func TestKeysOfBackups(t *testing.T) {
	bin, err := pyvenv.Install(t.Context(), "awscli")
	if err != nil {
		t.Fatal(err)
	}
	moto.Start(t)
	os.Unsetenv("AWS_PROFILE") // an empty one is the SDK's none, but the command line's unknown one
	_, key := authority(t)
	dir := t.TempDir()
	conf, out := filepath.Join(dir, "setup.conf"), filepath.Join(dir, "backup")
	if err := os.WriteFile(conf, []byte("BACKUP_KEYS='/etcd/prod/backup'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	owner, err := run(t, nil, "id", "-un")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"AWS_DEFAULT_REGION=us-east-1", "PATH=" + bin + ":" + os.Getenv("PATH"), "SETUP_CONF=" + conf, "KEYS_DIR=" + out,
		"KEYS_OWNER=" + strings.TrimSpace(owner)}
	put := func(name, value string) {
		t.Helper()
		if said, err := run(t, env, "aws", "ssm", "put-parameter", "--type", "SecureString", "--name", "/etcd/prod/backup/"+name, "--value="+value); err != nil {
			t.Fatalf("putting %s: %v: %s", name, err, said)
		}
	}
	want := map[string]string{"identity": "# made by hand\nAGE-SECRET-KEY-1QQQQ\n", "sign.key": string(key)}
	put("identity", want["identity"])
	if said, err := run(t, env, "bash", "boot/keys.sh"); err == nil {
		t.Errorf("without a key that signs: %s", said)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	put("sign.key", want["sign.key"])
	if said, err := run(t, env, "bash", "boot/keys.sh"); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for name, text := range want {
		path := filepath.Join(out, name)
		got, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(text) {
			t.Errorf("%s is %q, %v", name, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// An agent of a sealed stack is told of its keys, and only then; and there is an
// alarm on what is not stored, wherever there are backups.
func TestSealedStack(t *testing.T) {
	for _, n := range single(t) {
		unit := machineFiles(t, n)["/etc/systemd/system/quorate.service"]
		for _, flag := range []string{"--backup-recipient=" + someRecipient, "--backup-identity-file=/etc/quorate/backup/identity", "--backup-sign-key-file=/etc/quorate/backup/sign.key"} {
			if strings.Contains(unit, flag) != n.params.sealed() {
				t.Errorf("%s: %s in\n%s", n.name, flag, unit)
			}
		}
		alarm, there := n.template.Resources["UnshippedAlarm"]
		if there != (n.params.BackupInterval > 0 && n.params.first(n.region)) || there && alarm.Properties["MetricName"] != "UnshippedSeconds" {
			t.Errorf("%s: the alarm on what is unshipped: %v", n.name, alarm)
		}
	}
}
