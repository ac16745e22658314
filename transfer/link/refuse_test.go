package link

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"porchlight/discovery/calm"
	"porchlight/discovery/identity"
	"porchlight/transfer"
	"porchlight/transfer/wire"
)

// made is a certificate of a key, changed.
func made(t *testing.T, key crypto.Signer, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageDigitalSignature}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// shown is what somebody may show instead of an identity, or besides it: the configurations of TLS of both roles.
func shown(t *testing.T, own *identity.Identity) (refused, accepted map[string]*tls.Config) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	plain := made(t, key, nil)
	with := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{plain}, NextProtos: []string{identity.ALPN},
			InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert}
		change(c)
		return c
	}
	cert := func(c tls.Certificate) *tls.Config {
		return with(func(f *tls.Config) { f.Certificates = []tls.Certificate{c} })
	}
	chain := plain
	chain.Certificate = append([][]byte{plain.Certificate[0]}, made(t, ec, nil).Certificate...)
	hundred := plain
	for range 100 {
		hundred.Certificate = append(hundred.Certificate[:len(hundred.Certificate):len(hundred.Certificate)], plain.Certificate[0])
	}
	long := plain
	for range 1000 {
		long.Certificate = append(long.Certificate[:len(long.Certificate):len(long.Certificate)], plain.Certificate[0])
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	padding := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: make([]byte, 100<<10)}
	garbage := tls.Certificate{Certificate: [][]byte{[]byte("no certificate")}, PrivateKey: key}
	refused = map[string]*tls.Config{
		"TLS 1.2":                          with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }),
		"TLS 1.0":                          with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
		"no ALPN":                          with(func(c *tls.Config) { c.NextProtos = nil }),
		"wrong ALPN":                       with(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1", "porchlight/2"} }),
		"ALPN in capitals":                 with(func(c *tls.Config) { c.NextProtos = []string{"Porchlight/1"} }),
		"no certificate":                   with(func(c *tls.Config) { c.Certificates = nil }),
		"an ECDSA certificate":             cert(made(t, ec, nil)),
		"an RSA certificate":               cert(made(t, rs, nil)),
		"a chain of two":                   cert(chain),
		"a P-521 certificate":              cert(made(t, p521, nil)),
		"a chain of a hundred":             cert(hundred),
		"a chain of a thousand":            cert(long),
		"the same twice":                   cert(tls.Certificate{Certificate: [][]byte{plain.Certificate[0], plain.Certificate[0]}, PrivateKey: key}),
		"a large certificate":              cert(made(t, key, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{padding} })),
		"no certificate at all, but bytes": cert(garbage),
	}
	before, after := time.Unix(0, 0), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	accepted = map[string]*tls.Config{ // nothing but the key of a certificate means anything
		"expired":       cert(made(t, key, func(c *x509.Certificate) { c.NotAfter = before })),
		"not yet valid": cert(made(t, key, func(c *x509.Certificate) { c.NotBefore = after })),
		"another key usage": cert(made(t, key, func(c *x509.Certificate) {
			c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		})),
		"an authority":     cert(made(t, key, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })),
		"another name":     cert(made(t, key, func(c *x509.Certificate) { c.Subject.CommonName, c.DNSNames = "evil", []string{"*"} })),
		"its own identity": own.TLS(nil), // a copy of this device: its hello says that it is one, and people are told
		"many protocols":   with(func(c *tls.Config) { c.NextProtos = []string{"h2", identity.ALPN} }),
	}
	return refused, accepted
}

// helloOver says hello over a connection and reports whether it was answered.
func helloOver(c *tls.Conn) error {
	if _, err := io.WriteString(c, "POST /v1/hello HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return err
	}
	b := make([]byte, 12)
	_, err := io.ReadFull(c, b)
	if err == nil && !strings.HasPrefix(string(b), "HTTP/1.1 ") {
		err = errors.New("no HTTP")
	}
	return err
}

