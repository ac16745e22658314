// Package swarm decides which piece to ask of which peer next; it does no I/O and tells no time.
//
// Content is cut into pieces of 1 MiB. A Plan is the receiver's side of one content: it is told who is there, what they have, and what became of each request, and says what to ask
// for next. A Seed is what a serving device remembers of one content; with it the origin, which knows everybody who pulls,
// advises each receiver what to ask it for. Standing is what a device remembers of others across contents. Time is a value passed in; the same calls with the same seed give the same
// answers. Receivers share no brain and need not trust each other: every rule below works on what one of them sees alone, and every piece is verified by whoever takes it.
//
// # The picker's list
//
// Plan.Next goes through these in order and stops at the first that gives a request. "The rack" is the pieces wanted and asked of nobody.
//
//  1. Nothing is asked for while all lanes are taken (12 requests at a time; a lane is a buffer of one piece).
//  2. One source, and nobody else pulls: the next pieces in order, in runs of about a second of data, up to 16 pieces. Two requests at a time, and four
//     when nobody else has come for a while. Toward the end the runs get shorter, so that all lanes end together.
//  3. Whose turn: the origin while it has advice; then the helper with the fewest requests under way, of those the one in the better class of speed (classes are factors of 2), of
//     those the one asked longest ago; then the origin without advice; last who failed more than once in a row. At most two requests to one of many, one to who failed last.
//  4. What of the origin: what it advises, in its order. If it gave no advice ever: what no helper has, starting at this receiver's own place, which its rank among the receivers it
//     knows gives it. If it says that all was given once: like a helper. Else only if nothing came from anybody for 2 s: what is missing is on its way to somebody else, and a second
//     copy would cost a first one.
//  5. What of a helper: the rarest piece that it has, the first from a place drawn by lot on; with its neighbors on the rack, if equally rare, up to a quarter of a second of data.
//  6. The rack has nothing for anybody free: whoever would have the last piece of another's request 1.5 times sooner takes over what that one has not begun, so much that both end together.
//  7. The same with the piece that a request is receiving, which is then asked of two: at the end (nothing left on the rack) or if the first has been silent for 2 s; four at a time,
//     and only while a fiftieth of the content at most came twice. What one brings, the other is told to leave. Beyond the fiftieth only for who sent nothing of the piece for 5 s.
//
// # What becomes of peers
//
//   - A bad piece, an answer that makes no sense: not asked for this content again; three in an hour, by any content, no helper for a day. All of a piece comes from one peer, so the
//     blame is certain; that it meant harm is not.
//   - A piece that it said it had and had not: it has not; three of them as a bad piece, but held against it here only.
//   - Silence for 10 s (longer for who is known to be slow; 5 s if it is in the way of others; 30 s for an only source), or a hundredth of the usual rate for 30 s while in the way: a
//     time-out. Three in five minutes: a rest of a minute, then two, up to thirty. Requests that meet the same silence count once.
//   - A failed connection: 100 ms, doubling up to 30 s. Busy: as it says, at least 40 ms, doubling up to 1.3 s while it says nothing else, at most a minute.
//
// # What this rests on
//
// Cohen, Incentives build robustness in BitTorrent (2003): rarest first, end game. BEP 3, BEP 6 (have, have none, suggest piece), BEP 16 (super-seeding: the source shows each
// receiver other pieces). Legout, Urvoy-Keller, Michiardi, Rarest first and choke algorithms are enough (2006). Mundinger, Weber, Weiss, Optimal scheduling of peer-to-peer file
// dissemination (2008), and Kumar, Ross, Peer-assisted file distribution: the minimum distribution time (2006): with equal links the last of n receivers can be done in the time of one
// copy plus about log2 n pieces; the source has to send each piece once, to different receivers, who send it to all others. BitTorrent's choking is left out: members of a workgroup
// owe each other nothing. The simulation in the tests measures all this: with equal links of 200 Mbit/s and 256 MiB, the last of 7 receivers is done in 1.09 times the time of one copy,
// of 199 in 1.35 times.
package swarm

import (
	"time"

	"porchlight/discovery"
	"porchlight/share/content"
	"porchlight/transfer"
)

