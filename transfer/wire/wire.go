// Package wire is the protocol between two devices: routes, messages, limits. PROTOCOL.md beside it is the specification.
package wire

import (
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share"
	"porchlight/share/content"
	"porchlight/transfer"
)

// Version is the version of the messages inside porchlight/1.
const Version = 1

// Routes. Paths inside a share travel as ?path=, never in the URL path, which net/http would clean.
const (
	RouteHello  = "/v1/hello"
	RouteEvents = "/v1/events"
	RouteWatch  = "/v1/watch"
	RoutePeers  = "/v1/peers"
	RouteShares = "/v1/shares"
	RouteDoctor = "/v1/doctor"
	RouteShare  = "/v1/s/" // + share ID + one of the four below
	RouteList   = "/list"
	RouteFile   = "/file"
	RoutePack   = "/pack"
	RouteLayer  = "/layer"
)

// Reverse is the Upgrade token by which the dialling side lends its connection to the other one.
const Reverse = "porchlight-reverse"

// TypeCBOR and TypeSequence name the encodings of bodies.
const (
	TypeCBOR     = "application/cbor"
	TypeSequence = "application/vnd.porchlight.sequence"
	TypeBytes    = "application/octet-stream"
)

// Hello is the first message on every connection, and its answer. Unknown fields are ignored.
type Hello struct {
	V         uint     `cbor:"v"`
	Name      string   `cbor:"name"`    // empty: not told, by a device in no open workgroup
	Workgroup string   `cbor:"group"`   // the open workgroup; empty: in none
	Install   string   `cbor:"install"` // 32 hexadecimal digits; tells copies of one identity apart
	Port      uint16   `cbor:"port"`    // where the sender listens; 0 = nowhere
	Caps      []string `cbor:"caps,omitempty"`
	Proofs    [][]byte `cbor:"proofs,omitempty"` // of private workgroups; always MaxProofs, padded with random ones
	App       string   `cbor:"app,omitempty"`    // version of the program, for people
	DialBack  bool     `cbor:"dialback"`         // the sender can reach the receiver by dialling
	Now       int64    `cbor:"now,omitempty"`    // the clock of the sender, ns since 1970; 0: not told
	// Removed says in an answer by which entries the caller was removed from workgroups that it proved, and by which who answers left.
	Removed []Notice `cbor:"removed,omitempty"`
}

// Check refuses a hello outside the limits.
func (h Hello) Check() error {
	switch {
	case h.V != Version:
		return transfer.ErrUnsupported
	case h.Name != "" && discovery.CheckName(h.Name) != nil || h.Workgroup != "" && discovery.CheckName(h.Workgroup) != nil:
		return transfer.ErrProtocol
	case len(h.Install) > MaxInstall || len(h.App) > MaxApp || len(h.Caps) > MaxCaps || len(h.Proofs) > MaxProofs || len(h.Removed) > workgroup.MaxWorkgroups:
		return transfer.ErrLimit
	}
	for _, n := range h.Removed {
		if len(n.Workgroup) != len(workgroup.ID{}) || len(n.Entry) == 0 || len(n.Entry) > ledger.MaxEntry {
			return transfer.ErrProtocol
		}
	}
	for _, c := range h.Caps {
		if len(c) > MaxCap {
			return transfer.ErrLimit
		}
	}
	for _, p := range h.Proofs {
		if len(p) != ProofSize {
			return transfer.ErrProtocol
		}
	}
	return nil
}

// EventKind says what an event is about. Unknown kinds are ignored.
type EventKind string

// The kinds of events. Each is a hint: the reader fetches the state.
const (
	EventBeat     EventKind = "beat"
	EventBye      EventKind = "bye"      // the sender is leaving
	EventShares   EventKind = "shares"   // the list of shares changed
	EventDir      EventKind = "dir"      // a folder being looked at changed
	EventPeers    EventKind = "peers"    // the sender knows more neighbours
	EventSelf     EventKind = "self"     // name or workgroup changed: Name and Group are set
	EventDialBack EventKind = "dialback" // OK says whether the sender can dial the receiver
)

// Event is one item of the event stream.
type Event struct {
	N     uint64    `cbor:"n"`
	Kind  EventKind `cbor:"kind"`
	Share []byte    `cbor:"share,omitempty"`
	Path  string    `cbor:"path,omitempty"`
	Name  string    `cbor:"name,omitempty"`
	Group string    `cbor:"group,omitempty"`
	OK    bool      `cbor:"ok,omitempty"`
}

// Watch names the folders a device looks at; it replaces what it named before.
type Watch struct {
	Dirs []WatchDir `cbor:"dirs"`
}

// WatchDir is one folder of a Watch.
type WatchDir struct {
	Share []byte `cbor:"share"`
	Path  string `cbor:"path"`
}

