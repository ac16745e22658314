//go:build linux && lab

package labtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Ports of those that serve from the start on.
const (
	rsyncPort = 8730
	plainPort = 9010
	tlsPort   = 9011
	iperfPort = 5201
)

// rival is another way to bring a folder over.
type rival struct {
	name    string
	needs   []string // programs that have to be installed
	absent  string   // why it cannot take part, beside what it needs
	server  string   // which of the servers works for it
	stream  bool     // it is the raw TLS stream, which runs around each round anyway
	noFiles bool     // it brings bytes only, and counts them itself
	fetch   func(w work, into string) (run, error)
}

// missing says why a rival cannot take part; "" if it can.
func (r rival) missing() string {
	for _, name := range r.needs {
		if _, err := exec.LookPath(name); err != nil {
			return name + " is not installed"
		}
	}
	return r.absent
}

// serveOthers starts what is installed of the rivals on the giving side.
func (c *contest) serveOthers() {
	c.t.Helper()
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
server { listen %[1]s:%[4]d; root %[3]s; }
server { listen %[1]s:%[5]d ssl; ssl_protocols TLSv1.3; ssl_certificate %[2]s/cert.pem; ssl_certificate_key %[2]s/key.pem; root %[3]s; } }
`, addr, dir, data, plainPort, tlsPort),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	c.serve(rsyncPort, "rsync", "--daemon", "--no-detach", "--config="+dir+"/rsyncd.conf", "--port="+strconv.Itoa(rsyncPort))
	c.serve(445, "smbd", "-F", "--no-process-group", "-s", dir+"/smb.conf")
	if _, err := exec.LookPath("openssl"); err == nil {
		must(c.t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-days", "9",
			"-keyout", dir+"/key.pem", "-out", dir+"/cert.pem")
		c.serve(tlsPort, "nginx", "-c", dir+"/nginx.conf")
	}
	c.serve(iperfPort, "iperf3", "-s", "-B", addr, "-p", strconv.Itoa(iperfPort))
}

// serve runs a server on the giving side until the test ends, if it is installed, and waits until it answers.
func (c *contest) serve(port int, name string, args ...string) {
	if _, err := exec.LookPath(name); err != nil {
		return
	}
	cmd := c.from.Command(name, args...)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.servers[name] = cmd
	c.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // its children end with it, and with their network
		_ = cmd.Wait()
	})
	eventually(c.t, 20*time.Second, name+" listens", func() bool {
		out, err := exec.Command("ip", "netns", "exec", c.from.ns, "sh", "-c", "cat /proc/net/tcp").Output()
		return err == nil && strings.Contains(string(out), fmt.Sprintf(":%04X 00000000:0000 0A", port))
	})
}

// timed runs a command on the receiving side, in a folder.
func (c *contest) timed(dir, name string, args ...string) (run, error) {
	cmd := c.to.Command(name, args...)
	cmd.Dir = dir
	return finish(runLimit, cmd)
}

func (c *contest) rsync(options ...string) rival {
	return rival{name: "rsync daemon, not encrypted", needs: []string{"rsync"}, server: "rsync", fetch: func(w work, into string) (run, error) {
		source := fmt.Sprintf("rsync://%s:%d/p/%s", c.from.Addr(), rsyncPort, w.dir)
		return c.timed(into, "rsync", append(append([]string{"-aW"}, options...), source, into+"/")...)
	}}
}

func (c *contest) samba() rival {
	return rival{name: "smbclient, not encrypted", needs: []string{"smbd", "smbclient"}, server: "smbd", fetch: func(w work, into string) (run, error) {
		return c.timed(into, "smbclient", "-N", fmt.Sprintf("//%s/p", c.from.Addr()), "-c", "recurse ON; prompt OFF; mget "+w.dir)
	}}
}

// nginx brings the one file of the work.
func (c *contest) nginx(name, scheme string, port int) rival {
	return rival{name: name, needs: []string{"nginx", "curl", "openssl"}, server: "nginx", fetch: func(w work, into string) (run, error) {
		target := filepath.Join(w.dir, bigFile)
		return c.timed(into, "curl", "-skf", "--create-dirs", "-o", target, fmt.Sprintf("%s://%s:%d/%s", scheme, c.from.Addr(), port, target))
	}}
}

// iperf is a TCP stream from memory to memory: what the wire alone allows.
func (c *contest) iperf() rival {
	return rival{name: "iperf3", needs: []string{"iperf3"}, server: "iperf3", noFiles: true, fetch: func(w work, _ string) (run, error) {
		cmd := c.to.Command("iperf3", "-c", c.from.Addr().String(), "-p", strconv.Itoa(iperfPort), "-R", "-J", "-n", strconv.FormatInt(w.bytes, 10))
		var out bytes.Buffer
		cmd.Stdout = &out
		r, err := finish(runLimit, cmd)
		if err != nil {
			return run{}, fmt.Errorf("%w: %.300s", err, out.Bytes())
		}
		var said struct {
			End struct {
				Received struct{ Bytes, Seconds float64 } `json:"sum_received"`
			}
			Error string
		}
		if err := json.Unmarshal(out.Bytes(), &said); err != nil {
			return run{}, fmt.Errorf("iperf3 prints %.100q: %w", out.Bytes(), err)
		}
		got := said.End.Received
		if said.Error != "" || got.Bytes < float64(w.bytes)*0.99 || got.Seconds <= 0 {
			return run{}, fmt.Errorf("iperf3: %.0f bytes in %.2f s: %s", got.Bytes, got.Seconds, said.Error)
		}
		r.took = time.Duration(got.Seconds / got.Bytes * float64(w.bytes) * float64(time.Second)) // without its own beginning and end
		return r, nil
	}}
}

// rawTLS is what runs before and after each round.
func (c *contest) rawTLS() rival { return rival{name: "raw TLS stream", stream: true} }

// rawTLSOnDisk is the same from disk to disk, until the disk has it.
func (c *contest) rawTLSOnDisk() rival {
	return rival{name: "raw TLS stream, from disk to disk", fetch: func(w work, into string) (run, error) {
		if err := os.Mkdir(filepath.Join(into, w.dir), 0o755); err != nil {
			return run{}, err
		}
		file := filepath.Join(w.dir, bigFile)
		return ends(c.from.Host, c.to.Host, giveTLS, c.data(file), takeTLSSync, filepath.Join(into, file))
	}}
}

// tar is tar at both ends of one TCP connection: what the file system alone allows.
func (c *contest) tar() rival {
	return rival{name: "tar through a pipe, not encrypted", needs: []string{"tar"}, fetch: func(w work, into string) (run, error) {
		return ends(c.from.Host, c.to.Host, giveTar, c.data(w.dir), takeTar, into)
	}}
}
