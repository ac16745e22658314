package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"porchlight/discovery/canon"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/transfer"
)

// Routes of private workgroups, and of those who want to become members.
const (
	RouteGroup       = "/v1/wg/" // + ID of the workgroup + one of the four below
	RouteSync        = "/sync"
	RouteEntries     = "/entries"
	RouteFetch       = "/fetch"
	RouteKeys        = "/keys"
	RouteMove        = "/v1/move"
	RouteJoin        = "/v1/join"
	RouteJoinConfirm = "/v1/join/confirm"
	RouteJoinResult  = "/v1/join/result"
	RouteSAS         = "/v1/sas"
	RouteSASReveal   = "/v1/sas/reveal"
	RouteSASConfirm  = "/v1/sas/confirm"
	RouteRecover     = "/v1/recover"
)

// Notice is one removal in the answer to a hello.
type Notice struct {
	Workgroup []byte `cbor:"wg"`
	Entry     []byte `cbor:"entry"`
}

// Padded returns the hello with MaxProofs proofs, random ones where it has fewer; rand is crypto/rand.Reader.
func (h Hello) Padded(rand io.Reader) (Hello, error) {
	if len(h.Proofs) == MaxProofs {
		return h, nil
	}
	all, err := keyring.Fill(h.Proven(), rand)
	if err != nil {
		return Hello{}, err
	}
	return h.With(all), nil
}

// With returns the hello with these proofs, as keyring.Fill or a workgroup.Book made them.
func (h Hello) With(proofs []keyring.Proof) Hello {
	h.Proofs = make([][]byte, 0, len(proofs))
	for _, p := range proofs {
		h.Proofs = append(h.Proofs, p[:])
	}
	return h
}

// Proven returns the proofs of a hello that was checked.
func (h Hello) Proven() []keyring.Proof {
	out := make([]keyring.Proof, 0, len(h.Proofs))
	for _, p := range h.Proofs {
		out = append(out, keyring.Proof(p))
	}
	return out
}

// Notices returns the removals in an answer that was checked.
func (h Hello) Notices() []workgroup.Notice {
	out := make([]workgroup.Notice, 0, len(h.Removed))
	for _, n := range h.Removed {
		out = append(out, workgroup.Notice{Workgroup: workgroup.ID(n.Workgroup), Entry: n.Entry})
	}
	return out
}

// ParseGroup reads the ID of a workgroup in a path: 64 hexadecimal digits, small ones.
func ParseGroup(text string) (id workgroup.ID, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != text {
		return id, transfer.ErrGone
	}
	return workgroup.ID(b), nil
}

// EntryIDs is a list of ledger entries by the starts of their IDs, 8 bytes each: what is asked for, or missing.
type EntryIDs struct {
	IDs []byte `cbor:"ids"`
}

// IDsOf packs a list.
func IDsOf(list []ledger.Prefix) EntryIDs {
	e := EntryIDs{IDs: make([]byte, 0, len(list)*len(ledger.Prefix{}))}
	for _, p := range list {
		e.IDs = append(e.IDs, p[:]...)
	}
	return e
}

// List checks and unpacks the list.
func (e EntryIDs) List() ([]ledger.Prefix, error) {
	const size = len(ledger.Prefix{})
	if len(e.IDs)%size != 0 || len(e.IDs) > workgroup.MaxBatch*size {
		return nil, transfer.ErrProtocol
	}
	out := make([]ledger.Prefix, 0, len(e.IDs)/size)
	for p := range slices.Chunk(e.IDs, size) {
		out = append(out, ledger.Prefix(p))
	}
	return out, nil
}

// LedgerEntry is one entry of a ledger, as it was signed.
type LedgerEntry struct {
	Entry []byte `cbor:"entry"`
}

// WriteEntries writes entries as items of a sequence.
func WriteEntries(write func(any) error, entries [][]byte) error {
	for _, e := range entries {
		if err := write(LedgerEntry{e}); err != nil {
			return err
		}
	}
	return nil
}

// ReadEntries reads a sequence of at most workgroup.MaxBatch entries and workgroup.MaxBatchBytes.
func ReadEntries(r *canon.Reader) (out [][]byte, err error) {
	size := 0
	for {
		var e LedgerEntry
		if err := r.Read(&e); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if len(e.Entry) == 0 || len(e.Entry) > ledger.MaxEntry {
			return nil, fmt.Errorf("%w: a ledger entry of %d bytes", transfer.ErrProtocol, len(e.Entry))
		}
		if size += len(e.Entry); size > workgroup.MaxBatchBytes || len(out) == workgroup.MaxBatch {
			return nil, transfer.ErrLimit
		}
		out = append(out, e.Entry)
	}
}

