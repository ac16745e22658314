package wire

import (
	"time"

	"porchlight/discovery/canon"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
	"porchlight/share/content"
)

// The limits of the protocol: all that a neighbour may cost this device, in one place. TestLimitsAreSpecified compares
// them with the table of PROTOCOL.md, which says them to whoever writes another implementation.
//
// Limits of other things stand beside their types: of paths in package share (MaxPath, MaxDepth, MaxComponent), of names
// in discovery (MaxName), of one CBOR message in discovery/canon (MaxDepth, MaxArray, MaxPairs), of announcements in
// discovery/mdns, of the journal of a pull in share/safefs (MaxRecord), of the number of shares in share (MaxShares).

// Messages and their parts, in bytes unless another unit is said.
const (
	MaxItem        = canon.MaxItem     // one item of a sequence
	MaxHeader      = 16 << 10          // the header of a request, or of an answer
	MaxHello       = 4 << 10           // request
	MaxHelloAnswer = 64 << 10          // answer
	MaxCheckup     = 1 << 10           // answer
	MaxErrorBody   = 1 << 10           // answer
	MaxErrorText   = 128               // in it
	MaxProofs      = 16                // proofs in a hello, each of ProofSize
	ProofSize      = 16                //
	MaxCaps        = 32                // capabilities in a hello, each of at most MaxCap
	MaxCap         = 32                //
	MaxInstall     = 64                // of the install value
	MaxApp         = 64                // of the program's version
	MaxWatch       = 32                // folders one device looks at
	MaxPeers       = 64                // hints in one gossip answer
	MaxPeerAddrs   = 3                 // addresses in one hint, each of at most MaxPeerAddr
	MaxPeerAddr    = 64                // "[IPv6 address]:port" has 47
	MaxRange       = 64 << 20          // of one file request
	MaxPackItems   = 1024              // files in one pack request
	MaxPackFile    = content.PieceSize // one packed file
	MaxPackRequest = 1 << 20           // a pack request
	MaxLayer       = 40 << 20          // a layer answer: a file of 1.25 TiB
	MaxListed      = 1 << 20           // entries of one folder that a reader takes
	MaxDeep        = 16 << 20          // entries of a deep listing that a reader takes
)

// Strangers: connections that have not said hello. They may cost this much and no more.
const (
	MaxPending       = 64       // at once; beyond it the longest silent gives way
	MaxPendingAddr   = 8        // of them from one address
	NewPerSecond     = 20       // handshakes in all, after a burst of NewBurst: who says nothing costs none
	NewBurst         = 128      //
	NewAddrPerSecond = 5        // new ones from one address, after a burst of NewAddrBurst
	NewAddrBurst     = 32       // a neighbour opens its seven at once, both ways
	MaxStrangerBytes = 64 << 10 // received before the hello is whole, handshake included
	HandshakeTime    = 5 * time.Second
	HelloTime        = 5 * time.Second
)

// Connections with a hello.
const (
	MaxDeviceConns = 14   // of one device: 9 it dials, and what it lends
	MaxAddrConns   = 48   // of one address: a computer several people work at; this computer itself has no limit
	MaxConns       = 1024 // in all
	MaxCounted     = 1024 // addresses, devices and offenders remembered, each
)

// Breaches: what no honest program sends. As many as Breaches within BreachTime are answered with a refusal of RefuseFirst,
// the next with twice that, up to RefuseMost; after RefuseMost of good conduct all is forgotten.
const (
	Breaches    = 3
	BreachTime  = time.Minute
	RefuseFirst = time.Minute
	RefuseMost  = time.Hour
)

