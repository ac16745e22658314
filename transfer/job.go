// Package transfer names the movement of content: jobs, ranges and progress.
//
// It holds nouns and rules only: no I/O, no goroutines, standard library.
package transfer

import (
	"errors"
	"time"

	"porchlight/discovery"
	"porchlight/share"
)

// JobID numbers the pulls of one device, from 1; it is never used again.
type JobID int64

// State says where a job stands.
//
//	waiting ─► running ─► done
//	   ▲         │ ├────► failed ──retry──► waiting
//	   │         │ └────► away (its source is not there; goes on by itself)
//	   └─resume─ paused ◄─pause        canceled ◄─cancel (from any but done)
type State string

// The states of a job.
const (
	Waiting  State = "waiting"
	Running  State = "running"
	Paused   State = "paused"
	Away     State = "away" // source not there, or this disk full or gone: tried again by itself
	Failed   State = "failed"
	Done     State = "done"
	Canceled State = "canceled"
)

// Ended reports whether nothing more will happen by itself.
func (s State) Ended() bool { return s == Done || s == Canceled || s == Failed }

// Request asks for a pull: the named files and folders of one share of one device, into a folder of this computer.
type Request struct {
	Source    discovery.DeviceID
	Share     share.ID
	ShareName string       // names the folder when Paths holds the root
	Paths     []share.Path // at least one; the root means the whole share
	Into      string       // absolute folder on this computer; made if it is not there
	Check     bool         // compare by content what is there already, instead of by size and time
}

// Trouble says why a job or one file of it does not go on.
type Trouble string

// The troubles, each with words in the catalogue under "trouble.<value>".
const (
	NoTrouble     Trouble = ""
	SourceAway    Trouble = "source-away"
	SourceGone    Trouble = "source-gone" // not there any more, or no right: the two look the same
	SourceChanged Trouble = "source-changed"
	SourceBroken  Trouble = "source-broken" // it could not read its own file
	DiskFull      Trouble = "disk-full"
	DiskTrouble   Trouble = "disk-trouble"
	TargetGone    Trouble = "target-gone"
	FileTooLarge  Trouble = "file-too-large" // for this file system
	BadBytes      Trouble = "bad-bytes"      // what arrived was not what the owner described
	NameTrouble   Trouble = "name"           // the name cannot exist here
	ShareAway     Trouble = "share-away"     // the other computer is there, the folder or drive it shares is not
	DiskReadOnly  Trouble = "disk-read-only" // this disk cannot be written to any more
	TooDeep       Trouble = "too-deep"       // more levels of folders than a path may have, or too long a path
	TooMany       Trouble = "too-many"       // more entries than one pull takes
	OtherDisk     Trouble = "other-disk"     // another disk is mounted inside of what is shared, and is not part of it
)

// Job is one pull as people see it. A value; readers may keep it. Bytes and counts grow only.
type Job struct {
	ID         JobID
	Request    Request
	From       string // name of the source, as known when the job was made
	Title      string // name of the one file, folder or share; empty for a selection of several, as Request.Paths says
	State      State
	Trouble    Trouble
	Detail     string // a name or a number that belongs to the trouble; never a raw error for people
	Bytes      int64  // verified and written, or found equal
	Total      int64  // as far as known; grows while the listing is read
	Listed     bool   // Total and Files are final
	Files      int    // files in all
	Done       int    // files published or found equal
	Skipped    int    // of Done: were there already and equal
	Failed     int    // files given up
	Adapted    int    // names that had to change for this computer
	Rate       int64  // bytes per second, smoothed; 0 unless running
	Created    time.Time
	Ended      time.Time
	Order      int64         // the place in the queue: of the jobs that wait, the one with the least begins first
	Background bool          // it runs only while no other job can
	Fetched    int64         // bytes that came over the network, good or not, over all attempts that are over
	Took       time.Duration // the time these attempts ran
	Result     string        // absolute path to show: the file, or the folder
	Volume     int           // so many bytes of Request.Into name the place where its volume is mounted; 0: the system's own
	Problems   []Problem
	Sources    []SourceRate // who gives the bytes, the fastest first, at most MaxSources; empty when nobody has given any yet
}

// SourceRate is one computer that gives bytes to a job.
type SourceRate struct {
	Device discovery.DeviceID
	Name   string // as people call it; looked up by the engine, empty from the download itself
	Bytes  int64  // bytes it gave that were found good, since the job was made
	Bad    int    `json:",omitempty"` // pieces it gave that were not what their owner states
	Rate   int64  // bytes per second, smoothed; 0 unless the job runs
}

// MaxSources bounds Job.Sources: the fastest are named.
const MaxSources = 64

// FileMap says which pieces of one large file under way are here.
type FileMap struct {
	Path   share.Path
	Size   int64
	Pieces int     // how many the file has
	Have   int     // how many of them are here
	Parts  []uint8 // the file in at most MaxMapParts equal parts, in order: how much of each is here, 0 to 255 (all)
}

// MaxMapParts bounds FileMap.Parts, MaxMaps the files one answer holds.
const (
	MaxMapParts = 512
	MaxMaps     = 16
)

// Problem is one file that did not arrive as asked, or whose name was adapted. At most MaxProblems are kept.
type Problem struct {
	Path    share.Path
	Trouble Trouble
	As      string // the adapted name, if that is the matter
}

// MaxProblems bounds Job.Problems; the counts stay exact.
const MaxProblems = 100

// Left estimates the time to go; zero when nobody can say.
func (j Job) Left() time.Duration {
	if j.Rate <= 0 || !j.Listed || j.Total <= j.Bytes {
		return 0
	}
	return time.Duration(float64(j.Total-j.Bytes) / float64(j.Rate) * float64(time.Second))
}

// Average is the bytes per second over all attempts; 0 when none has ended.
func (j Job) Average() int64 {
	if j.Took <= 0 {
		return 0
	}
	return int64(float64(j.Fetched) / j.Took.Seconds())
}

// Queued reports whether a job has a place in the queue: it is neither running nor over.
func (s State) Queued() bool { return s == Waiting || s == Away || s == Paused }

// Range is a span of bytes of one file: [Off, Off+Len).
type Range struct{ Off, Len int64 }

// ErrNoJob says that a job number is not known.
var ErrNoJob = errors.New("no such job")
