package control

import (
	"time"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// protocol changes when an older client or engine would misunderstand a newer one.
const protocol = 1

// The messages shadow each local path with bytes: names of files need not be UTF-8, and JSON would bend them.

type nothing struct{}

type hello struct {
	Protocol int `json:"protocol"`
}

type selfMsg struct {
	discovery.Self
	Home, Downloads []byte
}

func fromSelf(s discovery.Self) selfMsg {
	return selfMsg{Self: s, Home: []byte(s.Home), Downloads: []byte(s.Downloads)}
}

func (m selfMsg) value() discovery.Self {
	m.Self.Home, m.Self.Downloads = string(m.Home), string(m.Downloads)
	return m.Self
}

type shareMsg struct {
	share.Share
	Path []byte
}

func fromShare(s share.Share) shareMsg { return shareMsg{Share: s, Path: []byte(s.Path)} }

func (m shareMsg) value() share.Share {
	m.Share.Path = string(m.Path)
	return m.Share
}

type requestMsg struct {
	transfer.Request
	Into []byte
}

func fromRequest(r transfer.Request) requestMsg { return requestMsg{Request: r, Into: []byte(r.Into)} }

func (m requestMsg) value() transfer.Request {
	m.Request.Into = string(m.Into)
	return m.Request
}

type jobMsg struct {
	transfer.Job
	Request requestMsg
	Result  []byte
}

func fromJob(j transfer.Job) jobMsg {
	return jobMsg{Job: j, Request: fromRequest(j.Request), Result: []byte(j.Result)}
}

func (m jobMsg) value() transfer.Job {
	m.Job.Request, m.Job.Result = m.Request.value(), string(m.Result)
	return m.Job
}

type textMsg struct {
	Text []byte `json:"text"`
}

type addShareMsg struct {
	Path []byte        `json:"path"`
	Name string        `json:"name"`
	To   []share.Grant `json:"to,omitempty"`
}

type allowMsg struct {
	ID share.ID      `json:"id"`
	To []share.Grant `json:"to"`
}

type renameMsg struct {
	ID   share.ID `json:"id"`
	Name string   `json:"name"`
}

type shareIDMsg struct {
	ID share.ID `json:"id"`
}

type deviceMsg struct {
	Device discovery.DeviceID `json:"device"`
}

type folderMsg struct {
	Device discovery.DeviceID `json:"device"`
	Share  share.ID           `json:"share"`
	Path   share.Path         `json:"path"`
	Sort   share.Sort         `json:"sort,omitempty"`
}

type rawMsg struct {
	Device discovery.DeviceID `json:"device"`
	Path   string             `json:"path"`
}

type jobIDMsg struct {
	ID transfer.JobID `json:"id"`
}

type moveMsg struct {
	ID transfer.JobID `json:"id"`
	To transfer.Move  `json:"to"`
}

type interfaceMsg struct {
	Name string `json:"name"`
	Use  bool   `json:"use"`
}

type yesMsg struct {
	Yes bool `json:"yes"`
}

type versionMsg struct {
	Version uint64 `json:"version"`
}

// line is one line of a stream. The last one has End or Error; a stream without it broke off.
type line struct {
	Entries []entryMsg `json:"entries,omitempty"`
	Changed bool       `json:"changed,omitempty"`
	End     bool       `json:"end,omitempty"`
	Error   *failure   `json:"error,omitempty"`
}

// entryMsg is a row of a listing, short because there may be 100,000.
type entryMsg struct {
	Path    share.Path      `json:"p"`
	Kind    share.EntryKind `json:"k"`
	Size    int64           `json:"s,omitempty"`
	Time    [2]int64        `json:"t"` // seconds and nanoseconds: a neighbour's clock may be in any year
	Version []byte          `json:"v,omitempty"`
	Cloud   bool            `json:"c,omitempty"`
	Reason  string          `json:"r,omitempty"`
}

func fromEntry(e share.Entry) entryMsg {
	m := entryMsg{Path: e.Path, Kind: e.Kind, Size: e.Size, Time: [2]int64{e.MTime.Unix(), int64(e.MTime.Nanosecond())}, Cloud: e.Cloud, Reason: e.Reason}
	if e.Version != (share.Version{}) {
		m.Version = e.Version[:]
	}
	return m
}

func (m entryMsg) value() share.Entry {
	e := share.Entry{Path: m.Path, Kind: m.Kind, Size: m.Size, Cloud: m.Cloud, Reason: m.Reason}
	if t := time.Unix(m.Time[0], m.Time[1]); !t.IsZero() {
		e.MTime = t
	}
	copy(e.Version[:], m.Version)
	return e
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}
