package identity

import (
	"crypto/ed25519"
	"crypto/subtle"
	"crypto/tls"
	"errors"

	"porchlight/discovery"
)

// ALPN names the protocol and its major version inside TLS.
const ALPN = "porchlight/1"

var (
	// ErrProtocol says that the other side did not speak porchlight/1 over a fresh TLS 1.3 connection.
	ErrProtocol = errors.New("the other side does not speak this protocol")
	// ErrCertificate says that the other side did not show exactly one Ed25519 certificate.
	ErrCertificate = errors.New("the other side shows no usable identity")
	// ErrOtherDevice says that the device that answered is not the one that was wanted.
	ErrOtherDevice = errors.New("another device answered")
)

// TLS returns the configuration for both roles. With want set, any other device is refused inside the handshake;
// with want nil any device passes and rights are decided later. There is no other mode: TLS 1.3, both sides show a key,
// no resumption, no tickets, no server name.
func (i *Identity) TLS(want *discovery.DeviceID) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{i.cert},
		NextProtos:             []string{ALPN},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // names and chains mean nothing here; VerifyConnection pins the key, also on resumption
		SessionTicketsDisabled: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			id, err := PeerID(cs)
			if err != nil {
				return err
			}
			if want != nil && subtle.ConstantTimeCompare(id[:], want[:]) != 1 {
				return ErrOtherDevice
			}
			return nil
		},
	}
}

// PeerID returns the device ID of the other side. The key is the only thing read from its certificate: no dates
// (clocks of homes lie), no names, no chain. The order of the checks is fixed: version, protocol, one certificate, its key.
func PeerID(cs tls.ConnectionState) (discovery.DeviceID, error) {
	if cs.Version != tls.VersionTLS13 || cs.NegotiatedProtocol != ALPN || cs.DidResume {
		return discovery.DeviceID{}, ErrProtocol
	}
	if len(cs.PeerCertificates) != 1 {
		return discovery.DeviceID{}, ErrCertificate
	}
	pub, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(pub) != ed25519.PublicKeySize {
		return discovery.DeviceID{}, ErrCertificate
	}
	return discovery.IDOf(pub), nil
}

// Exporter returns the 32-byte value that binds whatever is proved to this one connection (RFC 8446 §7.5).
func Exporter(cs tls.ConnectionState) ([]byte, error) {
	return cs.ExportKeyingMaterial("EXPORTER-porchlight channel v1", nil, 32)
}