// PairMessage is one message of package pairing, which knows what is in it.
type PairMessage struct {
	Msg []byte `cbor:"msg"`
}

// Match is the answer of one side's person to the four pictures.
type Match struct {
	Same bool `cbor:"same"`
}

// RecoveryProof shows on this connection that its sender has the recovery code of a workgroup.
type RecoveryProof struct {
	Proof []byte `cbor:"proof"`
}

// MeetKind says what one item of the answer of a meeting is. Unknown kinds are ignored.
type MeetKind string

// The kinds of items.
const (
	MeetBeat    MeetKind = "beat"    // a person has not decided yet
	MeetNo      MeetKind = "no"      // and does not let in, or not any more: Why says more
	MeetSame    MeetKind = "same"    // both people say that the pictures are the same
	MeetWelcome MeetKind = "welcome" // Workgroup, Keys, and Count entries that follow
	MeetEntry   MeetKind = "entry"
)

// MeetItem is one item of the answer to who waits for a decision, or to move over: any number of beats, and then one no, one same, or
// one welcome with its entries.
type MeetItem struct {
	Kind      MeetKind `cbor:"kind"`
	Why       Kind     `cbor:"why,omitempty"`
	Workgroup []byte   `cbor:"wg,omitempty"`
	Keys      []byte   `cbor:"keys,omitempty"`
	Count     int      `cbor:"count,omitempty"`
	Entry     []byte   `cbor:"entry,omitempty"`
}

// WriteWelcome writes a welcome as items of a sequence.
func WriteWelcome(write func(any) error, w workgroup.Welcome) error {
	if err := fits(w); err != nil {
		return err
	}
	if err := write(MeetItem{Kind: MeetWelcome, Workgroup: w.Workgroup[:], Keys: w.Keys, Count: len(w.Entries)}); err != nil {
		return err
	}
	for _, e := range w.Entries {
		if err := write(MeetItem{Kind: MeetEntry, Entry: e}); err != nil {
			return err
		}
	}
	return nil
}

// fits refuses a welcome that no reader would take.
func fits(w workgroup.Welcome) error {
	size := 0
	for _, e := range w.Entries {
		size += len(e)
	}
	if len(w.Entries) == 0 || len(w.Entries) > ledger.MaxEntries || size > MaxWelcome || len(w.Keys) > MaxKeyRing {
		return transfer.ErrLimit
	}
	return nil
}

// Result is how a meeting ended: with a welcome, or with both saying that the pictures are the same.
type Result struct {
	Same    bool
	Welcome *workgroup.Welcome
}

// ReadResult reads the answer of a meeting; beat is called with each item. It returns what a no says as its error, and
// canon.ErrCut when the answer ends before its end.
func ReadResult(r *canon.Reader, beat func()) (Result, error) {
	var out Result
	left, size, beats := 0, 0, 0
	for {
		var i MeetItem
		if err := r.Read(&i); errors.Is(err, io.EOF) {
			if left > 0 || !out.Same && out.Welcome == nil {
				return Result{}, transfer.ErrProtocol
			}
			return out, nil
		} else if err != nil {
			return Result{}, err
		}
		if i.Kind != MeetEntry {
			beats++
		}
		if beats > MaxBeats {
			return Result{}, transfer.ErrLimit
		}
		beat()
		over := out.Same || out.Welcome != nil
		switch {
		case i.Kind == MeetNo && !over:
			return Result{}, whyNot(i.Why)
		case i.Kind == MeetSame && !over:
			out.Same = true
		case i.Kind == MeetWelcome && !over:
			if len(i.Workgroup) != len(workgroup.ID{}) || len(i.Keys) > MaxKeyRing || i.Count < 1 || i.Count > ledger.MaxEntries {
				return Result{}, transfer.ErrProtocol
			}
			left, out.Welcome = i.Count, &workgroup.Welcome{Workgroup: workgroup.ID(i.Workgroup), Keys: i.Keys}
		case i.Kind == MeetEntry && left > 0:
			size += len(i.Entry)
			if len(i.Entry) == 0 || len(i.Entry) > ledger.MaxEntry || size > MaxWelcome {
				return Result{}, transfer.ErrProtocol
			}
			left, out.Welcome.Entries = left-1, append(out.Welcome.Entries, i.Entry)
		case i.Kind == MeetNo || i.Kind == MeetSame || i.Kind == MeetWelcome || i.Kind == MeetEntry:
			return Result{}, transfer.ErrProtocol
		}
	}
}

// whyNot is the error behind the kind in a no; a kind that is not known is transfer.ErrProtocol.
func whyNot(k Kind) error {
	for _, r := range rules() {
		if r.kind == k {
			return r.err
		}
	}
	return transfer.ErrProtocol
}
