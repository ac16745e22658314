//go:build linux && lab

package labtest

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// The bars of private workgroups.
const (
	cutBar   = 2 * time.Second  // from the removal to the last of what it ends, on every computer that is online
	meetBar  = 5 * time.Second  // from being there again to knowing what happened meanwhile
	enterBar = 10 * time.Second // from the code to being a member whom all others see
)

// workgroups is what `workgroup --json` says.
type workgroups struct {
	Open    bool
	Private []struct {
		Name, Standing, Role string
		Members              int
		Removal              *struct {
			ByName string `json:"by_name"`
			Reason string
		}
	}
	Invitations []struct{ State, Code, Name string }
}

// groups asks a device for its workgroups.
func (d *Device) groups(t testing.TB) (all workgroups) {
	t.Helper()
	if err := d.ask(&all, "workgroup"); err != nil {
		t.Fatal(err)
	}
	return all
}

// standing is what the device is in its only private workgroup, and how many members it knows; "" if it has none.
func (d *Device) standing(t testing.TB) (string, int) {
	t.Helper()
	all := d.groups(t)
	if len(all.Private) == 0 {
		return "", 0
	}
	return all.Private[0].Standing, all.Private[0].Members
}

// invite opens an invitation and returns its code.
func (d *Device) invite(t testing.TB, args ...string) string {
	t.Helper()
	var i struct{ Code string }
	if err := d.ask(&i, append([]string{"workgroup", "invite"}, args...)...); err != nil {
		t.Fatal(err)
	}
	if len(i.Code) != 8 {
		t.Fatalf("%s invites with the code %q", d.Name, i.Code)
	}
	return i.Code
}

// found makes the first device the founder of a private workgroup and lets the others in by code: the second without a further
// question, the others after one. They stay in the open workgroup or leave it.
func found(t *testing.T, devices []*Device, open string) {
	t.Helper()
	founder := devices[0]
	founder.Must(t, commandLimit, "workgroup", "new", "Home", "--person", founder.Name)
	founder.Must(t, commandLimit, "workgroup", "open", open)
	for i, d := range devices[1:] {
		start := time.Now()
		if i == 0 {
			d.Must(t, commandLimit, "workgroup", "join", founder.invite(t, "--yes"))
		} else {
			code, joined := founder.invite(t), make(chan error, 1)
			go func() {
				_, err := d.Run(commandLimit, "workgroup", "join", code)
				joined <- err
			}()
			eventually(t, enterBar, d.Name+" asks to be let in", func() bool {
				all := founder.groups(t).Invitations
				return len(all) == 1 && all[0].State == "asking" && all[0].Name == d.Name
			})
			founder.Must(t, commandLimit, "workgroup", "approve", d.Name)
			if err := <-joined; err != nil {
				t.Fatal(err)
			}
		}
		d.Must(t, commandLimit, "workgroup", "open", open)
		everybody := devices[:i+2]
		untilAll(t, everybody, enterBar+10*time.Second, "all are members and online", func(one *Device) (bool, error) { return one.together(t, everybody) })
		took := time.Since(start)
		figure(t, "%s is in by code, and all see it: %v", d.Name, ms(took))
		atMost(t, d.Name+" is in", took, enterBar)
	}
}

// together reports whether the device is in a workgroup of all of them, and has the others as online.
func (d *Device) together(t testing.TB, all []*Device) (bool, error) {
	if standing, n := d.standing(t); standing != "in" || n != len(all) {
		return false, fmt.Errorf("%s is %q among %d", d.Name, standing, n)
	}
	for _, other := range all {
		if other == d {
			continue
		}
		if there, err := d.Online(other); !there || err != nil {
			return false, errors.Join(fmt.Errorf("%s does not see %s", d.Name, other.Name), err)
		}
	}
	return true, nil
}

// shut reports whether the device gets nothing of the other one: not a share, and not that there are any.
func (d *Device) shut(other *Device) bool {
	out, err := d.Run(commandLimit, "ls", other.id)
	return err != nil || !strings.Contains(string(out), "folder")
}