// PeerHint is one item of the gossip: where a device was reached. Only a hint.
type PeerHint struct {
	ID    []byte   `cbor:"id"`
	Addrs []string `cbor:"addrs"` // host:port, never link-local
	Age   uint32   `cbor:"age"`   // seconds since it was heard
	// Direct says that the sender reaches it by dialling, and not only over connections lent to it.
	Direct bool `cbor:"direct,omitempty"`
}

// Check refuses a hint outside the limits. The addresses are text that a stranger may have written.
func (h PeerHint) Check() error {
	if len(h.ID) != len(discovery.DeviceID{}) {
		return transfer.ErrProtocol
	}
	if len(h.Addrs) > MaxPeerAddrs {
		return transfer.ErrLimit
	}
	for _, a := range h.Addrs {
		if len(a) > MaxPeerAddr {
			return transfer.ErrLimit
		}
	}
	return nil
}

// Checkup is what a device knows of the one that asks, and that one cannot know.
type Checkup struct {
	Dial  string `cbor:"dial"`  // how dialling it ended just now: one of the words below
	Heard int64  `cbor:"heard"` // ms since an announcement of it came in; −1: none did
}

// The ways dialling ends. Other words are taken for DialFailed.
const (
	DialWorks       = "works"
	DialRefused     = "refused"     // the computer is there, nobody listens
	DialTimeout     = "timeout"     // nothing came back
	DialRejected    = "rejected"    // a firewall said no
	DialUnreachable = "unreachable" // the network knows nobody of that address
	DialFailed      = "failed"
	DialNowhere     = "nowhere" // there is no address to dial
)

// ShareItem is one item of the list of shares.
type ShareItem struct {
	ID   []byte `cbor:"id"`
	Kind uint8  `cbor:"kind"`
	Name string `cbor:"name"`
	Away bool   `cbor:"away,omitempty"`
}

// Offer checks an item a neighbour sent.
func (i ShareItem) Offer() (share.Offer, error) {
	if len(i.ID) != 16 || i.Kind == 0 || discovery.CheckName(i.Name) != nil {
		return share.Offer{}, transfer.ErrProtocol
	}
	return share.Offer{ID: share.ID(i.ID), Kind: share.Kind(i.Kind), Name: i.Name, Away: i.Away}, nil
}

// EntryItem is one item of a listing. P is the name for a plain listing, the path below the asked folder for a deep one.
type EntryItem struct {
	P string `cbor:"p"`
	K uint8  `cbor:"k"`
	S int64  `cbor:"s,omitempty"`
	T int64  `cbor:"t,omitempty"` // mtime, ns since 1970
	V []byte `cbor:"v,omitempty"`
	C bool   `cbor:"c,omitempty"` // cloud placeholder
	R string `cbor:"r,omitempty"` // why an Other cannot be opened
}

// ItemOf makes the item of an entry whose path is sent as p.
func ItemOf(e share.Entry, p string) EntryItem {
	i := EntryItem{P: p, K: uint8(e.Kind), S: e.Size, C: e.Cloud, R: e.Reason}
	if !e.MTime.IsZero() {
		i.T = e.MTime.UnixNano()
	}
	if e.Kind == share.File {
		i.V = e.Version[:]
	}
	return i
}

// Entry checks an item a neighbour sent; dir is what the item's path is below.
func (i EntryItem) Entry(dir share.Path) (share.Entry, error) {
	k := share.EntryKind(i.K)
	if k < share.File || k > share.Other || i.S < 0 || len(i.R) > MaxErrorText {
		return share.Entry{}, transfer.ErrProtocol
	}
	e := share.Entry{Kind: k, Size: i.S, Cloud: i.C, Reason: shown(i.R), MTime: time.Unix(0, i.T)}
	if k == share.Other { // only shown, never opened: its name may be one that cannot be a path
		if len(i.P) == 0 || len(i.P) > share.MaxPath {
			return share.Entry{}, transfer.ErrProtocol
		}
		e.Path = share.Path(shown(i.P))
		if dir != "" {
			e.Path = dir + "/" + e.Path
		}
		return e, nil
	}
	if k == share.File {
		if len(i.V) != len(e.Version) {
			return share.Entry{}, transfer.ErrProtocol
		}
		e.Version = share.Version(i.V)
	}
	p := i.P
	if dir != "" && p != "" {
		p = string(dir) + "/" + p
	} else if p == "" {
		p = string(dir)
	}
	path, err := share.ParsePath(p)
	if err != nil {
		return share.Entry{}, err
	}
	e.Path = path
	return e, nil
}

// shown makes text of a neighbour harmless to show: what moves the cursor of a terminal, or turns the direction of a
// line, becomes a replacement character.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0xFEFF || r == 0x2028 || r == 0x2029 {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// PackItem asks for one small file.
type PackItem struct {
	Path    string `cbor:"path"`
	Version []byte `cbor:"version"`
}

