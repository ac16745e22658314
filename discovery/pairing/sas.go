package pairing

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"porchlight/discovery"
)

// The messages of a comparison.
type (
	sas0 struct {
		Purpose Purpose `cbor:"purpose"`
		Name    string  `cbor:"name"`
	}
	sas1 struct {
		Commit []byte `cbor:"c"`
	}
	sas2 struct {
		Number []byte `cbor:"nA"`
	}
	sas3 struct {
		Number []byte `cbor:"nB"`
	}
)

const (
	commitDomain = "porchlight sas commit v1\x00"
	sasDomain    = "porchlight sas v1\x00"
	sasNumber    = 32 // bytes
)

// Purpose says what a comparison is for.
type Purpose string

// The purposes.
const (
	ToJoin   Purpose = "join"   // be let into the inviter's workgroup
	ToVerify Purpose = "verify" // know each other's key
)

// SAS is what both sides must show alike: the short authentication string.
type SAS [3]byte

// Pictures returns four pictures, for people to compare.
func (s SAS) Pictures() [4]Picture {
	v := s.number()
	all := pictures()
	return [4]Picture{all[v>>18], all[v>>12&63], all[v>>6&63], all[v&63]}
}

// Digits returns seven digits, for those who hear the screen rather than see it. They are a little easier to get equal by
// chance than pictures: once in ten million.
func (s SAS) Digits() string { return fmt.Sprintf("%07d", s.number()%10_000_000) }

func (s SAS) number() uint32 { return uint32(s[0])<<16 | uint32(s[1])<<8 | uint32(s[2]) }

// sas computes what is compared.
func (ch Channel) sas(nA, nB []byte) (s SAS, err error) {
	info := sasDomain + string(ch.Inviter[:]) + string(ch.Joiner[:])
	b, err := hkdf.Key(sha256.New, slices.Concat(nA, nB), ch.Exporter[:], info, len(s))
	if err != nil {
		return s, fmt.Errorf("derive the pictures: %w", err)
	}
	return SAS(b), nil
}

func (ch Channel) commit(nB []byte) []byte {
	h := sha256.New()
	h.Write([]byte(commitDomain))
	h.Write(ch.Exporter[:])
	h.Write(nB)
	return h.Sum(nil)
}

// SASInviter is the side that was dialled, and commits first. Not for use by several goroutines at once.
type SASInviter struct {
	Purpose Purpose
	Name    string // what the joiner calls itself: a claim

	ch Channel
	nB []byte // nil once shown
}

// NewSASInviter takes message 0 and returns message 1. Ask a Gate before.
func NewSASInviter(ch Channel, rand io.Reader, in []byte) (*SASInviter, []byte, error) {
	var m sas0
	if err := decode(in, &m); err != nil {
		return nil, nil, err
	}
	if m.Purpose != ToJoin && m.Purpose != ToVerify || discovery.CheckName(m.Name) != nil {
		return nil, nil, ErrMessage
	}
	nB, err := random(rand, sasNumber)
	if err != nil {
		return nil, nil, err
	}
	out, err := encode(sas1{ch.commit(nB)})
	return &SASInviter{m.Purpose, m.Name, ch, nB}, out, err
}

// Reveal takes message 2 and returns message 3, and what to show.
func (s *SASInviter) Reveal(in []byte) (out []byte, show SAS, err error) {
	nB := s.nB
	if s.nB = nil; nB == nil {
		return nil, show, ErrTurn
	}
	var m sas2
	if err := decode(in, &m); err != nil {
		return nil, show, err
	}
	if len(m.Number) != sasNumber || subtle.ConstantTimeCompare(m.Number, nB) == 1 {
		return nil, show, ErrMessage
	}
	if show, err = s.ch.sas(m.Number, nB); err != nil {
		return nil, show, err
	}
	out, err = encode(sas3{nB})
	return out, show, err
}

// SASJoiner is the side that dialled. Not for use by several goroutines at once.
type SASJoiner struct {
	ch     Channel
	rand   io.Reader
	nA     []byte
	commit []byte
	over   bool
}

// NewSASJoiner returns message 0. name is what this device calls itself.
func NewSASJoiner(ch Channel, p Purpose, name string, rand io.Reader) (*SASJoiner, []byte, error) {
	if err := discovery.CheckName(name); err != nil {
		return nil, nil, err
	}
	out, err := encode(sas0{p, name})
	return &SASJoiner{ch: ch, rand: rand}, out, err
}

// Answer takes message 1 and returns message 2.
func (s *SASJoiner) Answer(in []byte) ([]byte, error) {
	if s.over || s.commit != nil {
		s.over = true
		return nil, ErrTurn
	}
	s.over = true // unless all goes well
	var m sas1
	if err := decode(in, &m); err != nil {
		return nil, err
	}
	if len(m.Commit) != sha256.Size {
		return nil, ErrMessage
	}
	nA, err := random(s.rand, sasNumber)
	if err != nil {
		return nil, err
	}
	s.over, s.commit, s.nA = false, m.Commit, nA
	return encode(sas2{nA})
}

