package wire

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"porchlight/discovery"
	"porchlight/discovery/canon"
	"porchlight/discovery/keyring"
	"porchlight/discovery/ledger"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// size writes bytes as PROTOCOL.md does.
func size(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	if d == time.Hour {
		return "1 h"
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}

// thousands writes a number as PROTOCOL.md does.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// groupRows are the lines about private workgroups, and those who want to become members.
func groupRows(row func(what, format string, args ...any) string) string {
	return strings.Join([]string{
		row("ledgers: summary, its answer", "%s, %s", size(MaxSyncAsk), thousands(MaxSyncAnswer)+" bytes"),
		row("ledgers: entries, IDs in one message", "%d of %s in %s, %d of 8 bytes; %s entries of one device a second after a burst of %s, %d messages at once of all", workgroup.MaxBatch, size(ledger.MaxEntry),
			size(workgroup.MaxBatchBytes), workgroup.MaxBatch, thousands(EntriesPerSecond), thousands(EntriesBurst), MaxChecks),
		row("a comparison of ledgers", "%s in all", seconds(SyncTime)),
		row("a welcome: entries, keys", "%s in %s, %s; offers to move over one in %s of one device", thousands(ledger.MaxEntries), size(MaxWelcome), size(MaxKeyRing), seconds(MoveEvery)),
		row("meetings: one message", "%s", size(MaxPairMessage)),
		row("meetings of all devices", "%d before the code is proved or the pictures are shown, beyond which the oldest gives way after %s, %d while a person decides; %s, %s", MaxMeetings, seconds(MeetingGrace), MaxWaiting, seconds(MeetingTime), seconds(DecisionTime)),
		row("meetings begun", "one in %s by one device after a burst of %d, one in %s by all after a burst of %d", seconds(MeetEvery), MeetBurst, seconds(MeetAllEvery), MeetAllBurst),
		row("the answer to a hello", "not sooner than after %s", seconds(QuietTime)),
	}, "")
}

// limitRows is the table of PROTOCOL.md, made of the constants.
func limitRows() []string {
	row := func(what, format string, args ...any) string {
		return "| " + what + " | " + fmt.Sprintf(format, args...) + " |\n"
	}
	return []string{
		row("one item of a sequence", "1 to %s bytes", thousands(MaxItem)),
		row("one message", "%d levels, %d elements of a list, %d pairs of a map", canon.MaxDepth, canon.MaxArray, canon.MaxPairs),
		row("hello: request, answer", "%s, %s; %s", size(MaxHello), size(MaxHelloAnswer), seconds(HelloTime)),
		row("in a hello", "%d capabilities of %s, %d proofs of %s, `install` %s, `app` %s", MaxCaps, size(MaxCap), MaxProofs, size(ProofSize), size(MaxInstall), size(MaxApp)),
		row("names of devices, workgroups and shares", "%s", size(discovery.MaxName)),
		row("paths", "%s, %d components of %s", size(share.MaxPath), share.MaxDepth, size(share.MaxComponent)),
		row("handshakes", "%s", seconds(HandshakeTime)),
		row("connections without a hello", "%d at once, beyond which the longest silent gives way, %d from one address; %d handshakes a second after a burst of %d, %d new connections from one address after a burst of %d; %s received, handshake included",
			MaxPending, MaxPendingAddr, NewPerSecond, NewBurst, NewAddrPerSecond, NewAddrBurst, size(MaxStrangerBytes)),
		row("connections with one", "%d of one device, %d of one address, %d in all", MaxDeviceConns, MaxAddrConns, MaxConns),
		row("strangers with one", "together %d connections, of which the address that has most gives up one for another; %d answers with bytes, %d of them reading the disk; %d files hashed; %s and %s of the memory for bytes and for listings; those of one address have one share of the line",
			MaxStrangerConns, MaxStrangerSends, MaxStrangerReads, MaxStrangerBuilds, size(MaxStrangerBuffers), size(MaxStrangerListBuffers)),
		row("breaches", "each closes its connection; %d within %s: %s refused, then twice as long each time, up to %s; counted by device, before the handshake by address",
			Breaches, seconds(BreachTime), seconds(RefuseFirst), seconds(RefuseMost)),
		row("requests of one device", "%d at once; %d a second after a burst of %d; %d listings at once, %d a second after a burst of %d; a refusal for asking too often comes after %s",
			MaxInFlight, RequestsPerSecond, RequestsBurst, MaxLists, ListsPerSecond, ListsBurst, seconds(RefusalTime)),
		row("event streams of one device", "%d; an older one ends; %d events unread", MaxStreams, MaxQueued),
		row("folders looked at, shares, hints", "%d, %d, %d with %d addresses of %s", MaxWatch, share.MaxShares, MaxPeers, MaxPeerAddrs, size(MaxPeerAddr)),
		row("entries a reader takes", "%s of one folder, %s of a deep listing", thousands(MaxListed), thousands(MaxDeep)),
		row("checkups", "answer %s; one dial of one device in %s, to at most %d of its addresses, %d devices at once: beyond that `nowhere`",
			size(MaxCheckup), seconds(CheckupAgain), CheckupAddrs, MaxCheckups),
		row("request headers, body", "%s, %s; %s, and what the route says", seconds(HeaderTime), seconds(BodyTime), size(MaxHeader)),
		row("one range, one packed file", "%s, %s", size(MaxRange), size(MaxPackFile)),
		row("pack: request, files", "%s, %d", size(MaxPackRequest), MaxPackItems),
		row("layer answer", "%s", size(MaxLayer)),
		row("answers with bytes of files", "%d of one device, %d in all; %d of them reading the disk", MaxDeviceSends, MaxSends, MaxReads),
		row("files hashed for a layer", "%d of one device, %d in all", DeviceBuilds, MaxBuilds),
		row("memory for the network", "%s: %s for bytes of files and layers, %s for listings, %s for connections", size(AllBuffers), size(MaxBuffers), size(MaxListBuffers), size(MaxConns*ConnBuffers)),
		row("waiting for a turn or for memory", "%s, then `busy`", seconds(Patience)),
		row("a body without progress", "when receiving %s in %s, when sending %s in %s", size(StallBytes), seconds(StallTime), size(StallSend), seconds(StallTime)),
		row("beat, suspect, offline", "%s, %s, %s", seconds(Beat), seconds(SuspectAfter), seconds(OfflineAfter)),
		row("idle connections", "closed by the client after %s, by the server after %s", seconds(ClientIdle), seconds(ServerIdle)),
		row("events acted on", "%d a second after a burst of %d, new names one in %s after a burst of %d; what comes faster waits", EventsPerSecond, EventsBurst, seconds(NamesEvery), NamesBurst),
		row("files of many sources", "%s and more; %d receivers of one told of one another, %d files; who is silent for %s pulls no more; who has all is told of for %s and gives %d contents on",
			size(SwarmSize), MaxSwarm, MaxSwarmed, seconds(SwarmTime), seconds(OfferTime), MaxOffers),
		row("swarm: question, answer, advice", "%s, %s, %s; the answer within %s", size(MaxSwarmAsk), size(MaxSwarmAnswer), size(MaxAdvice), seconds(HaveTime)),
		row("have: answer", "%s within %s; not sooner than %s after a question for more", size(MaxHaveAnswer), seconds(HaveTime), seconds(HaveEvery)),
		row("manifest or ticket, its header", "%s, %s; tickets for %s, by a clock that may be %s wrong", size(MaxSigned), size(MaxTicketHeader), seconds(TicketTime), seconds(TicketSlack)),
		row("an old ticket, its source away", "%s; where everyone of a workgroup has the right %s", seconds(TicketAway), seconds(TicketMembers)),
		row("content: one request", "%d pieces", ContentPieces),
		row("find: question, sizes, files of each", "%s, %d, %d; %s", size(MaxFindAsk), MaxFind, MaxFound, seconds(FindTime)),
		groupRows(row),
		row("`busy`: come again", "after at most %s", seconds(MaxRetry)),
		row("error body, text", "%s, %s", size(MaxErrorBody), size(MaxErrorText)),
	}
}

// TestLimitsAreSpecified: the table of limits in PROTOCOL.md says what the constants say, line by line.
func TestLimitsAreSpecified(t *testing.T) {
	doc, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "## Limits\n\n| what | limit |\n|---|---|\n")
	table, _, end := strings.Cut(rest, "\n\n")
	if !ok || !end {
		t.Fatal("PROTOCOL.md has no table of limits")
	}
	if d := cmp.Diff(strings.Join(limitRows(), ""), table+"\n"); d != "" {
		t.Error(d)
	}
}