// What a Plan decides by. Each is fixed because others on the network count on it or because it was measured in the simulation beside this file.
const (
	maxLanes  = 16                     // requests under way in all, at most: each has a buffer of a piece
	lanes     = 12                     // the same, if nothing else is said; more was not faster
	maxRun    = 16                     // pieces in one request, as the protocol allows
	soleSpan  = time.Second            // of data in one request to an only source: few requests, and still a pause within a second
	swarmSpan = 250 * time.Millisecond // of data in one request among many: what is asked of one cannot be asked of a better one
	soleFirst = 4                      // pieces in the first request to an only source, whose rate is not known
	// soleLanes is the number of requests at a time to an only source. 1 GiB over a wire as fast as the machine (2 cores, both ends on it, medians of 10 rounds by
	// turns): 2 lanes 1.32 s and 2.25 s of processor time, 3 lanes 1.31 and 2.22, 4 lanes 1.31 (best 1.20) and 2.17; each reader finds more when it wakes. More are not granted.
	soleLanes   = 4
	soleAfter   = 32 << 20               // bytes, until then two: others who begin at the same time want the source, too, and are seen by then
	helperMost  = 2                      // requests at a time to one of many: the second hides the way there and back
	quiet       = 2 * time.Second        // without a byte: what it still has to send may be asked of others
	stall       = 10 * time.Second       // without a byte: a time-out, the request is broken off
	soleStall   = 30 * time.Second       // the same where nobody else could be asked; the limit of the protocol
	endDoubles  = 4                      // pieces asked of two at a time, at the end
	wasteShare  = 50                     // one part in so many may be received twice, and one piece
	takeFactor  = 1.5                    // whoever would have a piece so much sooner takes it over
	liesMost    = 3                      // pieces that a peer said it had and had not
	shortRest   = 100 * time.Millisecond // after a connection that failed; doubles up to longRest
	longRest    = 30 * time.Second
	crawlShare  = 100                   // of the usual rate: one part of it, when all lanes are taken, is as good as nothing
	minRetry    = 20 * time.Millisecond // of what a busy peer may say
	maxRetry    = time.Minute
	guessRate   = 8 << 20 // bytes per second of a peer of whom nothing is known, while nothing is known of any
	maxPeers    = 256     // known at a time; each costs a bit for each piece
	adviceMost  = 16      // runs of advice kept for one peer
	newestShare = 0.3     // of the newest request in a smoothed rate
)

// Config says what a Plan is for.
type Config struct {
	Size     int64              // of the content, in bytes; more than 0
	Self     discovery.DeviceID // this receiver: two of them start at different places
	Seed     uint64             // makes the choice among equals; the same seed and calls, the same answers
	Lanes    int                // requests under way in all, up to 16; 12 if zero
	Standing *Standing          // what is known of peers from other content; own and empty if nil
}

// Run is a run of pieces [From, To).
type Run struct{ From, To int }

// Care says how much to ask of an only source at a time. While it is not known whether others take the content as well, what is asked for now may be what
// they ask for too, and had better be little.
type Care uint8

// The degrees of care.
const (
	Freely  Care = iota // about a second of data
	Shortly             // as much as of one of many
	Singly              // piece by piece, from places drawn by lot
)

// Ask is one request: some pieces of one peer, in order.
type Ask struct {
	ID   uint64 // names the request to the Plan; never 0, never used twice
	Peer discovery.DeviceID
	Run
}

// Range is the span of bytes of the request within content of that size.
func (a Ask) Range(size int64) transfer.Range {
	from := int64(a.From) * content.PieceSize
	return transfer.Range{Off: from, Len: min(int64(a.To)*content.PieceSize, size) - from}
}

// Outcome says how a request ended.
type Outcome uint8

// The outcomes. Bad pieces are told by Plan.Bad.
const (
	Served  Outcome = iota // all came that was wanted of it, or it was broken off because the Plan said so
	Gone                   // the peer has not got the next piece after all, or may not give it
	Busy                   // the peer has too much to do; it says when to come again
	Away                   // the connection failed
	Stalled                // nothing came for too long
	Broken                 // an answer that makes no sense: another length, another range, a layer that does not fit
)

// Progress counts what happened so far. Bytes are of verified pieces unless said otherwise.
type Progress struct {
	Pieces, Done, Flying int   // in all, verified, asked for
	Bytes                int64 // verified in all, with those there from the beginning
	Received             int64 // taken from the network, whatever became of them
	Origin               int64 // verified, from the origin
	Wasted               int64 // received and not used: bad, broken off, there already
	Twice                int64 // of Wasted: because it came from another as well
	Doubled              int   // pieces asked of two
	TakenOver            int   // pieces that a faster peer took over
	Bad, Lies, TimeOuts  int
	Peers, Banned        int
	Missing              int // pieces wanted that nobody here has; they are not asked for
}
