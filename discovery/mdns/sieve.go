package mdns

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	udpHeader = 8    // a filter sees it in front of the packet
	searched  = 768  // bytes of a packet in which the filter looks for our name; a program has 20 KiB on older kernels
	sampled   = 256  // of so many packets one passes whatever it is, and tells how many there are
	maxSieved = 128  // senders the filter refuses
	pass      = 9100 // bytes of a packet that passes: all
	netHeader = 0xfff00000
	mark      = "\x0b_porchlight"
	meta      = "\x09_services"
)

// concerns reports whether a packet can be of any use here: an answer or announcement that names our service, or a
// question that does, or that may be for one of our hosts or for the list of services. It is cheap, for everybody's
// packets come here.
func concerns(packet []byte) bool {
	if len(packet) <= headerLen || len(packet) > maxPacket || packet[2]&0x78 != 0 || packet[3]&0x0f != 0 { // opcode, error
		return false
	}
	if mentions(packet) {
		return true
	}
	name := packet[headerLen:]
	return !isResponse(packet) && (name[0] == labelLen || len(name) >= len(meta) && bytes.EqualFold(name[:len(meta)], []byte(meta)))
}

func isResponse(packet []byte) bool { return packet[2]&0x80 != 0 }

// mentions reports whether the name of our service stands anywhere in a packet.
func mentions(packet []byte) bool {
	for rest := packet; ; {
		i := bytes.IndexByte(rest, mark[0])
		if i < 0 || len(rest)-i < len(mark) {
			return false
		}
		if rest = rest[i:]; bytes.EqualFold(rest[1:len(mark)], []byte(mark[1:])) {
			return true
		}
		rest = rest[1:]
	}
}

// sieve has the system throw packets away that are none of our business, and those of some senders, before this program
// is woken for them. It reports false where the system cannot, which is everywhere but on Linux; there concerns and the
// accounts of the ear have to do.
func sieve(conn *net.UDPConn, v6 bool, refused []netip.Addr) bool {
	program, err := bpf.Assemble(append(refusal(v6, refused), wanted()...))
	if err != nil {
		return false
	}
	if v6 {
		return ipv6.NewPacketConn(conn).SetBPF(program) == nil
	}
	return ipv4.NewPacketConn(conn).SetBPF(program) == nil
}

// refusal begins the filter. One packet in many passes, so that a flood can be told from silence; of the others those
// from one of these senders are dropped. Of IPv6 addresses the last four bytes count.
func refusal(v6 bool, from []netip.Addr) []bpf.Instruction {
	out := []bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtRand}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: sampled - 1, SkipTrue: 1}, bpf.RetConstant{Val: pass}}
	if from = from[:min(len(from), maxSieved)]; len(from) == 0 {
		return out
	}
	at := uint32(netHeader + 12) // where the sender stands in an IPv4 header
	if v6 {
		at = netHeader + 8 + 12
	}
	out = append(out, bpf.LoadAbsolute{Off: at, Size: 4})
	for i, a := range from {
		b := a.AsSlice()
		out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[len(b)-4:]), SkipTrue: uint8(len(from) - i)})
	}
	return append(out, bpf.Jump{Skip: 1}, bpf.RetConstant{})
}

// wanted is the filter for what concerns says, as far as a program without loops can: it knows our name by any four bytes
// of it that stand at a multiple of eight, in any case. A load beyond the end of a packet drops it.
func wanted() []bpf.Instruction {
	const lower, at = 0x20202020, udpHeader + headerLen
	word := func(s string) uint32 { return binary.BigEndian.Uint32([]byte(s)) | lower }
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: udpHeader + 2, Size: 2}, // opcode and error
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 0x780f, SkipTrue: 1},
		bpf.RetConstant{},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x8000, SkipTrue: 10}, // the first names of questions
		bpf.LoadAbsolute{Off: at, Size: 4},
		bpf.ALUOpConstant{Op: bpf.ALUOpOr, Val: lower},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: word(meta), SkipTrue: 1},
		bpf.RetConstant{Val: pass},
		bpf.LoadAbsolute{Off: at, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: labelLen, SkipTrue: 4},
		bpf.LoadAbsolute{Off: at + 1 + labelLen, Size: 4}, // the name of a host ends there in ".local"
		bpf.ALUOpConstant{Op: bpf.ALUOpOr, Val: lower},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: word("\x05loc"), SkipTrue: 1},
		bpf.RetConstant{Val: pass},
	}
	for off := uint32(at) &^ 7; off < udpHeader+searched; off += 8 {
		out = append(out, bpf.LoadAbsolute{Off: off, Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpOr, Val: lower})
		const words = 8
		for i := range words {
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: word(mark[i : i+4]), SkipTrue: uint8(words - i)})
		}
		out = append(out, bpf.Jump{Skip: 1}, bpf.RetConstant{Val: pass})
	}
	return append(out, bpf.RetConstant{})
}
