//go:build linux && lab

package labtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// torrentScript is one peer of a swarm of BitTorrent with libtorrent. It prints "ready", begins when a line comes in, prints "done" when it has
// everything, and goes on serving until its input ends. Encryption and the ways to find peers are off: the addresses of all are given.
const torrentScript = `
import sys, time, threading
import libtorrent as lt
what, torrent, folder, me = sys.argv[1:5]
if what == "make":
    fs = lt.file_storage()
    lt.add_files(fs, folder)
    t = lt.create_torrent(fs, 1 << 20)
    lt.set_piece_hashes(t, me)
    open(torrent, "wb").write(lt.bencode(t.generate()))
    sys.exit()
s = lt.session({"listen_interfaces": me + ":6881", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_utp": False, "enable_incoming_utp": False, "connection_speed": 100, "out_enc_policy": 2, "in_enc_policy": 2,
    "unchoke_slots_limit": -1, "mixed_mode_algorithm": 0})
p = {"ti": lt.torrent_info(torrent), "save_path": folder}
if what == "seed":
    p["flags"] = lt.torrent_flags.seed_mode
print("ready", flush=True)
sys.stdin.readline()
h = s.add_torrent(p)
h.resume()
for address in sys.argv[5:]:
    if address != me:
        h.connect_peer((address, 6881))
if what == "seed":
    print("done", flush=True)
else:
    while not h.status().is_seeding:
        time.sleep(0.01)
    print("done", flush=True)
sys.stdin.read()
`

// torrent is libtorrent doing the work of a crowd.
type torrent struct {
	*crowd
	python, file string
	absent       string // why it cannot take part
}

// newTorrent finds a Python that knows libtorrent, and describes the file.
func newTorrent(c *crowd) *torrent {
	lt := &torrent{crowd: c, file: c.from.Path("big.torrent"), absent: "libtorrent for Python is not installed (python3-libtorrent)"}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import libtorrent").Run() != nil {
			continue
		}
		lt.python, lt.absent = python, ""
		must(c.t, python, "-c", torrentScript, "make", lt.file, filepath.Join(c.data("big"), bigFile), c.data("big"))
		break
	}
	return lt
}

// peer is one process of the swarm.
type peer struct {
	cmd   *exec.Cmd
	in    io.Closer
	begin func() error
	lines *bufio.Reader
}

func (lt *torrent) start(d *Device, what, folder string) (*peer, error) {
	args := append([]string{"-c", torrentScript, what, lt.file, folder, d.Addr().String()}, lt.addresses()...)
	cmd := d.Command(lt.python, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{cmd, in, func() error { _, err := io.WriteString(in, "\n"); return err }, bufio.NewReader(out)}
	if err := p.says("ready"); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *peer) says(want string) error {
	timer := time.AfterFunc(swarmLimit, func() { _ = p.cmd.Process.Kill() }) // it may have ended just now
	defer timer.Stop()
	line, err := p.lines.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		return fmt.Errorf("%q instead of %q: %w", line, want, err)
	}
	return nil
}

func (p *peer) end() error {
	timer := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() }) // it may have ended just now
	defer timer.Stop()
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// all is one round of libtorrent: from the word to begin, given to all at once, until the last one has the file.
func (lt *torrent) all() (r run, err error) {
	var peers []*peer
	defer func() {
		for _, p := range peers {
			err = errors.Join(err, p.end())
			r.cpu += cpuOf(p.cmd)
		}
		err = errors.Join(err, lt.check("theirs", func(d *Device) error {
			return sameBytes(filepath.Join(lt.data("big"), bigFile), d.Path("theirs", bigFile))
		}))
	}()
	seed, err := lt.start(lt.from, "seed", lt.data("big"))
	if err != nil {
		return run{}, err
	}
	peers = append(peers, seed)
	if err := errors.Join(seed.begin(), seed.says("done")); err != nil {
		return run{}, err
	}
	for _, d := range lt.takers {
		p, err := lt.start(d, "leech", d.Path("theirs"))
		if err != nil {
			return run{}, err
		}
		peers = append(peers, p)
	}
	start := time.Now()
	for _, p := range peers[1:] {
		if err := p.begin(); err != nil {
			return run{}, err
		}
	}
	for _, p := range peers[1:] {
		if err := p.says("done"); err != nil {
			return run{}, err
		}
	}
	r.took = time.Since(start)
	if bound := swarmBound(); r.took < bound {
		return run{}, fmt.Errorf("refused: %v is less than the wire needs, %v", ms(r.took), ms(bound))
	}
	return r, nil
}