// raw is what another device answers on a route, whatever the status.
func (d *Device) raw(t testing.TB, other *Device, route string) string {
	t.Helper()
	out, err := d.Run(commandLimit, "raw", other.id, route, "--json")
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || len(out) == 0) {
		t.Fatal(err)
	}
	return string(out)
}

// shareID asks the device for the ID of a share of its own.
func (d *Device) shareID(t testing.TB, name string) string {
	t.Helper()
	var all []struct{ ID, Name string }
	if err := d.ask(&all, "share", "list"); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s.ID
		}
	}
	t.Fatalf("%s has no share %s", d.Name, name)
	return ""
}

// sees reports whether the device is shown a share of another one.
func (d *Device) sees(t testing.TB, other *Device, name string) bool {
	t.Helper()
	rows, err := d.List(other, "")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(rows, func(r row) bool { return r.Name == name })
}

// beside runs a row twice: with everybody in the open workgroup, too, where removed ones stay neighbours, and with nobody in it.
func beside(t *testing.T, row func(t *testing.T, open string)) {
	for _, open := range []string{"on", "off"} {
		t.Run("open "+open, func(t *testing.T) { row(t, open) })
	}
}

// TestOnlyForOne: what is for one person is not there for another, member or not.
func TestOnlyForOne(t *testing.T) { beside(t, onlyForOne) }

func onlyForOne(t *testing.T, open string) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	serveAll(t, devices)
	found(t, devices, open)
	writeFile(t, bo.Path("letters", "letter.bin"), mib, 3)
	bo.Must(t, commandLimit, "share", "add", bo.Path("letters"), "--name", "letters", "--to", "person:anna")
	eventually(t, meetBar, "anna sees what is for anna", func() bool { return anna.sees(t, bo, "letters") })
	anna.Must(t, time.Minute, "get", bo.At("letters"), "-o", anna.Path("into"))
	mustEqual(t, bo.Path("letters"), anna.Path("into", "letters"))
	if cleo.sees(t, bo, "letters") {
		t.Error("cleo is shown what is for anna alone")
	}
	id := bo.shareID(t, "letters")
	other := strings.Map(func(r rune) rune { // a share that nobody has
		if r == 'a' {
			return 'b'
		}
		return 'a'
	}, id)
	for _, route := range []string{"list", "file?path=letter.bin", "layer?path=letter.bin"} {
		real, none := cleo.raw(t, bo, "/v1/s/"+id+"/"+route), cleo.raw(t, bo, "/v1/s/"+other+"/"+route)
		if real != none || !strings.Contains(real, `"status":404`) {
			t.Errorf("%s: a share that is not for cleo answers %q, one that is not there %q", route, real, none)
		}
	}
	if answer := anna.raw(t, bo, "/v1/s/"+id+"/list"); !strings.Contains(answer, `"status":200`) {
		t.Errorf("anna, whom it is for, gets %.200s", answer)
	}
}

// cutWithin waits until each of cuts is so, and says when it was, counted from start; cutBar is the bar.
func cutWithin(t *testing.T, start time.Time, cuts map[string]func() bool) (all []string) {
	took := make(chan string)
	for what, ok := range cuts {
		go func() {
			for !ok() && time.Since(start) < cutBar+10*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			after := time.Since(start)
			atMost(t, what, after, cutBar)
			took <- fmt.Sprintf("%s after %v", what, ms(after))
		}()
	}
	for range cuts {
		all = append(all, <-took)
	}
	return slices.Sorted(slices.Values(all))
}

// TestRemovedMember: a member that is removed in the middle of everything is cut off everywhere at once, and knows why.
func TestRemovedMember(t *testing.T) { beside(t, removedMember) }

