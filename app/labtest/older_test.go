//go:build linux && lab

package labtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"porchlight/app/doctor"
	"porchlight/discovery"
)

// homes are those that each release made (see the README there).
const homes = "../engine/testdata/homes"

// TestMakeHome makes a home as a release leaves it behind, to be kept for the releases after it: PORCHLIGHT is that release,
// PORCHLIGHT_HOME the folder the home is to lie in.
func TestMakeHome(t *testing.T) {
	into := os.Getenv("PORCHLIGHT_HOME")
	if into == "" {
		t.Skip("PORCHLIGHT_HOME does not say where to")
	}
	devices := NewDevices(t, DualStack, "anna", "bo")
	anna, bo := devices[0], devices[1]
	anna.Dir, anna.home = "/tmp/anna", "/tmp/anna/home" // what stands in the home must not change from one making to the next
	t.Cleanup(func() { os.RemoveAll("/tmp/anna") })
	for _, dir := range []string{anna.Path("run"), anna.Path("Music"), bo.Path("Files")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(bo.Path("Files", "small.txt"), []byte("small"), 0o600); err != nil {
		t.Fatal(err)
	}
	const large = 8 << 30
	if err := os.WriteFile(bo.Path("Files", "large.bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(bo.Path("Files", "large.bin"), large); err != nil {
		t.Fatal(err)
	}
	serveAll(t, devices)
	bo.Share(t, bo.Path("Files"), "Files")
	anna.Share(t, anna.Path("Music"), "Müsik")
	anna.Must(t, commandLimit, "get", "bo:Files/small.txt")
	anna.Must(t, commandLimit, "get", "--detach", "bo:Files/large.bin")
	untilAll(t, devices[:1], 30*time.Second, "the large file is on its way", func(d *Device) (bool, error) {
		all, err := d.Jobs()
		return err == nil && len(all) == 2 && all[0].Bytes > 0, err
	})
	anna.Must(t, commandLimit, "pause", "2")
	engine := anna.engine(t)
	if err := engine.SetName(t.Context(), "Anna's computer"); err != nil {
		t.Fatal(err)
	}
	if err := engine.SetNetwork(t.Context(), discovery.Office); err != nil {
		t.Fatal(err)
	}
	if err := engine.SetDownloads(t.Context(), anna.Path("Got")); err != nil {
		t.Fatal(err)
	}
	anna.Quit(t)
	if err := os.MkdirAll(into, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"device.key", "settings.json", "porchlight.db"} {
		data, err := os.ReadFile(filepath.Join(anna.home, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(into, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(anna.home, "*")); err == nil {
		t.Log(strings.Join(left, " "))
	}
	fmt.Println("the identity is", anna.id)
}

// TestOlderHomes: the present program serves a home of each release. Neighbours see it as who it was, its paused pull and its
// share are there, and a damaged database is told in words.
func TestOlderHomes(t *testing.T) {
	entries, err := os.ReadDir(homes)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range entries {
		if !version.IsDir() {
			continue
		}
		t.Run(version.Name(), func(t *testing.T) {
			devices := NewDevices(t, DualStack, "anna", "carl")
			anna, carl := devices[0], devices[1]
			if err := os.CopyFS(anna.home, os.DirFS(filepath.Join(homes, version.Name()))); err != nil {
				t.Fatal(err)
			}
			music := anna.Path("Music") // the share of the home lies where the release was, and is away here
			if err := errors.Join(os.Mkdir(music, 0o700), os.WriteFile(filepath.Join(music, "song.txt"), []byte("la"), 0o600)); err != nil {
				t.Fatal(err)
			}
			serveAll(t, devices)
			if want := "QKFFQU6-YYQOUH5-DO23TZ7-RTASLAV-4FKJTLH-7GIKPTI-633H3XU-5KPEMA7"; anna.id != want {
				t.Errorf("it is %s, and was %s", anna.id, want)
			}
			ofHome := func(jobs int, words ...string) {
				t.Helper()
				all, err := anna.Jobs()
				if err != nil || len(all) != jobs || jobs > 0 && (all[0].State != "paused" || all[1].State != "done") {
					t.Errorf("jobs %+v %v", all, err)
				}
				for _, command := range []string{"status", "share list"} {
					out, err := anna.Run(commandLimit, strings.Fields(command)...)
					if err != nil {
						t.Error(err)
					}
					words = append(words, string(out))
				}
				status, shares := words[len(words)-2], words[len(words)-1]
				if !strings.Contains(shares, "Müsik") {
					t.Errorf("shares: %s", shares)
				}
				for _, w := range words[:len(words)-2] {
					if !strings.Contains(status, w) {
						t.Errorf("the status does not say %q: %s", w, status)
					}
				}
			}
			ofHome(2)
			anna.Share(t, music, "Songs")
			if rows, err := carl.List(anna, "Songs"); err != nil || len(rows) != 1 {
				t.Errorf("what carl sees: %+v %v", rows, err)
			}

			anna.Quit(t)
			if err := os.Truncate(filepath.Join(anna.home, "porchlight.db"), 5000); err != nil {
				t.Fatal(err)
			}
			anna.MustServe(t)
			id := anna.id
			anna.learn(t)
			if anna.id != id {
				t.Error("a damaged database makes it somebody else")
			}
			ofHome(0, "Some transfers may be lost", "Some neighbours may be forgotten")
			f := anna.Names(t, doctor.Service, doctor.Trouble, "")
			if !strings.Contains(f.Text, "made anew") && !strings.Contains(f.Text, "may be") {
				t.Errorf("%+v", f)
			}
			if rows, err := carl.List(anna, "Songs"); err != nil || len(rows) != 1 {
				t.Errorf("what carl sees afterwards: %+v %v", rows, err)
			}
		})
	}
}

// TestANewerHome: the program refuses it in words, and touches nothing.
func TestANewerHome(t *testing.T) {
	anna := NewDevices(t, DualStack, "anna")[0]
	if err := os.MkdirAll(anna.home, 0o700); err != nil {
		t.Fatal(err)
	}
	const settings = `{"format":7,"name":"anna"}`
	if err := os.WriteFile(filepath.Join(anna.home, "settings.json"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := anna.Serve()
	if err == nil || !strings.Contains(err.Error(), "Start the newer version") {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(filepath.Join(anna.home, "settings.json")); err != nil || string(got) != settings {
		t.Errorf("%s %v", got, err)
	}
}