// Show takes message 3, checks that it is what the other side had committed itself to, and returns what to show.
func (s *SASJoiner) Show(in []byte) (show SAS, err error) {
	if s.over || s.commit == nil {
		s.over = true
		return show, ErrTurn
	}
	s.over = true
	var m sas3
	if err := decode(in, &m); err != nil {
		return show, err
	}
	if len(m.Number) != sasNumber || subtle.ConstantTimeCompare(m.Number, s.nA) == 1 {
		return show, ErrMessage
	}
	if !hmac.Equal(s.ch.commit(m.Number), s.commit) {
		return show, ErrProof
	}
	return s.ch.sas(s.nA, m.Number)
}

// Gate keeps comparisons rare: each is a try at 2²⁴, and a question to a person. It counts those of all devices together, since
// keys cost nothing. The zero value is ready. Safe for use by several goroutines.
type Gate struct {
	mu      sync.Mutex // guards the fields below
	begun   []time.Time
	blocked map[discovery.DeviceID]time.Time // at most one for each comparison of the last minutes
}

// Begin asks for a comparison with id, on either side: ErrBlocked, ErrOften, or nil, and then it counts.
func (g *Gate) Begin(id discovery.DeviceID, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for d, at := range g.blocked {
		if now.Sub(at) >= BlockedFor {
			delete(g.blocked, d)
		}
	}
	if _, ok := g.blocked[id]; ok {
		return ErrBlocked
	}
	g.begun = slices.DeleteFunc(g.begun, func(t time.Time) bool { return now.Sub(t) >= CompareSpan })
	if len(g.begun) >= MaxCompares {
		return ErrOften
	}
	g.begun = append(g.begun, now)
	return nil
}

// Block keeps id out for BlockedFor: somebody said that its pictures differ.
func (g *Gate) Block(id discovery.DeviceID, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blocked == nil {
		g.blocked = map[discovery.DeviceID]time.Time{}
	}
	g.blocked[id] = now
}

// Picture is one of the 64, with its name for those who read or hear it.
type Picture struct {
	Symbol  string // one emoji
	English string
	German  string
}

// pictures is the list of the Matrix specification (client-server API, SAS method: emoji), made to be told apart by anybody,
// also over the telephone. Its order is part of the protocol.
func pictures() []Picture {
	const list = `🐶 Dog Hund|🐱 Cat Katze|🦁 Lion Löwe|🐎 Horse Pferd|🦄 Unicorn Einhorn|🐷 Pig Schwein|🐘 Elephant Elefant|🐰 Rabbit Hase|` +
		`🐼 Panda Panda|🐓 Rooster Hahn|🐧 Penguin Pinguin|🐢 Turtle Schildkröte|🐟 Fish Fisch|🐙 Octopus Oktopus|🦋 Butterfly Schmetterling|🌷 Flower Blume|` +
		`🌳 Tree Baum|🌵 Cactus Kaktus|🍄 Mushroom Pilz|🌏 Globe Globus|🌙 Moon Mond|☁️ Cloud Wolke|🔥 Fire Feuer|🍌 Banana Banane|` +
		`🍎 Apple Apfel|🍓 Strawberry Erdbeere|🌽 Corn Mais|🍕 Pizza Pizza|🎂 Cake Kuchen|❤️ Heart Herz|😀 Smiley Lächeln|🤖 Robot Roboter|` +
		`🎩 Hat Hut|👓 Glasses Brille|🔧 Spanner Schraubenschlüssel|🎅 Santa Weihnachtsmann|👍 Thumbs_Up Daumen_hoch|☂️ Umbrella Regenschirm|⌛ Hourglass Sanduhr|⏰ Clock Uhr|` +
		`🎁 Gift Geschenk|💡 Light_Bulb Glühbirne|📕 Book Buch|✏️ Pencil Bleistift|📎 Paperclip Büroklammer|✂️ Scissors Schere|🔒 Lock Schloss|🔑 Key Schlüssel|` +
		`🔨 Hammer Hammer|☎️ Telephone Telefon|🏁 Flag Flagge|🚂 Train Zug|🚲 Bicycle Fahrrad|✈️ Aeroplane Flugzeug|🚀 Rocket Rakete|🏆 Trophy Pokal|` +
		`⚽ Ball Ball|🎸 Guitar Gitarre|🎺 Trumpet Trompete|🔔 Bell Glocke|⚓ Anchor Anker|🎧 Headphones Kopfhörer|📁 Folder Ordner|📌 Pin Stecknadel`
	var out []Picture
	for line := range strings.SplitSeq(list, "|") {
		f := strings.Fields(line)
		out = append(out, Picture{f[0], strings.ReplaceAll(f[1], "_", " "), strings.ReplaceAll(f[2], "_", " ")})
	}
	return out
}
