package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/calm"
	"porchlight/discovery/powercut"
	"porchlight/discovery/whole"
)

func seed(from byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func device(t *testing.T, from byte) *Identity {
	t.Helper()
	i, err := FromSeed(seed(from))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// shake runs one handshake and returns both results.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(calm.Most(5 * time.Second)))
		s := tls.Server(c, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		done <- err
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(calm.Most(5 * time.Second)))
	tc := tls.Client(c, client)
	clientErr = tc.Handshake()
	if clientErr == nil { // in TLS 1.3 the server's refusal arrives with the first read
		_, clientErr = tc.Read(make([]byte, 1))
	}
	if clientErr != nil {
		c.Close()
	}
	return tc.ConnectionState(), <-done, clientErr
}

func TestHandshake(t *testing.T) {
	a, b := device(t, 0), device(t, 0x20)
	want := a.ID()
	cs, se, ce := shake(t, a.TLS(nil), b.TLS(&want))
	if se != nil || ce != nil {
		t.Fatal(se, ce)
	}
	id, err := PeerID(cs)
	if err != nil || id != a.ID() {
		t.Error(id, err)
	}
	if cs.CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange %v, want the post-quantum hybrid", cs.CurveID)
	}
	if _, err := Exporter(cs); err != nil {
		t.Error(err)
	}
}

// TestRefusals holds the seven peers a device must refuse.
func TestRefusals(t *testing.T) {
	a, b, c := device(t, 0), device(t, 0x20), device(t, 0x40)
	wantC := c.ID()
	change := func(f func(*tls.Config)) *tls.Config {
		cfg := b.TLS(nil)
		f(cfg)
		return cfg
	}
	for _, tt := range []struct {
		name   string
		client *tls.Config
	}{
		{"wrong device", b.TLS(&wantC)},
		{"no client certificate", change(func(c *tls.Config) { c.Certificates = nil })},
		{"no ALPN", change(func(c *tls.Config) { c.NextProtos = nil; c.VerifyConnection = nil })},
		{"other ALPN", change(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"}; c.VerifyConnection = nil })},
		{"TLS 1.2", change(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 })},
		{"ECDSA certificate", change(func(c *tls.Config) { c.Certificates = []tls.Certificate{ecdsaCert(t)} })},
		{"two certificates", change(func(c *tls.Config) {
			two := c.Certificates[0]
			two.Certificate = [][]byte{two.Certificate[0], two.Certificate[0]}
			c.Certificates = []tls.Certificate{two}
		})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, se, ce := shake(t, a.TLS(nil), tt.client)
			if tt.name == "wrong device" {
				if !errors.Is(ce, ErrOtherDevice) {
					t.Errorf("client says %v", ce)
				}
				return
			}
			if se == nil {
				t.Error("the server let it in")
			}
		})
	}
}

func ecdsaCert(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir, false); !errors.Is(err, ErrMissing) {
		t.Errorf("a home with data and no key: %v", err)
	}
	first, err := Load(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir, false)
	if err != nil || again.ID() != first.ID() {
		t.Errorf("loaded again: %v", err)
	}
	file := filepath.Join(dir, keyFile)
	if st, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	for _, bad := range []string{"nonsense", "", "-----BEGIN PORCHLIGHT DEVICE KEY-----\nAAAA\n-----END PORCHLIGHT DEVICE KEY-----\n"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(dir, true); err != nil || got.ID() != first.ID() || !got.Restored() {
			t.Errorf("%q instead of the key, with its copy there: %v", bad, err)
		}
		if got, err := Load(dir, false); err != nil || got.Restored() {
			t.Errorf("the key was not put back: %v", err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir, true); err != nil || got.ID() != first.ID() || !got.Restored() {
		t.Errorf("the key is gone, and its copy there: %v", err)
	}
	for _, name := range []string{keyFile, copyFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, gone := range []string{"", keyFile} {
		if gone != "" {
			if err := os.Remove(filepath.Join(dir, gone)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Load(dir, true); !errors.Is(err, ErrDamaged) {
			t.Errorf("damaged keys were not told: %v", err)
		}
	}
}

// TestAPowerCutLeavesAKey: whenever the power goes, a home whose key was there has one, and a new home none or a whole one.
func TestAPowerCutLeavesAKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		old  bool
		do   func(whole.Disk, string) (*Identity, error)
	}{
		{"a new home", false, func(d whole.Disk, dir string) (*Identity, error) { return load(d, dir, true) }},
		{"another identity", true, renew},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var before discovery.DeviceID
			if tt.old {
				old, err := Load(dir, true)
				if err != nil {
					t.Fatal(err)
				}
				before = old.ID()
			}
			disk, err := powercut.New(dir)
			if err != nil {
				t.Fatal(err)
			}
			made, err := tt.do(disk, dir)
			if err != nil || made.ID() == before {
				t.Fatal(err)
			}
			var was, is, none int
			n, err := disk.Outcomes(t.TempDir(), func(left, what string) {
				got, err := Load(left, false)
				switch {
				case !tt.old && errors.Is(err, ErrMissing):
					none++
				case err != nil:
					t.Errorf("%s: %v", what, err)
				case got.ID() == made.ID():
					is++
				case got.ID() == before:
					was++
				default:
					t.Errorf("%s: somebody else", what)
				}
			})
			if err != nil || is == 0 || was+none == 0 {
				t.Errorf("%v", err)
			}
			t.Logf("%d steps, %d outcomes: %d the identity before, %d the new one, %d none yet", disk.Steps(), n, was, is, none)
			if got, err := Load(dir, false); err != nil || got.ID() != made.ID() || got.Restored() {
				t.Errorf("without a power cut: %v", err)
			}
		})
	}
}

func TestACopyBecomesSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	if _, err := Renew(dir); err != nil {
		t.Errorf("a home without a key: %v", err)
	}
	for _, name := range []string{keyFile, copyFile} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Renew(dir); err != nil {
		t.Errorf("a home with damaged keys: %v", err)
	}
	old, err := Load(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	made, err := Renew(dir)
	if err != nil || made.ID() == old.ID() {
		t.Fatal(err)
	}
	for _, gone := range []string{"", keyFile} { // its copy is of the new one
		if gone != "" {
			if err := os.Remove(filepath.Join(dir, gone)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := Load(dir, false); err != nil || got.ID() != made.ID() {
			t.Errorf("loaded: %v", err)
		}
	}
	if err := os.Rename(filepath.Join(dir, keyFile+oldSuffix), filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir, false); err != nil || got.ID() != old.ID() {
		t.Errorf("the old key was not kept: %v", err)
	}
}