// Strangers with a hello: devices that share no private workgroup with this one, and that nobody verified. In the open workgroup they
// are ordinary neighbours, each with what one device may have; together they have at most three quarters of what all devices share, so
// that there is always a place for who is no stranger, however many devices somebody invents.
const (
	MaxStrangerConns       = MaxConns * 3 / 4       // beyond it the address that has most gives one up
	MaxStrangerSends       = MaxSends * 3 / 4       //
	MaxStrangerReads       = MaxReads * 3 / 4       //
	MaxStrangerBuilds      = MaxBuilds * 3 / 4      //
	MaxStrangerBuffers     = MaxBuffers * 3 / 4     //
	MaxStrangerListBuffers = MaxListBuffers * 3 / 4 //
)

// Requests of one device, whatever the number of its connections.
const (
	MaxInFlight       = 16                     // at once
	RequestsPerSecond = 200                    // after a burst of RequestsBurst
	RequestsBurst     = 400                    //
	ListsPerSecond    = 20                     // listings, after a burst of ListsBurst: each may read a whole folder
	ListsBurst        = 60                     //
	MaxLists          = 4                      // listings at once: each holds the names of its folder; a neighbour has two connections for them
	MaxDeviceSends    = 8                      // answers with bytes of files at once: a neighbour has four connections for them
	DeviceBuilds      = 2                      // files read only to be hashed, at once
	MaxStreams        = 2                      // event streams (hub.join): a new one beside one whose connection is dead and does not know it yet
	MaxQueued         = 256                    // events waiting for one of them
	RefusalTime       = 100 * time.Millisecond // a refusal for asking too often waits so long: refusals would be a load themselves
)

// Requests of all devices together.
const (
	MaxSends       = 128       // answers with bytes of files
	MaxReads       = 24        // of them reading the disk: more readers make a disk slower, not faster
	MaxBuilds      = 4         // files read only to be hashed, at once
	MaxGathers     = 64        // files whose pieces are noted while they are served
	MaxNoted       = 4 << 20   // pieces of them: 128 MiB of values, 4 TiB of files
	MaxBuffers     = 176 << 20 // bytes in memory for answers with bytes of files and for layers
	MaxListBuffers = 32 << 20  // bytes in memory for listings and lists of folders looked at
	ConnBuffers    = 48 << 10  // bytes one connection holds by itself: records of TLS, what net/http reads ahead
	AllBuffers     = MaxBuffers + MaxListBuffers + MaxConns*ConnBuffers
)

// Events of a neighbour that are acted on; what comes faster waits.
const (
	EventsPerSecond = 200
	EventsBurst     = 1000
	NamesEvery      = 2 * time.Second // new names: each is written to the disk
	NamesBurst      = 10
)

// Limits of content that more than one device gives.
const (
	SwarmSize       = 16 << 20         // bytes; smaller files are not worth a signature
	SwarmTime       = 15 * time.Second // a device that has not asked for so long pulls no more
	OfferTime       = 10 * time.Minute // a device that has everything gives it on for so long after it was last asked
	MaxOffers       = 64               // contents given on at a time
	MaxSwarm        = 64               // devices that pull one file and are told of one another
	MaxSwarmed      = 256              // files that a server counts the pullers of
	MaxSigned       = 8 << 10          // bytes of a manifest or ticket: a path has up to 4 KiB
	MaxTicketHeader = 1 << 10          // bytes of HeaderTicket
	MaxAdvice       = 512              // bytes of HeaderAdvice, and of the advice in an answer
	TicketTime      = 5 * time.Minute  // for which a ticket is made: who loses the right has no use of it for longer
	TicketSlack     = time.Minute      // by which somebody may be wrong about the clock of another device
	TicketAway      = 4 * time.Hour    // for which an old ticket counts while its origin is away
	TicketMembers   = 24 * time.Hour   // the same, where the membership of both is looked at each time (PolicyMembers)
	MaxSwarmAsk     = 192 << 10        // bytes: 1.25 TiB have 160 KiB of bits
	MaxSwarmAnswer  = 32 << 10         // bytes
	MaxHaveAnswer   = 256 << 10        // bytes
	HaveTime        = 2 * time.Second  // a question for news is answered by then, whether there is any or not
	HaveEvery       = 100 * time.Millisecond
	ContentPieces   = 16              // in one request for content
	MaxRetry        = time.Minute     // for which a busy device sends others away
	MaxFindAsk      = 1 << 10         // a question for files by size
	MaxFind         = 32              // sizes in it
	MaxFound        = 4               // files told of each
	FindTime        = 2 * time.Second // looking for files takes no longer; what is not known by then is told the next time
)

