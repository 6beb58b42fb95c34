package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/quorate/quorate/internal/store"
)

const racerEnv = "QUORATE_TEST_RACER"

func TestMain(m *testing.M) {
	if dir, name, ok := strings.Cut(os.Getenv(racerEnv), "|"); ok {
		if err := raceInChild(dir, name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const raceKeys = 300

// raceInChild creates every key, once its standard input has ended, and
// prints those that it won.
func raceInChild(dir, name string) error {
	s, err := store.Open(context.Background(), "file://"+dir, "race")
	if err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	for k := range raceKeys {
		err := s.Create(context.Background(), fmt.Sprintf("key/%d", k), []byte(name))
		switch {
		case err == nil:
			fmt.Println(k)
		case !errors.Is(err, store.ErrExists):
			return err
		}
	}
	return nil
}

// racer is a child process under way.
type racer struct {
	cmd  *exec.Cmd
	gun  io.Closer
	said *bufio.Scanner
}

// TestProcessesRace is what gocloud's own directory store fails.
func TestProcessesRace(t *testing.T) {
	dir := t.TempDir()
	const racers = 4
	var all []racer
	for i := range racers {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), racerEnv+"="+dir+"|"+strconv.Itoa(i))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		r := racer{cmd, in, bufio.NewScanner(out)}
		if !r.said.Scan() || r.said.Text() != "ready" {
			t.Fatalf("racer %d is not ready: %q", i, r.said.Text())
		}
		all = append(all, r)
	}
	winners := collect(t, all)
	s, err := store.Open(t.Context(), "file://"+dir, "race")
	must(t, err)
	for k := range raceKeys {
		text, err := s.Read(t.Context(), fmt.Sprintf("key/%d", k))
		must(t, err)
		if won := winners[strconv.Itoa(k)]; len(won) != 1 || won[0] != string(text) {
			t.Errorf("key %d: won by %q, holds %q", k, won, text)
		}
	}
}

func collect(t *testing.T, all []racer) map[string][]string {
	var mu sync.Mutex
	var wg sync.WaitGroup
	winners := map[string][]string{}
	for _, r := range all {
		r.gun.Close()
	}
	for i, r := range all {
		wg.Go(func() {
			for r.said.Scan() {
				mu.Lock()
				winners[r.said.Text()] = append(winners[r.said.Text()], strconv.Itoa(i))
				mu.Unlock()
			}
			if err := r.cmd.Wait(); err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	return winners
}

// A directory that is not there is a mount that is not there: to call its
// objects absent would found a second cluster.
func TestMissingDirectoryIsNotAbsence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "unmounted")
	s, err := store.Open(t.Context(), "file://"+dir, "c")
	must(t, err)
	_, readErr := s.Read(t.Context(), "k")
	_, listErr := s.List(t.Context(), "")
	for operation, err := range map[string]error{
		"read": readErr, "list": listErr, "create": s.Create(t.Context(), "k", nil), "delete": s.Delete(t.Context(), "k"),
	} {
		if err == nil || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "is it mounted?") {
			t.Errorf("%s: %v", operation, err)
		}
	}
	s, err = store.Open(t.Context(), "file://"+dir+"?create_dir=true", "c")
	must(t, err)
	if _, err := s.Read(t.Context(), "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	if all, err := s.List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("listed %v, %v", all, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a look has made the directory: %v", err)
	}
	must(t, s.Create(t.Context(), "k", nil))
}

// A link where the objects of a prefix should be hides them: to list none would
// say that there is no backup.
func TestHiddenPrefixIsNotAbsence(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), "file://"+dir, "c")
	must(t, err)
	must(t, s.Create(t.Context(), "d/k", nil))
	place, elsewhere := filepath.Join(dir, "c", "d"), filepath.Join(dir, "elsewhere")
	must(t, os.Rename(place, elsewhere))
	must(t, os.Symlink(elsewhere, place))
	if all, err := s.List(t.Context(), "d/"); err == nil {
		t.Errorf("listed %v", all)
	}
}

// What a crash leaves: a temporary file that no listing shows, and no key reads.
func TestCrashLeavesNoObject(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), "file://"+dir, "c")
	must(t, err)
	must(t, s.Create(t.Context(), "d/k", []byte("x")))
	left := filepath.Join(dir, "c", "d", ".tmp-123")
	must(t, os.WriteFile(left, []byte("half"), 0o600))
	all, err := s.List(t.Context(), "")
	must(t, err)
	if len(all) != 1 {
		t.Errorf("listed %v", all)
	}
	if _, err := s.Read(t.Context(), "d/.tmp-123"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a temporary file was read: %v", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "c", "d", "*"))
	must(t, err)
	if len(names) != 2 { // the object and our crash: a good create leaves nothing
		t.Errorf("files left: %q", names)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
