// Package cli is the command line.
//
// Each command asks the running engine through the interfaces of control; none knows more than the window does. Output for
// people goes to standard output, progress and complaints to standard error; with --json standard output is JSON only.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"porchlight/app/config"
	"porchlight/app/control"
	"porchlight/app/desktop"
	"porchlight/assets"
	"porchlight/discovery"
	"porchlight/discovery/identity"
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
	Args           []string  // without the program's name
	Stdin          io.Reader // nobody answers questions if nil
	Stdout, Stderr io.Writer
	Version        string
	Getenv         func(string) string // says the language, as on Unix: LC_ALL, LC_MESSAGES, LANG; nil means English

	// Connect finds the engine of a home; control.ErrNoEngine if none runs. What it returns is closed if it is an io.Closer.
	Connect func(ctx context.Context, home string) (Engine, error)
	// Serve runs an engine until ctx ends. Lab runs several. Window shows the window until it is closed.
	Serve  func(ctx context.Context, o ServeOptions) error
	Lab    func(ctx context.Context, o LabOptions) error
	Window func(ctx context.Context, o WindowOptions) error
}

// ErrNoWindow is what Window returns in a program built without one.
var ErrNoWindow = errors.New("this build has no window")

// ServeOptions are the arguments of serve. Empty means: as the settings say.
type ServeOptions struct {
	Home    string // absolute
	Name    string
	Network discovery.Network
	Words   *assets.Words // never nil
}

// WindowOptions are those of a start without a command.
type WindowOptions struct {
	Home   string // absolute
	Hidden bool   // begin without a window: started with the computer
}

// LabOptions are the arguments of lab.
type LabOptions struct {
	N     int // computers, 1 to MaxLab
	Demo  bool
	Words *assets.Words // never nil
}

// MaxLab is the greatest number of computers in a lab: each costs some ports and some memory.
const MaxLab = 50

// command is one command of the line. What it does is said in the catalogue, under "cli.brief." and "cli.about.".
type command struct {
	name     string // "share add"
	args     string // as they are typed: "PATH"
	min, max int    // arguments beside options; max < 0 means any number
	options  []option
	answers  []string // the shapes of its JSON
	run      func(context.Context, *call) error
}

// option is an option of one command; it takes no value if value is empty.
type option struct{ name, value string }

// call is one run of a command.
type call struct {
	Env
	words words
	args  []string
	flags map[string]string
	each  map[string][]string // all values of the options that may be given more than once
	home  string
	json  bool
	in    *bufio.Reader // of Stdin; nil if that is
}

// commands lists them as help does. What stands here is the same in every language.
func commands() []command { return slices.Concat(around(), groupCommands(), files()) }

// around are the commands about this computer and its neighbours.
func around() []command {
	return []command{
		{"serve", "", 0, 0, []option{{"--name", "NAME"}, {"--network", "home|office|public"}}, nil, serve},
		{"status", "", 0, 0, nil, []string{`{"id","name","workgroup","open","private","network","port","addresses","version","home","downloads","peers","online","shares","active_jobs","queue_held","since","goroutines","heap","health"}`}, connected(status)},
		{"peers", "", 0, 0, []option{{"--wait", "N"}}, []string{`[{"id","name","workgroup","state","addresses","manual","dial_back","newer","blocked","groups":[{"id","name"},…],"verified","inviting","first_seen","last_seen",…},…]`}, connected(peers)},
		{"peers add", "HOST[:PORT]", 1, 1, nil, nil, connected(peersAdd)},
		{"block", "DEVICE", 1, 1, nil, []string{`{"device","name","blocked"}`}, connected(block)},
		{"unblock", "DEVICE", 1, 1, nil, []string{`{"device","name","blocked"}`}, connected(unblock)},
		{"doctor", "", 0, 0, nil, []string{`[{"code","level":"good"|"hint"|"trouble","text","do","params","fix":[…],"brief"},…]`}, connected(diagnose)},
		{"network", "[home|office|public]", 0, 1, []option{{"--use", "NAME"}, {"--leave", "NAME"}},
			[]string{`{"network","ask","interfaces":[{"name","used","chosen","network","addresses"},…]}`}, connected(network)},
	}
}