// Private workgroups, and those who want to become members.
const (
	MaxSyncAsk       = 1 << 10                                             // bytes: a summary without IDs
	MaxSyncAnswer    = workgroup.MaxSummary                                // bytes
	MaxEntryIDs      = 64 + workgroup.MaxBatch*8                           // bytes of a list of IDs
	MaxEntriesBody   = workgroup.MaxBatchBytes + 16*(workgroup.MaxBatch+1) // bytes of a sequence of entries
	SyncTime         = 10 * time.Second                                    // for comparing the ledgers of one workgroup; who has not done by then is not served
	MaxKeyRing       = 2 << 10                                             // bytes of all keys of a workgroup
	MaxWelcome       = 8 << 20                                             // bytes of the entries of a whole ledger
	MaxWelcomeBody   = MaxWelcome + 32*(ledger.MaxEntries+1) + MaxKeyRing  // bytes of the sequence they come in
	MaxPairMessage   = 16 + pairing.MaxMessage                             // bytes of one message of a meeting
	EntriesPerSecond = 1000                                                // entries of one device that are looked at, after a burst of EntriesBurst
	EntriesBurst     = 20_000                                              // twice a whole ledger
	MaxChecks        = 2                                                   // batches of entries whose signatures are checked at once, of all devices
	MaxMeetings      = 4                                                   // connections in a meeting before the code was proved or the pictures shown, of all devices
	MaxWaiting       = 8                                                   // and after that, while a person decides
	MeetingGrace     = 2 * time.Second                                     // for which one of them keeps its place when others want it
	MeetingTime      = time.Minute                                         // until the code was proved, or the pictures shown
	DecisionTime     = 10 * time.Minute                                    // for a person to decide
	MaxBeats         = int(4 * DecisionTime / Beat)                        // items of an answer that waits for a person, besides entries
	MeetEvery        = time.Second                                         // between two meetings that one device begins, after a burst of MeetBurst
	MeetBurst        = 4                                                   //
	MeetAllEvery     = 250 * time.Millisecond                              // between two that any devices begin, after a burst of MeetAllBurst
	MeetAllBurst     = 16                                                  //
	MoveEvery        = 10 * time.Second                                    // between two offers to move over of one device
	QuietTime        = 2 * time.Millisecond                                // before which a hello is not answered: how long the proofs took to check is nobody's business
)

// Checkups: one device may have this one dial it.
const (
	CheckupAgain = 3 * time.Second // between two dials because one device asks
	MaxCheckups  = 8               // dials at once
	CheckupAddrs = 4               // addresses dialled of one device
)

// Times. A beat every 5 s keeps a stream alive; two missed ones make a peer suspect, three offline.
const (
	Beat         = 5 * time.Second
	SuspectAfter = 12 * time.Second
	OfflineAfter = 18 * time.Second
	HeaderTime   = 10 * time.Second
	BodyTime     = 30 * time.Second // for the whole body of a request; the largest is 1 MiB
	StallTime    = 30 * time.Second // without StallBytes of progress a body is given up
	StallBytes   = 16 << 10         // when receiving
	StallSend    = 512 << 10        // when sending: 17 KiB a second
	Patience     = StallTime / 2    // a request waits so long for its turn, then it is busy
	ClientIdle   = 60 * time.Second // shorter than the server's, so that a request never meets a closing connection
	ServerIdle   = 90 * time.Second
)