// PackHead precedes the Size bytes of one packed file. Size −1 says that it is gone or changed; no bytes follow.
type PackHead struct {
	I    int    `cbor:"i"`
	Size int64  `cbor:"size"`
	Root []byte `cbor:"root,omitempty"`
}

// LayerAnswer describes the content of one file version: root and the values of its pieces (32 bytes each, one after another).
type LayerAnswer struct {
	Version []byte `cbor:"version"`
	Size    int64  `cbor:"size"`
	Root    []byte `cbor:"root"`
	Layer   []byte `cbor:"layer,omitempty"`
}

// Layer checks the answer and unpacks it.
func (a LayerAnswer) Content() (content.Layer, error) {
	if len(a.Root) != 32 || a.Size < 0 || len(a.Layer)%32 != 0 {
		return content.Layer{}, transfer.ErrProtocol
	}
	l := content.Layer{Size: a.Size, Root: content.Hash(a.Root)}
	for b := a.Layer; len(b) > 0; b = b[32:] {
		l.Pieces = append(l.Pieces, content.Hash(b))
	}
	if err := l.Check(); err != nil {
		return content.Layer{}, errors.Join(transfer.ErrProtocol, err)
	}
	return l, nil
}

// Kind names an error on the wire.
type Kind string

// The kinds of errors. Denied and gone are one kind: nobody learns what exists by asking.
const (
	KindGone        Kind = "gone"
	KindState       Kind = "state"
	KindChanged     Kind = "changed"
	KindLimit       Kind = "limit"
	KindBusy        Kind = "busy"
	KindBroken      Kind = "broken"
	KindUnsupported Kind = "unsupported"
	KindFull        Kind = "full"
	KindBad         Kind = "bad"
	KindSync        Kind = "sync"      // of a private workgroup: the ledgers were not compared yet
	KindProof       Kind = "proof"     // the code is another one
	KindDeclined    Kind = "declined"  // somebody said no
	KindDifferent   Kind = "different" // somebody said that the pictures differ
	KindBlocked     Kind = "blocked"   // somebody said so a short while ago
	KindOver        Kind = "over"      // no invitation is open
	KindOften       Kind = "often"     // too many tries at codes or pictures
)

// ErrorBody is the body of every answer that is not a success. Text is for logs.
type ErrorBody struct {
	Kind  Kind   `cbor:"kind"`
	Text  string `cbor:"text,omitempty"`
	Retry int64  `cbor:"retry,omitempty"` // ms until a busy device wants to be asked again, if it knows
}

type rule struct {
	kind   Kind
	status int
	err    error
}

func rules() []rule {
	return []rule{
		{KindGone, http.StatusNotFound, transfer.ErrGone}, {KindChanged, http.StatusPreconditionFailed, transfer.ErrChanged},
		{KindLimit, http.StatusRequestEntityTooLarge, transfer.ErrLimit}, {KindBusy, http.StatusTooManyRequests, transfer.ErrBusy},
		{KindBroken, http.StatusInternalServerError, transfer.ErrBroken}, {KindUnsupported, http.StatusNotImplemented, transfer.ErrUnsupported},
		{KindFull, http.StatusInsufficientStorage, transfer.ErrFull}, {KindState, http.StatusConflict, transfer.ErrProtocol}, {KindBad, http.StatusBadRequest, transfer.ErrProtocol},
		{KindSync, http.StatusConflict, workgroup.ErrSync}, {KindProof, http.StatusForbidden, pairing.ErrProof}, {KindDeclined, http.StatusForbidden, discovery.ErrDeclined},
		{KindDifferent, http.StatusForbidden, discovery.ErrDifferent}, {KindBlocked, http.StatusForbidden, pairing.ErrBlocked},
		{KindOver, http.StatusGone, pairing.ErrOver}, {KindOften, http.StatusTooManyRequests, pairing.ErrOften},
	}
}

// KindOf returns kind and status of an error; what is none of transfer's is broken.
func KindOf(err error) (Kind, int) {
	for _, r := range rules() {
		if errors.Is(err, r.err) {
			return r.kind, r.status
		}
	}
	return KindBroken, http.StatusInternalServerError
}

// ErrorOf is the error behind an answer's status and body.
func ErrorOf(status int, body []byte) error {
	var b ErrorBody
	if canon.UnmarshalOpen(body, &b) == nil {
		if b.Kind == KindBusy && b.Retry > 0 {
			return &transfer.Busy{Retry: time.Duration(min(b.Retry, MaxRetry.Milliseconds())) * time.Millisecond}
		}
		for _, r := range rules() {
			if r.kind == b.Kind {
				return r.err
			}
		}
	}
	for _, r := range rules() {
		if r.status == status {
			return r.err
		}
	}
	return transfer.ErrProtocol
}
