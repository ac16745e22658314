package cli

import (
	"context"
	"fmt"
	"strings"
)

const helpTop = `Porchlight shows the computers of your network and pulls files straight from them.

  porchlight                                show the window
  porchlight serve                          run without a window
  porchlight status                         this computer, and how it is doing
  porchlight peers [--wait N]               the computers around
  porchlight peers add HOST[:PORT]          look for a computer at an address
  porchlight workgroup [NAME]               show or change the workgroup
  porchlight share add PATH [--name NAME]   let others read a folder
  porchlight share list                     what others may read
  porchlight share remove NAME              stop sharing it
  porchlight ls [DEVICE[:SHARE[/PATH]]]     what others share
  porchlight get DEVICE:SHARE[/PATH]...     bring files and folders here
  porchlight jobs                           what is being brought here
  porchlight pause JOB | resume JOB | cancel JOB
  porchlight raw DEVICE PATH                any answer of another computer, for the curious
  porchlight lab N [--demo]                 try it with N computers on this machine
  porchlight version | help [COMMAND]

Every command takes, anywhere:
  --home DIR   the folder of settings, key and database (a home is one computer of its own)
  --json       print JSON
  --help       say more about the command

DEVICE is the name of a computer, or the start of its device ID (see: porchlight peers).
`

const helpExit = `
Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  no engine is running for this home
  4  not found, not unique, or not allowed
  5  the other computer is away
`

const helpServe = `porchlight serve [--name NAME] [--network home|office|public]

Runs without a window until it is interrupted. Prints a line beginning "ready" once it listens.

  --name NAME     what others see this computer as; kept in the settings
  --network KIND  home or office: others find this computer; public: nobody is told and nothing listens

The environment variable PORCHLIGHT_LOG (debug, info, warn, error) says how much goes to the log on standard error.
`

const helpStatus = `porchlight status

Shows this computer, and what does not work on it.
JSON: {"id","name","workgroup","network","port","addresses","version","home","downloads","peers","online","shares","active_jobs","health"}
`

const helpPeers = `porchlight peers [--wait N]

Shows the computers around: online, suspect (gone quiet), offline (known, not there), candidate (says it is there, not proven).

  --wait N   first wait until N are online, 30 seconds at most; fewer than N is exit code 1
             (an engine that is just being started is waited for, too, some seconds)

JSON: an array of {"id","name","workgroup","state","addresses","manual","dial_back","first_seen","last_seen",…}
`

const helpPeersAdd = `porchlight peers add HOST[:PORT]

Looks for a computer at an address, now and whenever it is not found otherwise.
`

const helpWorkgroup = `porchlight workgroup [NAME]

Shows the workgroup of this computer, or changes it.
JSON: {"workgroup"}
`

const helpShareAdd = `porchlight share add PATH [--name NAME]

Lets the computers around read a folder. They cannot change it.

  --name NAME   what others see; the folder's own name otherwise

JSON: {"id","name","kind","path","added"}
`

const helpShareList = `porchlight share list

Shows what the computers around may read.
JSON: an array of {"id","name","kind","path","added"}
`

const helpShareRemove = `porchlight share remove NAME

Stops sharing. The files stay where they are.
`

const helpLs = `porchlight ls [DEVICE[:SHARE[/PATH]]]

Without an argument: every device that is online, with its shares. With a device: its shares. With a share: what is in it.

JSON: arrays of
  entries  {"name","kind":"file"|"folder"|"other","size","mtime","path","version",…}
  shares   {"name","kind","id","away"}
  devices  {"name","kind":"device","id","workgroup","state","shares":[…]}
`

const helpGet = `porchlight get DEVICE:SHARE[/PATH]... [-o DIR] [--check] [--detach]

Brings files and folders here; a whole share comes as a folder of the share's name. What is there already and equal is
skipped; a different file of the same name is kept, and the new one is named "name (2)".

  -o DIR     put them in DIR, which is made if need be; otherwise in the folder of the settings
  --check    compare what is there already by content, not by size and time
  --detach   begin, print the numbers of the jobs, and do not wait

Ends with 0 only when everything is there and verified. While the other computer is away it waits, and goes on by itself.
Ctrl-C ends the waiting, not the job: the engine goes on with it (exit code 1). Stop it with: porchlight cancel JOB

JSON: the job as it ended, as in "jobs"; one object for each share that was named
`

const helpJobs = `porchlight jobs

Shows what is being brought here, and what was.
JSON: an array of {"id","state","trouble","bytes","total","rate","left_seconds","files","done","skipped","failed","from","title","into","result","problems",…}
state is waiting, running, paused, away (goes on by itself), failed, done or canceled
`

const helpPause = `porchlight pause JOB

Stops a job until it is resumed.
`

const helpResume = `porchlight resume JOB

Lets a paused job go on, and tries a failed one again.
`

const helpCancel = `porchlight cancel JOB

Ends a job. Files that are whole stay; parts of files are removed.
`

const helpRaw = `porchlight raw DEVICE PATH

Asks another computer for a route of the protocol, as /v1/shares, and prints the answer; messages in diagnostic notation.
JSON: {"status","type","text"} or, of what is no text, {"status","type","bytes"} in base64
`

const helpLab = `porchlight lab N [--demo]

Runs N computers on this machine, each with its own folder and some files, until it is interrupted.

  --demo   one pulls from another while you watch; then it says how to go on
`

const helpVersion = `porchlight version

JSON: {"version"}
`

const helpHelp = `porchlight help [COMMAND]

`

// help prints the manual, or what is said about the command (or the group of commands) that is named.
func help(_ context.Context, c *call) error {
	name := strings.Join(c.args, " ")
	text := ""
	for _, cmd := range commands() {
		if cmd.name == name || strings.HasPrefix(cmd.name, name+" ") {
			text += cmd.help + "\n"
		}
	}
	switch {
	case name == "":
		text = helpTop
	case text == "":
		return usage(wordNoCommand, show(name))
	default:
		text = strings.TrimRight(text, "\n") + "\n"
	}
	text += helpExit
	if c.json {
		return c.object(struct {
			Help string `json:"help"`
		}{text})
	}
	_, err := fmt.Fprint(c.Stdout, text)
	return err
}
