//go:build linux && lab

package labtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
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
// PORCHLIGHT_HOME the folder the home is to lie in. All have the key of the first one, and a release that knows private workgroups founds one.
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
	key, err := os.ReadFile(filepath.Join(homes, "0.1.0", "device.key"))
	if err == nil {
		err = errors.Join(os.MkdirAll(anna.home, 0o700), os.WriteFile(filepath.Join(anna.home, "device.key"), key, 0o600))
	}
	if err != nil {
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
	if out, err := anna.Run(commandLimit, "workgroup", "new", "Family", "--stay-open"); err != nil {
		t.Logf("no private workgroups yet: %s %v", out, err)
	}
	anna.Quit(t)
	if err := os.MkdirAll(into, 0o755); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(anna.home)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !e.Type().IsRegular() || strings.HasSuffix(e.Name(), "lock") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(anna.home, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(into, e.Name()), data, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s, %d bytes", e.Name(), len(data))
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
			groups, err := anna.Run(commandLimit, "workgroup", "list")
			founded := strings.Contains(string(groups), "Family")
			if err != nil || founded != strings.HasSuffix(version.Name(), "schema-4") {
				t.Errorf("workgroups: %s %v", groups, err)
			}
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
			eventually(t, 15*time.Second, "carl sees what is shared afterwards", func() bool {
				rows, err := carl.List(anna, "Songs")
				return err == nil && len(rows) == 1
			})
			if out, err := anna.Run(commandLimit, "workgroup", "list"); founded && (err != nil || !strings.Contains(string(out), "Family")) {
				t.Errorf("its workgroup is lost: %s %v", out, err)
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

// TestDamagedAtRandom: something in a home is damaged as disks do it, in the database mostly, now and then in the key or the settings, again and again. Each time it
// starts, as the same computer, with its share and its private workgroup.
func TestDamagedAtRandom(t *testing.T) {
	n := number(t, "PORCHLIGHT_DAMAGES", 30)
	anna := NewDevices(t, DualStack, "anna")[0]
	kept := filepath.Join(homes, "next-schema-4")
	dice, told := rand.New(rand.NewPCG(3, 4)), 0
	for i := range n {
		if err := errors.Join(os.RemoveAll(anna.home), os.CopyFS(anna.home, os.DirFS(kept))); err != nil {
			t.Fatal(err)
		}
		file := "porchlight.db"
		switch i % 6 {
		case 4:
			file = "device.key"
		case 5:
			file = "settings.json"
		}
		path := filepath.Join(anna.home, file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at, what := dice.IntN(len(b)), ""
		switch dice.IntN(3) {
		case 0:
			b, what = b[:at], "is cut at"
		case 1:
			b[at], what = b[at]^1<<dice.IntN(8), "has another bit at"
		default:
			clear(b[at:min(at+512, len(b))])
			what = "is empty from"
		}
		if file == "porchlight.db" && at >= 60 && at < 64 {
			continue // the number of its version: a newer one is not to be touched
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		what = fmt.Sprintf("%d: %s %s %d", i, file, what, at)
		if _, err := anna.Serve(); err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		anna.learn(t)
		if want := "QKFFQU6-YYQOUH5-DO23TZ7-RTASLAV-4FKJTLH-7GIKPTI-633H3XU-5KPEMA7"; anna.id != want {
			t.Errorf("%s: it is %s", what, anna.id)
		}
		for command, want := range map[string]string{"share list": "Müsik", "workgroup list": "Family"} {
			if out, err := anna.Run(commandLimit, strings.Fields(command)...); err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %s says %s %v", what, command, out, err)
			}
		}
		if out, err := anna.Run(commandLimit, "status"); err == nil && strings.Contains(string(out), "damaged") {
			told++
		}
		anna.Quit(t)
	}
	figure(t, "%d damages, %d of them told", n, told)
}
