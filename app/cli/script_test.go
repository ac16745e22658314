package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
)

// The scripts run the command line against a fake engine behind a real socket.

type inDir struct {
	m   *testing.M
	dir string
}

func (d inDir) Run() int {
	defer os.RemoveAll(d.dir)
	return d.m.Run()
}

func TestMain(m *testing.M) {
	run := inDir{m: m}
	if filepath.Base(os.Args[0]) != "porchlight" { // not in the processes of the scripts: theirs comes with the environment
		var err error
		if run.dir, err = os.MkdirTemp("", "pl"); err != nil { // short: paths of sockets are
			panic(err)
		}
		for _, name := range []string{"XDG_RUNTIME_DIR", "TMPDIR", "LocalAppData"} {
			if err := os.Setenv(name, run.dir); err != nil {
				panic(err)
			}
		}
	}
	testscript.Main(run, map[string]func(){"porchlight": func() {
		os.Exit(Run(context.Background(), scriptEnv(os.Args[1:], os.Getenv, os.Stdout, os.Stderr)))
	}})
}

func scriptEnv(args []string, getenv func(string) string, stdout, stderr io.Writer) Env {
	said := func(format string, v ...any) error {
		_, err := fmt.Fprintf(stdout, format+"\n", v...)
		return err
	}
	return Env{
		Args: args, Stdout: stdout, Stderr: stderr, Version: "1.2", Getenv: getenv,
		Connect: func(ctx context.Context, home string) (Engine, error) { return control.Connect(ctx, home) },
		Serve: func(_ context.Context, o ServeOptions) error {
			return said("serve %s %q %q", filepath.Base(o.Home), o.Name, o.Network)
		},
		Lab: func(_ context.Context, o LabOptions) error { return said("lab %d %t", o.N, o.Demo) },
		Window: func(_ context.Context, o WindowOptions) error {
			return said("window %s %t", filepath.Base(o.Home), o.Hidden)
		},
	}
}

type engineKey struct{}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			lock, err := config.Lock(home)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(context.Background())
			l, err := control.Listen(ctx, lock)
			if err != nil {
				cancel()
				return errors.Join(err, lock.Release())
			}
			f, ended := newFake(), make(chan error, 1)
			go func() { ended <- control.New(control.Config{Engine: f}).Serve(ctx, l) }()
			env.Defer(func() {
				cancel()
				if err := errors.Join(<-ended, lock.Release()); err != nil {
					env.T().Log(err)
				}
			})
			env.Values[engineKey{}] = f
			for _, name := range []string{"XDG_RUNTIME_DIR", "TMPDIR", "LocalAppData"} {
				env.Setenv(name, os.Getenv(name))
			}
			for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
				env.Setenv(name, "")
			}
			env.Setenv("TZ", "UTC")
			env.Setenv("H", home)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"engine": engineCmd,
			"downloads": func(ts *testscript.TestScript, _ bool, args []string) { // FILE DIR: what is "DL" in the file is the folder
				ts.Check(os.WriteFile(args[0], []byte(strings.ReplaceAll(ts.ReadFile(args[0]), "DL", filepath.ToSlash(args[1]))), 0o600))
			},
		},
	})
}

// exits CODE ARGUMENTS... runs a command line that must end with the code: in this process, which is much quicker than in
// one of its own.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	env, f := scriptEnv(args[2:], ts.Getenv, ts.Stdout(), ts.Stderr()), ts.Value(engineKey{}).(*fake)
	env.Stdin = strings.NewReader(f.answers)
	f.answers = ""
	if got := Run(ctx, env); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// engine WHAT... changes the fake engine, or checks what it was asked.
func engineCmd(ts *testscript.TestScript, _ bool, args []string) {
	f := ts.Value(engineKey{}).(*fake)
	switch args[0] {
	case "pull":
		f.mu.Lock()
		f.pull = args[1]
		f.mu.Unlock()
	case "queue": // jobs of every state
		f.queued()
	case "comes":
		f.comes()
	case "many":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		f.mu.Lock()
		f.many = n
		f.mu.Unlock()
	case "asked": // INTO CHECK PATH...
		f.mu.Lock()
		defer f.mu.Unlock()
		r := f.asked[len(f.asked)-1]
		got := []string{r.Into, fmt.Sprint(r.Check)}
		for _, p := range r.Paths {
			got = append(got, string(p))
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", args[1:]) {
			ts.Fatalf("asked for %q", got)
		}
	case "newer": // NAME: it runs a newer Porchlight
		f.mu.Lock()
		defer f.mu.Unlock()
		for i := range f.peers {
			f.peers[i].Newer = f.peers[i].Newer || f.peers[i].Name == args[1]
		}
	case "did":
		if !f.did(args[1]) {
			ts.Fatalf("it did %q", f.calls)
		}
	default:
		engineGroups(ts, f, args)
	}
}

// engineGroups is engineCmd for private workgroups, and for what is typed.
func engineGroups(ts *testscript.TestScript, f *fake, args []string) {
	switch args[0] {
	case "hears": // ANSWER...: what is typed at the next command
		f.answers = strings.Join(args[1:], "\n") + "\n"
	case "code": // ANSWER...: the recovery code is typed, and then these
		f.answers = strings.Join(append([]string{strings.ToLower(code)}, args[1:]...), "\n") + "\n"
	case "asks": // ID NAME N: a device has proved a code
		n, err := strconv.Atoi(args[3])
		ts.Check(err)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.invitations = append(f.invitations, discovery.Invitation{ID: args[1], Workgroup: homeID, State: discovery.InviteAsking, Name: args[2], Device: deviceID(byte(n)), Until: day, Code: "27482913"})
	case "compares": // ID join|verify: somebody began a comparison
		f.compares(args[1], args[2] == "join", true)
	case "other": // STATE: what the other side of a comparison says
		f.other = discovery.CompareState(args[1])
	case "twin": // there is another workgroup called Home
		f.mu.Lock()
		defer f.mu.Unlock()
		w := newGroups()[0]
		w.ID, w.Short, w.Unsaved, w.Role = oldID, shortOf(oldID), false, ledger.Member
		f.groups = append(f.groups, w)
	case "removed": // this computer was removed from Home by bo, who is junior to it
		f.mu.Lock()
		defer f.mu.Unlock()
		w := &f.groups[0]
		w.Standing, w.Role, w.Contest, w.Removal = workgroup.Out, 0, true, &workgroup.Removal{By: deviceID(2), ByName: "bo", Reason: ledger.Lost, At: day}
	case "offers": // NAME N: somebody started Home over
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.offers = append(f.offers, workgroup.Offer{ID: workgroup.ID{byte(n)}, Old: homeID, Name: args[1], By: member(2, "bo", 2, "Bo", ledger.Admin, 2),
			Without: []workgroup.Member{member(3, "anna: work", 3, "Anna", ledger.Member, 2)}, Founded: day})
	case "common": // bo is in Home and verified; anna invites
		f.mu.Lock()
		defer f.mu.Unlock()
		f.peers[1].Groups, f.peers[1].Verified, f.peers[2].Inviting = [][32]byte{homeID}, true, true
	default:
		ts.Fatalf("no engine %s", args[0])
	}
}
