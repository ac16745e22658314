package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

const killedVar = "PORCHLIGHT_STORE_KILLED"

// TestAKillLosesNothing: a process that writes without end is killed. Whatever it had been told is kept is there.
func TestAKillLosesNothing(t *testing.T) {
	if path := os.Getenv(killedVar); path != "" {
		writeUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "p.db")
	kept := 0
	for round := range 6 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAKillLosesNothing$")
		cmd.Env = append(os.Environ(), killedVar+"="+path)
		out, err := cmd.StdoutPipe()
		no(t, err, cmd.Start())
		lines, said := bufio.NewScanner(out), 0
		for said < 3*round && lines.Scan() { // the first is killed while it makes the file
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				kept, said = n, said+1
			}
		}
		no(t, cmd.Process.Kill())
		for lines.Scan() {
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				kept = n
			}
		}
		_ = cmd.Wait() // killed, as it was meant to be
		d, err := Open(t.Context(), path, Config{Log: logTo(t)})
		no(t, err)
		shares, peers, jobs := must(d.Shares().Shares())(t), must(d.Peers().Peers())(t), must(d.Jobs().Jobs())(t)
		if d.Damage() != nil || len(shares) < min(kept, 1) || len(peers) < kept || len(jobs) < kept || len(peers) > kept+1 {
			t.Errorf("round %d: %d kept, and there are %d shares, %d peers, %d jobs; %v", round, kept, len(shares), len(peers), len(jobs), d.Damage())
		}
		closeTest(t, d)
	}
	t.Logf("6 kills, %d rounds of writes kept", kept)
	if kept == 0 {
		t.Error("nothing was ever kept")
	}
}

func writeUntilKilled(t *testing.T, path string) {
	d, err := Open(t.Context(), path, Config{})
	no(t, err)
	for {
		id := must(d.Jobs().NextJob())(t)
		n := len(must(d.Peers().Peers())(t)) + 1
		no(t, d.Shares().PutShare(share.Share{ID: share.ID{1}, Name: fmt.Sprint(n), Added: day}),
			d.Jobs().PutJob(transfer.Job{ID: id}),
			d.Peers().PutPeer(discovery.Peer{ID: discovery.DeviceID{byte(n), byte(n >> 8), 1}, Name: fmt.Sprint(n)}))
		fmt.Println(n)
	}
}