// TestStrangersWithoutIdentity: whoever shows no usable identity is refused in the handshake, at once, and leaves nothing behind.
func TestStrangersWithoutIdentity(t *testing.T) {
	n := newNode(t, "n")
	refused, accepted := shown(t, n.ident)
	try := func(name string, cfg *tls.Config) error {
		t.Helper()
		began := time.Now()
		c, err := net.Dial("tcp", n.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(began.Add(calm.Most(4 * time.Second))) //nolint:errcheck // the handshake tells
		s := tls.Client(c, cfg)
		if err = s.Handshake(); err == nil {
			err = helloOver(s)
		}
		if took := time.Since(began); took > calm.Most(2*time.Second) {
			t.Errorf("%s: %v", name, took)
		}
		return err
	}
	for name, cfg := range refused {
		if try(name, cfg) == nil {
			t.Errorf("%s: let in", name)
		}
	}
	for name, cfg := range accepted {
		if err := try(name, cfg); err != nil {
			t.Errorf("%s: refused with %v", name, err)
		}
	}
	for name, first := range map[string]string{"plain HTTP": "GET / HTTP/1.1\r\nHost: d\r\n\r\n", "SSL 2": "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "an alert": "\x15\x03\x01\x00\x02\x02\x28",
		"a large record": "\x16\x03\x01\xff\xff", "nothing but zeros": strings.Repeat("\x00", 1000), "data before a handshake": "\x17\x03\x03\x00\x05hello"} {
		c, err := net.Dial("tcp", n.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, first)                                  //nolint:errcheck // the end tells
		c.SetDeadline(time.Now().Add(calm.Most(2 * time.Second))) //nolint:errcheck // likewise
		if _, err := io.Copy(io.Discard, c); isTimeout(err) {
			t.Errorf("%s: the connection stays open", name)
		}
		c.Close()
	}
	emptied(t, n.in)
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// emptied waits until nobody is pending.
func emptied(t *testing.T, l *Listener) {
	t.Helper()
	for end := time.Now().Add(calm.Most(5 * time.Second)); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		pending, conns := len(l.pending), l.conns
		l.mu.Unlock()
		if pending == 0 && conns == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections pending and %d open after all are closed", pending, conns)
		}
	}
}

// TestServersWithoutIdentity: a dialler refuses the same of whoever answers, and whoever is not the device it wants.
func TestServersWithoutIdentity(t *testing.T) {
	n := newNode(t, "n")
	refused, accepted := shown(t, n.ident)
	try := func(cfg *tls.Config) error {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			theirs, err := tcp.Accept()
			if err != nil {
				return
			}
			defer theirs.Close()
			theirs.SetDeadline(time.Now().Add(calm.Most(3 * time.Second))) //nolint:errcheck // the handshake tells
			s := tls.Server(theirs, cfg)
			if s.Handshake() == nil {
				io.Copy(io.Discard, s) //nolint:errcheck // it never answers
			}
		}()
		c, err := n.dialer.connect(t.Context(), nil, tcp.Addr().(*net.TCPAddr).AddrPort())
		if err == nil {
			c.Close()
		}
		<-done
		return err
	}
	for name, cfg := range refused {
		if err := try(cfg); err == nil {
			t.Errorf("%s: taken", name)
		} else if !errors.Is(err, transfer.ErrAway) && !errors.Is(err, identity.ErrProtocol) && !errors.Is(err, identity.ErrCertificate) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, cfg := range accepted {
		if err := try(cfg); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	self := n.ident.ID()
	other := newNode(t, "other")
	if _, err := n.dialer.Dial(t.Context(), &self, other.addr); !errors.Is(err, identity.ErrOtherDevice) {
		t.Errorf("another device: %v", err)
	}
}

// TestNothingIsResumed: no ticket is given, and a second connection shakes hands in full.
func TestNothingIsResumed(t *testing.T) {
	n := newNode(t, "n")
	_, accepted := shown(t, n.ident)
	cfg := accepted["many protocols"]
	cache := &tickets{tls.NewLRUClientSessionCache(8), 0}
	cfg.ClientSessionCache, cfg.ServerName = cache, "porchlight"
	for range 3 {
		c, err := tls.Dial("tcp", n.addr.String(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := helloOver(c); err != nil {
			t.Error(err)
		}
		if c.ConnectionState().DidResume {
			t.Error("resumed")
		}
		c.Close()
	}
	if cache.put > 0 {
		t.Errorf("%d tickets", cache.put)
	}
	if c := n.ident.TLS(nil); !c.SessionTicketsDisabled || c.ClientSessionCache != nil || c.KeyLogWriter != nil || c.Renegotiation != tls.RenegotiateNever {
		t.Error("the configuration of TLS allows resumption, renegotiation or a key log")
	}
	emptied(t, n.in)
}

// tickets counts what it is given.
type tickets struct {
	tls.ClientSessionCache
	put int
}

func (c *tickets) Put(key string, s *tls.ClientSessionState) {
	if s != nil {
		c.put++
	}
	c.ClientSessionCache.Put(key, s)
}

// TestStrangerBytes: before its hello nobody may send more than wire.MaxStrangerBytes, in whatever form.
func TestStrangerBytes(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	k := &cork{Conn: ours}
	go func() {
		for buf := make([]byte, 1000); ; {
			if _, err := theirs.Write(buf); err != nil {
				return
			}
		}
	}()
	read := func(most int64) int64 {
		n, err := io.Copy(io.Discard, io.LimitReader(k, most))
		if err != nil && !errors.Is(err, errStranger) {
			t.Fatal(err)
		}
		return n
	}
	k.stranger()
	if n := read(1 << 20); n != wire.MaxStrangerBytes {
		t.Errorf("a stranger sent %d bytes", n)
	}
	k.friend()
	if n := read(1 << 20); n != 1<<20 {
		t.Errorf("a neighbour sent %d bytes", n)
	}
	if !isBreach(errStranger) {
		t.Error("too many bytes are no breach")
	}
}