// TestLimitsOfTheDesign holds the values that other parts of the protocol rest on.
func TestLimitsOfTheDesign(t *testing.T) {
	if AllBuffers > 256<<20 {
		t.Errorf("%s for the network in all", size(AllBuffers))
	}
	if MaxHello+MaxHeader+MaxItem/4 > MaxStrangerBytes {
		t.Error("an honest hello does not fit into what a stranger may send")
	}
	if MaxEntryIDs < 8*workgroup.MaxBatch || MaxEntriesBody < workgroup.MaxBatchBytes || MaxKeyRing < keyring.MaxKeys*64 {
		t.Error("what a workgroup has to say does not fit")
	}
	if s := 32 + MaxKeyRing + 16; s > MaxItem || workgroup.MaxWorkgroups*(ledger.MaxEntry+64)+MaxHello > MaxHelloAnswer {
		t.Error("a welcome, or all removals, do not fit")
	}
	if 30*MaxDeviceConns > MaxStrangerConns || MaxStrangerConns >= MaxConns || MaxStrangerSends >= MaxSends || MaxStrangerReads >= MaxReads || MaxStrangerBuilds >= MaxBuilds ||
		MaxStrangerBuffers >= MaxBuffers || MaxStrangerListBuffers >= MaxListBuffers {
		t.Error("thirty open computers do not have room, or strangers leave none")
	}
	if ClientIdle >= ServerIdle || Patience >= StallTime || SuspectAfter <= 2*Beat || OfflineAfter <= SuspectAfter {
		t.Error("times out of order")
	}
}
