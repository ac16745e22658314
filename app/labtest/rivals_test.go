//go:build linux && lab

package labtest

import (
	"bufio"
	"bytes"
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
	"strconv"
	"time"
)

// Ports of those that serve from the start on; each stream takes one more from streamPort on.
const (
	rsyncPort  = 8730
	nginxPort  = 9011
	streamPort = 9400
)

// serveOthers starts what is installed of the rivals on the giving side.
func (c *contest) serveOthers() {
	c.t.Helper()
	c.port = streamPort
	dir, addr := c.from.Path("others"), c.from.Addr().String()
	if err := os.MkdirAll(filepath.Join(dir, "smb"), 0o700); err != nil {
		c.t.Fatal(err)
	}
	data := c.from.Path("data")
	for name, text := range map[string]string{
		"rsyncd.conf": fmt.Sprintf("use chroot = no\nuid = root\ngid = root\nlog file = %s/rsync.log\n[p]\npath = %s\n", dir, data),
		"smb.conf": fmt.Sprintf(`[global]
interfaces = %[1]s/24
bind interfaces only = yes
map to guest = bad user
private dir = %[2]s/smb
lock directory = %[2]s/smb
state directory = %[2]s/smb
cache directory = %[2]s/smb
pid directory = %[2]s/smb
ncalrpc dir = %[2]s/smb/n
log file = %[2]s/smb/log
server min protocol = SMB3
disable netbios = yes
smb ports = 445
[p]
path = %[3]s
guest ok = yes
force user = root
`, addr, dir, data),
		"nginx.conf": fmt.Sprintf(`user root; worker_processes 1; daemon off; pid %[2]s/nginx.pid; error_log %[2]s/nginx.log;
events {}
http { access_log off; sendfile on; tcp_nopush on;
server { listen %[1]s:%[4]d ssl; ssl_protocols TLSv1.3; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem; root %[3]s; } }
`, addr, dir, data, nginxPort),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	c.serve("rsync", "--daemon", "--no-detach", "--config="+dir+"/rsyncd.conf", "--port="+strconv.Itoa(rsyncPort))
	c.serve("smbd", "-F", "--no-process-group", "-s", dir+"/smb.conf")
	if _, err := exec.LookPath("openssl"); err == nil {
		must(c.t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-days", "9",
			"-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
		c.serve("nginx", "-c", dir+"/nginx.conf")
	}
}

// serve runs a server on the giving side until the test ends, if it is installed.
func (c *contest) serve(name string, args ...string) {
	if _, err := exec.LookPath(name); err != nil {
		return
	}
	cmd := c.from.Command(name, args...)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // its children end with it, and with their network
		_ = cmd.Wait()
	})
}

// timed runs a command on the receiving side.
func (c *contest) timed(dir, name string, args ...string) (run, error) {
	cmd := c.to.Command(name, args...)
	cmd.Dir = dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return run{}, fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return run{took: time.Since(start)}, nil
}

func (c *contest) rsync() rival {
	return rival{"rsync daemon, not encrypted", []string{"rsync"}, func(dir, into string) (run, error) {
		return c.timed(into, "rsync", "-aW", fmt.Sprintf("rsync://%s:%d/p/%s", c.from.Addr(), rsyncPort, dir), into+"/")
	}}
}

func (c *contest) samba() rival {
	return rival{"smbclient, not encrypted", []string{"smbd", "smbclient"}, func(dir, into string) (run, error) {
		return c.timed(into, "smbclient", "-N", fmt.Sprintf("//%s/p", c.from.Addr()), "-c", "recurse ON; prompt OFF; mget "+dir)
	}}
}

func (c *contest) nginx() rival {
	return rival{"nginx to curl, TLS", []string{"nginx", "curl", "openssl"}, func(dir, into string) (run, error) {
		return c.timed(into, "curl", "-skf", "--create-dirs", "-o", filepath.Join(dir, "big.bin"), fmt.Sprintf("https://%s:%d/%s/big.bin", c.from.Addr(), nginxPort, dir))
	}}
}

// What the test binary does when it runs as one end of a stream.
const (
	endVar   = "PORCHLIGHT_LAB_END" // one of the ends below
	giveTLS  = "give-tls"
	takeTLS  = "take-tls"
	giveTar  = "give-tar"
	takeTar  = "take-tar"
	endAddr  = "PORCHLIGHT_LAB_ADDR"
	endPlace = "PORCHLIGHT_LAB_PLACE"
)

// stream is one file through one TLS connection, with nothing around it: what encryption alone allows.
func (c *contest) stream() rival {
	return rival{name: "raw TLS stream", fetch: func(dir, into string) (run, error) {
		if err := os.Mkdir(filepath.Join(into, dir), 0o755); err != nil {
			return run{}, err
		}
		return c.ends(giveTLS, c.from.Path("data", dir, "big.bin"), takeTLS, filepath.Join(into, dir, "big.bin"))
	}}
}

// tar is tar at both ends of one TCP connection: what the file system alone allows.
func (c *contest) tar() rival {
	return rival{"tar through a pipe, not encrypted", []string{"tar"}, func(dir, into string) (run, error) {
		return c.ends(giveTar, c.from.Path("data", dir), takeTar, into)
	}}
}

// ends runs the two ends of a stream, and takes the time of the second.
func (c *contest) ends(give, source, take, target string) (run, error) {
	c.port++
	addr := net.JoinHostPort(c.from.Addr().String(), strconv.Itoa(c.port))
	end := func(d *Device, what, place string) *exec.Cmd {
		cmd := d.Command("/proc/self/exe")
		if exe, err := os.Executable(); err == nil {
			cmd = d.Command(exe)
		}
		cmd.Env = append(os.Environ(), endVar+"="+what, endAddr+"="+addr, endPlace+"="+place)
		cmd.Stderr = os.Stderr
		return cmd
	}
	giver, taker := end(c.from, give, source), end(c.to, take, target)
	out, err := giver.StdoutPipe()
	if err != nil {
		return run{}, err
	}
	if err := giver.Start(); err != nil {
		return run{}, err
	}
	_, err = bufio.NewReader(out).ReadString('\n') // it listens
	start := time.Now()
	if err == nil {
		err = taker.Run()
	}
	took := time.Since(start)
	if err != nil {
		_ = giver.Process.Kill()
	}
	if err = errors.Join(err, giver.Wait()); err != nil {
		return run{}, err
	}
	a, b := giver.ProcessState, taker.ProcessState
	return run{took, a.UserTime() + a.SystemTime() + b.UserTime() + b.SystemTime()}, nil
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
	case giveTar:
		err = give(addr, func(c *net.TCPConn) error {
			return pipeTar(c, func(cmd *exec.Cmd, f *os.File) { cmd.Stdout = f }, "-C", filepath.Dir(place), "-cf", "-", filepath.Base(place))
		})
	case takeTLS, takeTar:
		err = takeFrom(addr, what, place)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, what, err)
		return 1, true
	}
	return 0, true
}

// give serves one connection.
func give(addr string, send func(*net.TCPConn) error) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println("listening")
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
	if what == takeTar {
		return pipeTar(c.(*net.TCPConn), func(cmd *exec.Cmd, f *os.File) { cmd.Stdin = f }, "-C", place, "-xf", "-")
	}
	f, err := os.Create(place)
	if err != nil {
		return err
	}
	t := tls.Client(c, &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	return errors.Join(copyBlocks(f, t), f.Close())
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

// copyBlocks copies in blocks that no reader or writer has to be asked for too often.
func copyBlocks(w io.Writer, r io.Reader) error {
	buf := make([]byte, 256*kib)
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