// files are the commands about what is shared and brought here, and about the program itself.
func files() []command {
	const service = `{"installed","running","files","start","stop","missing"}`
	const shares = `{"id","name","kind","path","added","to":["nearby"|"nobody"|ID|"workgroup:ID"|"person:ID/PERSON",…]}`
	const to = "nearby|WORKGROUP|PERSON|DEVICE|nobody"
	return []command{
		{"share add", "PATH", 1, 1, []option{{"--name", "NAME"}, {"--to", to}}, []string{shares}, connected(shareAdd)},
		{"share allow", "SHARE", 1, 1, []option{{"--to", to}}, []string{shares}, connected(shareAllow)},
		{"share list", "", 0, 0, nil, []string{"[" + shares + ",…]"}, connected(shareList)},
		{"share remove", "NAME", 1, 1, nil, nil, connected(shareRemove)},
		{"ls", "[DEVICE[:SHARE[/PATH]]]", 0, 1, nil, []string{`[{"name","kind":"device","id","workgroup","state","shares":[…]},…]`,
			`[{"name","kind":"folder"|"drive"|…,"id","away"},…]`, `[{"name","kind":"folder"|"file"|"other","size","mtime","path","version",…},…]`}, connected(ls)},
		{"get", "DEVICE:SHARE[/PATH]...", 1, -1, []option{{"-o", "DIR"}, {"--check", ""}, {"--detach", ""}, {"--background", ""}}, nil, connected(get)},
		{"jobs", "", 0, 0, nil, []string{`[{"id","state":"waiting"|"running"|"paused"|"away"|"failed"|"done"|"canceled","trouble","bytes","total",`,
			`  "rate","left_seconds","files","done","skipped","failed","from","title","into","result","problems",…},…]`}, connected(jobs)},
		{"jobs show", "JOB", 1, 1, nil, []string{`{… as in jobs …,"place","took_seconds","average_rate","sources":[{"id","name","bytes","rate"},…],`,
			`  "under_way":[{"path","size","pieces","have"},…]}`}, connected(jobsShow)},
		{"jobs move", "JOB up|down|first|last|background|foreground", 2, 2, nil, nil, connected(jobsMove)},
		{"jobs pause", "[JOB]", 0, 1, []option{{"--all", ""}}, []string{`{"held"}`}, connected(jobsPause)},
		{"jobs resume", "[JOB]", 0, 1, []option{{"--all", ""}}, []string{`{"held"}`}, connected(jobsResume)},
		{"jobs retry", "[JOB]", 0, 1, []option{{"--all", ""}}, []string{`{"jobs"}`}, connected(jobsRetry)},
		{"jobs clear", "", 0, 0, nil, []string{`{"jobs"}`}, connected(jobsClear)},
		{"pause", "JOB", 1, 1, nil, nil, connected(pause)},
		{"resume", "JOB", 1, 1, nil, nil, connected(resume)},
		{"cancel", "JOB", 1, 1, nil, nil, connected(cancel)},
		{"limit", "", 0, 0, []option{{"--down", "N"}, {"--up", "N"}, {"--from", "HH:MM"}, {"--until", "HH:MM"}, {"--off", ""}},
			[]string{`{"up","down","from","until","now"}`}, connected(limit)},
		{"raw", "DEVICE PATH", 2, 2, nil, []string{`{"status","type","text"}`, `{"status","type","bytes"}`}, connected(raw)},
		{"service install", "", 0, 0, nil, []string{service}, serviceCall("cli.service.installed", desktop.Program.InstallService)},
		{"service remove", "", 0, 0, nil, []string{service}, serviceCall("cli.service.removed", desktop.Program.RemoveService)},
		{"service status", "", 0, 0, nil, []string{service}, serviceCall("cli.service.there", desktop.Program.Service)},
		{"identity export", "FILE", 1, 1, nil, []string{`{"id","file"}`}, identityExport},
		{"identity import", "FILE", 1, 1, []option{{"--replace", ""}}, []string{`{"id","file"}`}, identityImport},
		{"identity new", "", 0, 0, []option{{"--yes", ""}}, []string{`{"renewed","id"}`}, identityNew},
		{"purge", "", 0, 0, []option{{"--yes", ""}}, []string{`{"removed","paths"}`}, purge},
		{"lab", "N", 1, 1, []option{{"--demo", ""}}, nil, lab},
		{"version", "", 0, 0, nil, []string{`{"version"}`}, version},
		{"help", "[COMMAND]", 0, 2, nil, []string{`{"help"}`}, help},
	}
}

// Run runs one command line and returns the exit code. It blocks until the command is done or ctx ends.
func Run(ctx context.Context, env Env) int {
	catalogue, err := assets.Load(language(env.Getenv))
	if err != nil {
		fmt.Fprintln(env.Stderr, "porchlight:", err)
		return exitFailed
	}
	w := words{catalogue}
	line, err := split(env.Args)
	if err == nil {
		err = run(ctx, &call{Env: env, words: w, json: line.json, in: input(env.Stdin)}, line)
	}
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errTrouble) {
		return exitFailed
	}
	text, code := w.explain(err)
	fmt.Fprintln(env.Stderr, "porchlight: "+text)
	return code
}

