package pairing

import (
	"crypto/hmac"
	"crypto/subtle"
	"io"
	"slices"
	"sync"
	"time"

	"porchlight/discovery"
)

// The messages of a join.
type (
	join1 struct {
		Share []byte `cbor:"ya"`
		AD    []byte `cbor:"ada"`
		QR    bool   `cbor:"qr,omitempty"`
	}
	join2 struct {
		Share []byte `cbor:"yb"`
		AD    []byte `cbor:"adb"`
	}
	join3 struct {
		Proof []byte `cbor:"ta"`
	}
	join4 struct {
		Proof []byte `cbor:"tb"`
	}
)

const (
	joinDomain = "porchlight join v1"
	joinerAD   = "joiner"
	inviterAD  = "inviter"
)

// identities is CI: whose run it is, in which roles.
func (ch Channel) identities() []byte { return lv([]byte(joinDomain), ch.Joiner[:], ch.Inviter[:]) }

// Desk makes invitations, not more than MaxInvites in InviteSpan. The zero value is ready. Safe for use by several goroutines.
type Desk struct {
	mu   sync.Mutex
	made []time.Time
}

// Invite makes an invitation that is good from now for CodeLife. rand is crypto/rand.Reader; taken says which slots were seen on
// the network. It returns ErrOften if there were too many.
func (d *Desk) Invite(rand io.Reader, now time.Time, taken func(slot int) bool) (*Invite, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made = slices.DeleteFunc(d.made, func(t time.Time) bool { return now.Sub(t) >= InviteSpan })
	if len(d.made) >= MaxInvites {
		return nil, ErrOften
	}
	code, err := newCode(rand, taken)
	if err != nil {
		return nil, err
	}
	d.made = append(d.made, now)
	return &Invite{code: code, rand: rand, until: now.Add(CodeLife), last: map[string]time.Time{}}, nil
}

// Invite is the inviting side of one code. It lets one device in, and is burned after MaxRuns runs that did not end well: a run
// counts from the moment its first answer is made, so breaking off is no way to guess for free. Safe for use by several goroutines.
//
//	open ──Finish says yes──► used
//	  ├──MaxRuns answers, none of them finished──► burned
//	  ├──CodeLife──► old
//	  └──Close──► withdrawn
type Invite struct {
	code  Code
	rand  io.Reader
	until time.Time

	mu   sync.Mutex // guards the fields below
	runs int
	over bool                 // used, or withdrawn
	last map[string]time.Time // the last run of each source; not more than MaxRuns
}

// Code returns the code to show.
func (i *Invite) Code() Code { return i.code }

// Until returns when the code loses its force.
func (i *Invite) Until() time.Time { return i.until }

// Tried returns how many runs were begun and did not end well (yet).
func (i *Invite) Tried() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.runs
}

// Open reports whether a new run may begin at now.
func (i *Invite) Open(now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open(now) && i.runs < MaxRuns
}

// open is whether a run that is under way may end well at now, with mu held.
func (i *Invite) open(now time.Time) bool { return !i.over && now.Before(i.until) }

// Close withdraws the invitation.
func (i *Invite) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}

// Answer begins a run: it takes message 1, which came on ch from source (an address without its port), and returns message 2.
// ErrOver and ErrOften cost no run, nor does a message that is none.
func (i *Invite) Answer(ch Channel, source string, now time.Time, in []byte) (*Run, []byte, error) {
	var m join1
	if err := decode(in, &m); err != nil {
		return nil, nil, err
	}
	name, err := joinerName(m.AD)
	if err != nil {
		return nil, nil, err
	}
	if err := i.count(source, now, false); err != nil { // before the work
		return nil, nil, err
	}
	c, err := newCPace(false, i.code.prs(m.QR), ch.identities(), ch.Exporter[:], lv([]byte(inviterAD)), i.rand)
	if err != nil {
		return nil, nil, err
	}
	isk, err := c.finish(m.Share, m.AD)
	if err != nil {
		return nil, nil, err
	}
	key := confirmation(c.sid, isk)
	r := &Run{invite: i, name: name, want: proof(key, m.Share, m.AD), answer: proof(key, c.share, c.ad)}
	out, err := encode(join2{c.share, c.ad})
	if err != nil {
		return nil, nil, err
	}
	if err := i.count(source, now, true); err != nil {
		return nil, nil, err
	}
	return r, out, nil
}

