// Package cli is the command line.
//
// Each command asks the running engine through the interfaces of control; none knows more than the window does. Output for
// people goes to standard output, progress and complaints to standard error; with --json standard output is JSON only.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/discovery"
)

// The exit codes, as `porchlight help` documents them.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNoEngine = 3
	exitNotFound = 4
	exitAway     = 5
)

// Engine is what the commands ask.
type Engine = control.Engine

// Env is everything the command line has from outside.
type Env struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string

	// Connect finds the engine of a home; control.ErrNoEngine if none runs. What it returns is closed if it is an io.Closer.
	Connect func(ctx context.Context, home string) (Engine, error)
	// Serve runs an engine until ctx ends. Lab runs several. Window shows the window until it is closed.
	Serve  func(ctx context.Context, o ServeOptions) error
	Lab    func(ctx context.Context, o LabOptions) error
	Window func(ctx context.Context, home string) error
}

// ServeOptions are the arguments of serve. Empty means: as the settings say.
type ServeOptions struct {
	Home    string // absolute
	Name    string
	Network discovery.Network
}

// LabOptions are the arguments of lab.
type LabOptions struct {
	N    int // computers, 1 to MaxLab
	Demo bool
}

// MaxLab is the greatest number of computers in a lab: each costs some ports and some memory.
const MaxLab = 50

// command is one command of the line.
type command struct {
	name     string // "share add"
	flags    map[string]bool
	min, max int // arguments beside flags; max < 0 means any number
	help     string
	run      func(context.Context, *call) error
}

// call is one run of a command.
type call struct {
	Env
	args  []string
	flags map[string]string
	home  string
	json  bool
}

// commands lists them as help does.
func commands() []command {
	return []command{
		{"serve", map[string]bool{"--name": true, "--network": true}, 0, 0, helpServe, serve},
		{"status", nil, 0, 0, helpStatus, connected(status)},
		{"peers", map[string]bool{"--wait": true}, 0, 0, helpPeers, connected(peers)},
		{"peers add", nil, 1, 1, helpPeersAdd, connected(peersAdd)},
		{"workgroup", nil, 0, 1, helpWorkgroup, connected(workgroup)},
		{"share add", map[string]bool{"--name": true}, 1, 1, helpShareAdd, connected(shareAdd)},
		{"share list", nil, 0, 0, helpShareList, connected(shareList)},
		{"share remove", nil, 1, 1, helpShareRemove, connected(shareRemove)},
		{"ls", nil, 0, 1, helpLs, connected(ls)},
		{"get", map[string]bool{"-o": true, "--check": false, "--detach": false}, 1, -1, helpGet, connected(get)},
		{"jobs", nil, 0, 0, helpJobs, connected(jobs)},
		{"pause", nil, 1, 1, helpPause, connected(pause)},
		{"resume", nil, 1, 1, helpResume, connected(resume)},
		{"cancel", nil, 1, 1, helpCancel, connected(cancel)},
		{"raw", nil, 2, 2, helpRaw, connected(raw)},
		{"lab", map[string]bool{"--demo": false}, 1, 1, helpLab, lab},
		{"version", nil, 0, 0, helpVersion, version},
		{"help", nil, 0, 2, helpHelp, help},
	}
}

// Run runs one command line and returns the exit code. It blocks until the command is done or ctx ends.
func Run(ctx context.Context, env Env) int {
	line, err := split(env.Args)
	if err == nil {
		err = run(ctx, env, line)
	}
	if err == nil {
		return exitOK
	}
	text, code := explain(err)
	if text != "" {
		fmt.Fprintln(env.Stderr, "porchlight: "+text)
	}
	return code
}

func run(ctx context.Context, env Env, l line) error {
	c := &call{Env: env, json: l.json}
	var err error
	if c.home, err = home(l.home); err != nil {
		return err
	}
	if len(l.rest) == 0 {
		if l.help {
			return help(ctx, c)
		}
		return env.Window(ctx, c.home)
	}
	cmd, rest, err := find(l.rest, l.help)
	if err != nil {
		return err
	}
	if l.help {
		c.args = []string{cmd.name}
		return help(ctx, c)
	}
	if c.args, c.flags, err = parse(cmd, rest); err != nil {
		return err
	}
	return cmd.run(ctx, c)
}

// home returns the folder of --home, or the default, in its one spelling.
func home(given string) (string, error) {
	if given == "" {
		def, err := config.DefaultHome()
		if err != nil {
			return "", err
		}
		given = def
	}
	return config.Resolve(given)
}

// find returns the command a line begins with, and what follows it. A group alone ("share") is enough to ask for help.
func find(rest []string, asking bool) (command, []string, error) {
	all := commands()
	for words := min(2, len(rest)); words > 0; words-- {
		name := rest[0]
		if words == 2 {
			name += " " + rest[1]
		}
		if i := slices.IndexFunc(all, func(c command) bool { return c.name == name }); i >= 0 {
			return all[i], rest[words:], nil
		}
	}
	if rest[0] == "share" {
		if asking {
			return command{name: "share"}, nil, nil
		}
		return command{}, nil, usage(wordWhichShare)
	}
	return command{}, nil, usage(wordNoCommand, show(rest[0]))
}

// connected runs a command that needs the engine.
func connected(f func(context.Context, *call, control.Engine) error) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) (err error) {
		e, err := c.connect(ctx)
		if err != nil {
			if errors.Is(err, control.ErrNoEngine) {
				return &failure{exitNoEngine, fmt.Sprintf(wordNoEngine, show(c.home)), err}
			}
			return err
		}
		if closer, ok := e.(io.Closer); ok {
			defer func() { err = errors.Join(err, closer.Close()) }()
		}
		return f(ctx, c, e)
	}
}

// connect finds the engine. Whoever waits for neighbours may have started it a moment ago.
func (c *call) connect(ctx context.Context) (Engine, error) {
	e, err := c.Connect(ctx, c.home)
	if _, waits := c.flags["--wait"]; !waits {
		return e, err
	}
	const steps, step = 50, 100 * time.Millisecond // five seconds: a slow disk, a first start
	for range steps {
		if !errors.Is(err, control.ErrNoEngine) {
			break
		}
		if errWait := pauseFor(ctx, step); errWait != nil {
			return nil, errWait
		}
		e, err = c.Connect(ctx, c.home)
	}
	return e, err
}

func serve(ctx context.Context, c *call) error {
	o := ServeOptions{Home: c.home, Name: c.flags["--name"], Network: discovery.Network(c.flags["--network"])}
	if _, given := c.flags["--name"]; given && discovery.CheckName(o.Name) != nil {
		return usage(wordBadName)
	}
	if _, given := c.flags["--network"]; given && !o.Network.Valid() {
		return usage(wordBadNetwork, show(string(o.Network)))
	}
	return c.Serve(ctx, o)
}

func lab(ctx context.Context, c *call) error {
	n, ok := number(c.args[0])
	if !ok || n > MaxLab {
		return usage(wordBadCount, show(c.args[0]), MaxLab)
	}
	_, demo := c.flags["--demo"]
	return c.Lab(ctx, LabOptions{N: n, Demo: demo})
}

func version(_ context.Context, c *call) error {
	if c.json {
		return c.object(struct {
			Version string `json:"version"`
		}{c.Version})
	}
	_, err := fmt.Fprintln(c.Stdout, "porchlight", c.Version)
	return err
}