func removedMember(t *testing.T, open string) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	writeFile(t, anna.Path("big", "big.bin"), 512*mib, 2)
	writeFile(t, bo.Path("small", "small.bin"), mib, 4)
	serveAll(t, devices)
	found(t, devices, open)
	for _, d := range []*Device{anna, bo} {
		name := map[*Device]string{anna: "big", bo: "small"}[d]
		d.Must(t, commandLimit, "share", "add", d.Path(name), "--name", name, "--to", "Home")
		eventually(t, meetBar, "cleo sees "+name, func() bool { return cleo.sees(t, d, name) })
	}
	anna.Shape("200mbit") // so that the pull has a middle
	for _, d := range []*Device{bo, cleo} {
		d.Must(t, commandLimit, "get", anna.At("big"), "-o", d.Path("into"), "--detach") // and each gives on what it has
	}
	eventually(t, 30*time.Second, "cleo gets it from both", func() bool {
		var pull struct{ Sources []struct{ Bytes int64 } }
		err := cleo.ask(&pull, "jobs", "show", "1")
		return err == nil && len(pull.Sources) == 2 && min(pull.Sources[0].Bytes, pull.Sources[1].Bytes) > mib
	})
	if cleo.shut(anna) || cleo.shut(bo) {
		t.Fatal("cleo, a member, gets nothing")
	}
	start := time.Now()
	anna.Must(t, commandLimit, "workgroup", "remove", "cleo", "--reason", "lost", "--yes")
	said := time.Since(start)
	had, since := int64(-1), start
	cuts := map[string]func() bool{
		"nothing more comes": func() bool { // on a wire that brings 5 MB in that time
			now, _, err := cleo.Progress()
			if now != had {
				had, since = now, time.Now()
			}
			return had >= 0 && (err != nil || time.Since(since) > 200*time.Millisecond)
		},
		"anna is shut": func() bool { return cleo.shut(anna) },
		"bo is shut":   func() bool { return cleo.shut(bo) },
		"cleo is told": func() bool { s, _ := cleo.standing(t); return s == "out" },
		"bo knows":     func() bool { _, n := bo.standing(t); return n == 2 },
	}
	all := cutWithin(t, start, cuts)
	figure(t, "removed in a pull from two (the command took %v): %s", ms(said), strings.Join(all, ", "))
	if g := cleo.groups(t).Private[0]; g.Removal == nil || g.Removal.Reason != "lost" || g.Removal.ByName != "anna" {
		t.Errorf("cleo is told %+v", g.Removal)
	}
	eventually(t, 10*time.Second, "the pull says so", func() bool {
		jobs, err := cleo.Jobs()
		return err == nil && len(jobs) == 1 && jobs[0].State != "running"
	})
	before, _, _ := cleo.Progress()
	anna.Shape("")
	time.Sleep(3 * time.Second) // time in which it would come, if it came
	if after, _, _ := cleo.Progress(); after > before || !cleo.shut(anna) || !cleo.shut(bo) {
		t.Errorf("%d bytes came to cleo after it was removed", after-before)
	}
	if there, err := anna.together(t, []*Device{anna, bo}); !there {
		t.Error("the others are not together any more:", err)
	}
}

// TestRemovedWhileAway: who was not there when a member was removed knows it once it meets somebody who does, be it the one who
// was removed, or one that would go on giving.
func TestRemovedWhileAway(t *testing.T) { beside(t, removedWhileAway) }