func run(ctx context.Context, c *call, l line) error {
	var err error
	if c.home, err = home(l.home); err != nil {
		return err
	}
	if len(l.rest) == 0 {
		if l.help {
			return help(ctx, c)
		}
		return c.Window(ctx, WindowOptions{Home: c.home, Hidden: l.hidden})
	}
	cmd, rest, err := find(l.rest, l.help)
	if err != nil {
		return err
	}
	if l.help {
		c.args = []string{cmd.name}
		return help(ctx, c)
	}
	if l.hidden {
		return usage("cli.usage.no-option", "Command", cmd.name, "Option", "--hidden")
	}
	if c.args, c.flags, c.each, err = parse(cmd, rest); err != nil {
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
	for group, which := range map[string]string{"share": "cli.usage.which-share", "service": "cli.usage.which-service", "identity": "cli.usage.which-identity"} {
		if rest[0] != group {
			continue
		}
		if asking {
			return command{name: group}, nil, nil
		}
		return command{}, nil, usage(which)
	}
	return command{}, nil, usage("cli.usage.no-command", "Name", show(rest[0]))
}

// connected runs a command that needs the engine.
func connected(f func(context.Context, *call, control.Engine) error) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) (err error) {
		e, err := c.connect(ctx)
		if err != nil {
			if errors.Is(err, control.ErrNoEngine) {
				return failed(exitNoEngine, err, "cli.error.no-engine", "Home", show(c.home))
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
	o := ServeOptions{Home: c.home, Name: c.flags["--name"], Network: discovery.Network(c.flags["--network"]), Words: c.words.Words}
	if _, given := c.flags["--name"]; given && discovery.CheckName(o.Name) != nil {
		return usage("cli.error.name")
	}
	if _, given := c.flags["--network"]; given && !o.Network.Valid() {
		return usage("cli.usage.network", "Value", show(string(o.Network)))
	}
	err := c.Serve(ctx, o)
	if errors.Is(err, identity.ErrMissing) || errors.Is(err, identity.ErrDamaged) {
		return failed(exitFailed, err, "cli.error.key", "Why", show(err.Error()))
	}
	return err
}

func lab(ctx context.Context, c *call) error {
	n, ok := number(c.args[0])
	if !ok || n > MaxLab {
		return usage("cli.usage.lab", "Value", show(c.args[0]), "Most", MaxLab)
	}
	_, demo := c.flags["--demo"]
	return c.Lab(ctx, LabOptions{N: n, Demo: demo, Words: c.words.Words})
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

// line is a command line without what may stand anywhere.
type line struct {
	home   string
	json   bool
	help   bool
	hidden bool // only without a command
	rest   []string
}

// split takes --home, --json and --help out of the arguments, wherever they stand before a "--".
func split(args []string) (line, error) {
	var l line
	for i := 0; i < len(args); i++ {
		a := args[i]
		value, joined := strings.CutPrefix(a, "--home=")
		switch {
		case a == "--":
			l.rest = append(l.rest, args[i:]...)
			return l, nil
		case a == "--json":
			l.json = true
		case a == "--help" || a == "-h":
			l.help = true
		case a == "--hidden" && len(l.rest) == 0:
			l.hidden = true
		case a == "--version":
			l.rest = append(l.rest, "version")
		case a == "--home":
			if i++; i < len(args) {
				l.home = args[i]
			}
		case joined:
			l.home = value
		default:
			l.rest = append(l.rest, a)
			continue
		}
		if l.home == "" && (joined || a == "--home") {
			return line{}, usage("cli.usage.needs-value", "Option", "--home")
		}
	}
	return l, nil
}

// parse sorts the arguments of a command into options and others; they may stand in any order.
func parse(cmd command, in []string) (args []string, flags map[string]string, each map[string][]string, err error) {
	flags, each = map[string]string{}, map[string][]string{}
	for i := 0; i < len(in); i++ {
		a := in[i]
		if a == "--" {
			args = append(args, in[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			args = append(args, a)
			continue
		}
		name, value, joined := strings.Cut(a, "=")
		known := slices.IndexFunc(cmd.options, func(o option) bool { return o.name == name })
		takes := known >= 0 && cmd.options[known].value != ""
		switch {
		case known < 0:
			return nil, nil, nil, usage("cli.usage.no-option", "Command", cmd.name, "Option", show(a))
		case takes && !joined && i+1 == len(in):
			return nil, nil, nil, usage("cli.usage.needs-value", "Option", name)
		case takes && !joined:
			i++
			value = in[i]
		case !takes && joined:
			return nil, nil, nil, usage("cli.usage.takes-no-value", "Option", name)
		}
		flags[name], each[name] = value, append(each[name], value)
	}
	if len(args) < cmd.min {
		return nil, nil, nil, usage("cli.usage.too-few", "Command", cmd.name)
	}
	if cmd.max >= 0 && len(args) > cmd.max {
		return nil, nil, nil, usage("cli.usage.too-many", "Command", cmd.name, "Argument", show(args[cmd.max]))
	}
	return args, flags, each, nil
}

// number reads a whole number above zero.
func number(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n > 0
}