// joinerName takes the name out of ada.
func joinerName(ad []byte) (string, error) {
	role := prefixed(nil, []byte(joinerAD))
	if len(ad) <= len(role) || string(ad[:len(role)]) != string(role) {
		return "", ErrMessage
	}
	name := string(ad[len(role)+1:]) // names are shorter than 128 bytes: one byte of length
	if string(lv([]byte(joinerAD), []byte(name))) != string(ad) || discovery.CheckName(name) != nil {
		return "", ErrMessage
	}
	return name, nil
}

// count says whether source may begin a run at now, and takes one of the runs if take is set.
func (i *Invite) count(source string, now time.Time, take bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.open(now) || i.runs >= MaxRuns {
		return ErrOver
	}
	if at, ok := i.last[source]; ok && now.Sub(at) < RunEvery {
		return ErrOften
	}
	if take {
		i.runs++
		i.last[source] = now
	}
	return nil
}

// Run is one try at an invitation, on one connection. Not for use by several goroutines at once.
type Run struct {
	invite *Invite
	name   string
	want   []byte
	answer []byte // message 4's proof; nil once used
}

// Finish takes message 3 and returns message 4. Only when it returns no error does the other side have the code; then the
// invitation is used up, and whoever else is under way is too late.
func (r *Run) Finish(now time.Time, in []byte) ([]byte, error) {
	answer := r.answer
	if r.answer = nil; answer == nil {
		return nil, ErrTurn
	}
	var m join3
	if err := decode(in, &m); err != nil {
		return nil, err
	}
	if !hmac.Equal(m.Proof, r.want) {
		return nil, ErrProof
	}
	out, err := encode(join4{answer})
	if err != nil {
		return nil, err
	}
	i := r.invite
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.open(now) {
		return nil, ErrOver
	}
	i.runs--
	i.over = true
	return out, nil
}

// Name returns what the joiner calls itself. It is proven by Finish, and never before.
func (r *Run) Name() string { return r.name }

// Join is the joining side of one run, on one connection. Not for use by several goroutines at once.
type Join struct {
	cpace *cpace // nil after message 3
	want  []byte // nil after message 4
}

// NewJoin begins a run with what was typed, or read from a QR code, and returns message 1. name is what this device calls
// itself, rand is crypto/rand.Reader.
func NewJoin(ch Channel, code Code, name string, rand io.Reader) (*Join, []byte, error) {
	if err := code.check(); err != nil {
		return nil, nil, err
	}
	if err := discovery.CheckName(name); err != nil {
		return nil, nil, err
	}
	qr := code.Secret != ""
	c, err := newCPace(true, code.prs(qr), ch.identities(), ch.Exporter[:], lv([]byte(joinerAD), []byte(name)), rand)
	if err != nil {
		return nil, nil, err
	}
	out, err := encode(join1{c.share, c.ad, qr})
	if err != nil {
		return nil, nil, err
	}
	return &Join{cpace: c}, out, nil
}

// Confirm takes message 2 and returns message 3.
func (j *Join) Confirm(in []byte) ([]byte, error) {
	c := j.cpace
	if j.cpace = nil; c == nil {
		return nil, ErrTurn
	}
	var m join2
	if err := decode(in, &m); err != nil {
		return nil, err
	}
	if string(m.AD) != string(lv([]byte(inviterAD))) || subtle.ConstantTimeCompare(m.Share, c.share) == 1 {
		return nil, ErrMessage // among them our own words, sent back
	}
	isk, err := c.finish(m.Share, m.AD)
	if err != nil {
		return nil, err
	}
	key := confirmation(c.sid, isk)
	j.want = proof(key, m.Share, m.AD)
	return encode(join3{proof(key, c.share, c.ad)})
}

// Finish takes message 4. Only when it returns no error does the inviter have the code.
func (j *Join) Finish(in []byte) error {
	want := j.want
	if j.want = nil; want == nil {
		return ErrTurn
	}
	var m join4
	if err := decode(in, &m); err != nil {
		return err
	}
	if !hmac.Equal(m.Proof, want) {
		return ErrProof
	}
	return nil
}