func removedWhileAway(t *testing.T, open string) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	writeFile(t, bo.Path("small", "small.bin"), mib, 4)
	serveAll(t, devices)
	found(t, devices, open)
	bo.Must(t, commandLimit, "share", "add", bo.Path("small"), "--name", "small", "--to", "Home")
	eventually(t, meetBar, "cleo sees small", func() bool { return cleo.sees(t, bo, "small") })

	cleo.Quit(t)
	anna.Must(t, commandLimit, "workgroup", "remove", "cleo", "--yes")
	start, err := cleo.Serve()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if s, _ := cleo.standing(t); s == "out" {
			break
		}
		if time.Since(start) > meetBar+20*time.Second {
			t.Fatal("cleo is not told that it was removed while it was away")
		}
		time.Sleep(20 * time.Millisecond)
	}
	told := time.Since(start)
	figure(t, "removed while away: told %v after it is there again", ms(told))
	atMost(t, "being told", told, meetBar)
	if !cleo.shut(anna) || !cleo.shut(bo) {
		t.Error("cleo gets something")
	}

	cleo.Must(t, commandLimit, "workgroup", "join", anna.invite(t, "--yes"))
	untilAll(t, devices, enterBar+10*time.Second, "all are together again", func(d *Device) (bool, error) { return d.together(t, devices) })
	eventually(t, meetBar, "cleo sees small again", func() bool { return !cleo.shut(bo) && cleo.sees(t, bo, "small") })
	bo.Quit(t)
	anna.Must(t, commandLimit, "workgroup", "remove", "cleo", "--yes")
	if start, err = bo.Serve(); err != nil {
		t.Fatal(err)
	}
	knows := eventually(t, meetBar+20*time.Second, "bo, who was away, knows", func() bool { _, n := bo.standing(t); return n == 2 })
	figure(t, "away at the removal: informed %v after it is there again", ms(knows))
	atMost(t, "being informed", time.Since(start), meetBar)
	for range 20 { // and it stays so, whoever dials whom
		if !cleo.shut(bo) {
			t.Fatal("bo gives to cleo, who was removed")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if there, err := bo.together(t, []*Device{anna, bo}); !there {
		t.Error("anna and bo are not together any more:", err)
	}
}

// TestStolenFounder: a thief has the founder's computer and throws somebody out; with the sheet another member puts it right.
func TestStolenFounder(t *testing.T) {
	devices := NewDevices(t, DualStack, "anna", "bo", "cleo")
	anna, bo, cleo := devices[0], devices[1], devices[2]
	writeFile(t, bo.Path("small", "small.bin"), mib, 4)
	serveAll(t, devices)
	found(t, devices, "off")
	var sheet struct{ Code string }
	if err := anna.ask(&sheet, "workgroup", "recovery", "--saved"); err != nil {
		t.Fatal(err)
	}
	bo.Must(t, commandLimit, "share", "add", bo.Path("small"), "--name", "small", "--to", "Home")
	eventually(t, meetBar, "anna sees small", func() bool { return anna.sees(t, bo, "small") })
	anna.Must(t, commandLimit, "workgroup", "remove", "bo", "--yes") // the thief
	eventually(t, meetBar, "bo is out", func() bool { s, _ := bo.standing(t); return s == "out" })
	eventually(t, meetBar, "cleo knows", func() bool { _, n := cleo.standing(t); return n == 2 })

	var moments []struct {
		Moment  int
		Members []struct{ Name string }
	}
	if err := cleo.ask(&moments, "workgroup", "recover", sheet.Code, "--list"); err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, m := range moments {
		if len(m.Members) == 3 {
			good = m.Moment
			break
		}
	}
	if good == 0 {
		t.Fatalf("no moment has all three: %+v", moments)
	}
	start := time.Now()
	cleo.Must(t, commandLimit, "workgroup", "recover", sheet.Code, "--moment", fmt.Sprint(good), "--remove", "anna", "--yes")
	eventually(t, meetBar, "anna is out", func() bool { s, _ := anna.standing(t); return s == "out" })
	out := time.Since(start)
	untilAll(t, []*Device{bo, cleo}, enterBar+20*time.Second, "bo and cleo are together", func(d *Device) (bool, error) {
		return d.together(t, []*Device{bo, cleo})
	})
	back := time.Since(start)
	figure(t, "the sheet is used: the thief is out after %v, the one it threw out is back after %v", ms(out), ms(back))
	atMost(t, "the thief is out", out, cutBar)
	atMost(t, "bo is back", back, enterBar)
	if g := cleo.groups(t).Private[0]; g.Role != "admin" {
		t.Errorf("cleo, who has the sheet, is %q", g.Role)
	}
	eventually(t, meetBar, "cleo sees small", func() bool { return cleo.sees(t, bo, "small") })
	if !anna.shut(bo) || !anna.shut(cleo) {
		t.Error("the thief gets something")
	}
	if _, err := anna.Run(commandLimit, "workgroup", "remove", "cleo", "--yes"); err == nil {
		t.Error("the thief still removes members")
	}
	if there, err := cleo.together(t, []*Device{bo, cleo}); !there {
		t.Error("what the thief did had an effect:", err)
	}
}
