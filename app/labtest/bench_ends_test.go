//go:build linux && lab

package labtest

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What the test binary does when it runs as one end of a stream.
const (
	endVar      = "PORCHLIGHT_LAB_END" // one of the ends below
	giveTLS     = "give-tls"
	takeTLS     = "take-tls"
	takeTLSSync = "take-tls-sync" // until the disk has it
	giveTCP     = "give-tcp"      // 1 GiB out of memory
	takeTCP     = "take-tcp"
	giveTar     = "give-tar"
	takeTar     = "take-tar"
	endAddr     = "PORCHLIGHT_LAB_ADDR"
	endPlace    = "PORCHLIGHT_LAB_PLACE"
)

// block is what ends read and write at once: large enough that nobody has to be asked too often.
const block = 256 * kib

// ends runs the two ends of a stream, and takes the time of the second.
func ends(from, to *Host, give, source, take, target string) (run, error) {
	exe, err := os.Executable()
	if err != nil {
		return run{}, err
	}
	end := func(h *Host, what, addr, place string) *exec.Cmd {
		cmd := h.Command(exe)
		cmd.Env = append(os.Environ(), endVar+"="+what, endAddr+"="+addr, endPlace+"="+place)
		cmd.Stderr, cmd.WaitDelay = os.Stderr, 5*time.Second
		return cmd
	}
	giver := end(from, give, net.JoinHostPort(from.Addr().String(), "0"), source)
	out, err := giver.StdoutPipe()
	if err != nil {
		return run{}, err
	}
	if err := giver.Start(); err != nil {
		return run{}, err
	}
	timer := time.AfterFunc(runLimit, func() { _ = giver.Process.Kill() }) // it may have ended just now
	defer timer.Stop()
	addr, err := bufio.NewReader(out).ReadString('\n') // it listens there
	var r run
	if err == nil {
		r, err = finish(runLimit, end(to, take, strings.TrimSpace(addr), target))
	}
	if err != nil {
		_ = giver.Process.Kill()
	}
	if err = errors.Join(err, giver.Wait()); err != nil {
		return run{}, err
	}
	r.cpu += cpuOf(giver)
	return r, nil
}

// runEnd is what the test binary does as one end of a stream; false if it is none.
func runEnd() (code int, ok bool) {
	what, place, addr := os.Getenv(endVar), os.Getenv(endPlace), os.Getenv(endAddr)
	var err error
	switch what {
	case "":
		return 0, false
	case giveTLS:
		err = give(addr, func(c *net.TCPConn) error { return sendFile(c, place) })
	case giveTCP:
		err = give(addr, func(c *net.TCPConn) error { return copyBlocks(c, io.LimitReader(zeros{}, gib)) })
	case giveTar:
		err = give(addr, func(c *net.TCPConn) error {
			return pipeTar(c, func(cmd *exec.Cmd, f *os.File) { cmd.Stdout = f }, "-C", filepath.Dir(place), "-cf", "-", filepath.Base(place))
		})
	case sendFlood:
		err = flood(addr, place)
	default:
		err = takeFrom(addr, what, place)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, what, err)
		return 1, true
	}
	return 0, true
}

// give serves one connection, and prints where before.
func give(addr string, send func(*net.TCPConn) error) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	return send(c.(*net.TCPConn))
}

func takeFrom(addr, what, place string) error {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	switch what {
	case takeTar:
		return pipeTar(c.(*net.TCPConn), func(cmd *exec.Cmd, f *os.File) { cmd.Stdin = f }, "-C", place, "-xf", "-")
	case takeTCP:
		var n tally
		err := copyBlocks(&n, c)
		if n != gib {
			err = errors.Join(err, fmt.Errorf("%d bytes of %d", n, gib))
		}
		return err
	case takeTLS, takeTLSSync:
	default:
		return errors.New("there is no such end")
	}
	f, err := os.Create(place)
	if err != nil {
		return err
	}
	t := tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	err = copyBlocks(f, t)
	if what == takeTLSSync {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func pipeTar(c *net.TCPConn, attach func(*exec.Cmd, *os.File), args ...string) error {
	f, err := c.File()
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.Command("tar", args...)
	cmd.Stderr = os.Stderr
	attach(cmd, f)
	return cmd.Run()
}

func sendFile(c net.Conn, place string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	sheet := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, sheet, sheet, public, private)
	if err != nil {
		return err
	}
	f, err := os.Open(place)
	if err != nil {
		return err
	}
	defer f.Close()
	t := tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}})
	return errors.Join(copyBlocks(t, f), t.Close())
}

// copyBlocks copies in large blocks.
func copyBlocks(w io.Writer, r io.Reader) error {
	buf := make([]byte, block)
	for {
		n, err := io.ReadFull(r, buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// zeros is memory without end; it is left as it is, so that a reader pays for nothing but the call.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// tally counts what is written to it.
type tally int64

func (t *tally) Write(p []byte) (int, error) {
	*t += tally(len(p))
	return len(p), nil
}
