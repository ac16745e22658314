package mdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const hops = 255 // RFC 6762 §11: so that receivers can tell that no router passed it on

// group returns the multicast address of one family on a link: RFC 6762 §3.
func group(l link, v6 bool) netip.AddrPort {
	if v6 {
		return netip.AddrPortFrom(netip.MustParseAddr("ff02::fb").WithZone(l.ifi.Name), mdnsPort)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{224, 0, 0, 251}), mdnsPort)
}

func proto(v6 bool) string {
	if v6 {
		return "udp6"
	}
	return "udp4"
}

// open binds a socket to a random port of one address of a link, ready to send to the group.
func open(ctx context.Context, l link, from netip.Addr) (*net.UDPConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, proto(from.Is6()), netip.AddrPortFrom(l.zoned(from), 0).String())
	if err != nil {
		return nil, fmt.Errorf("open on %s: %w", l.ifi.Name, err)
	}
	conn := pc.(*net.UDPConn)
	if from.Is6() {
		err = ipv6.NewPacketConn(conn).SetMulticastInterface(&l.ifi)
	} else {
		err = ipv4.NewPacketConn(conn).SetMulticastInterface(&l.ifi)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("multicast on %s: %w", l.ifi.Name, err)
	}
	carry(conn, from.Is6())
	return conn, nil
}

// join opens port 5353 beside the other programs that use it and enters the group on a link. Sent from this socket,
// a packet counts as one of a full member of multicast DNS.
func join(l link, v6 bool) (*net.UDPConn, error) {
	ifi := l.ifi
	to := group(l, v6)
	conn, err := net.ListenMulticastUDP(proto(v6), &ifi, &net.UDPAddr{IP: to.Addr().AsSlice(), Port: mdnsPort})
	if err != nil {
		return nil, fmt.Errorf("join on %s: %w", l.ifi.Name, err)
	}
	carry(conn, v6) // that it leaves by this link is set already
	joinedOnly(conn, v6)
	return conn, nil
}

// carry lets what is sent to the group go as far as the law says, and reach the other programs on this machine as well.
// Where the system refuses, most neighbours still hear.
func carry(conn *net.UDPConn, v6 bool) {
	if v6 {
		p := ipv6.NewPacketConn(conn)
		p.SetMulticastHopLimit(hops) //nolint:errcheck // see above, here and below
		p.SetMulticastLoopback(true) //nolint:errcheck
		return
	}
	p := ipv4.NewPacketConn(conn)
	p.SetMulticastTTL(hops)      //nolint:errcheck
	p.SetMulticastLoopback(true) //nolint:errcheck
}

// shout multicasts a packet on a link from port 5353, over both families. It succeeds if one of them does.
func shout(l link, packet []byte) error {
	var errs []error
	tried := 0
	for _, v6 := range []bool{false, true} {
		if len(l.addresses(v6)) == 0 {
			continue
		}
		tried++
		if err := shoutOver(l, v6, packet); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < tried {
		return nil
	}
	return errors.Join(errs...)
}

func shoutOver(l link, v6 bool, packet []byte) error {
	conn, err := join(l, v6)
	if err != nil {
		return err
	}
	defer conn.Close()
	if l.loopback() {
		err = sendFrom(conn, l, packet)
	} else {
		err = send(conn, group(l, v6), packet)
	}
	if err != nil {
		return fmt.Errorf("announce on %s: %w", l.ifi.Name, err)
	}
	return nil
}

// sendFrom is send for the loopback interface, with its own address as the sender: Linux would take one of another
// interface, because it thinks that 127.0.0.1 is of no use to a group, and receivers would call that off the link.
func sendFrom(conn *net.UDPConn, l link, packet []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	cm := &ipv4.ControlMessage{IfIndex: l.ifi.Index, Src: l.addresses(false)[0].AsSlice()}
	_, err := ipv4.NewPacketConn(conn).WriteTo(packet, cm, net.UDPAddrFromAddrPort(group(l, false)))
	return err
}

func send(conn *net.UDPConn, to netip.AddrPort, packet []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err := conn.WriteToUDPAddrPort(packet, to)
	return err
}
