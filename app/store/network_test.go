package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"porchlight/share"
	"porchlight/transfer"
)

func journalMode(t *testing.T, d *DB) (mode string) {
	t.Helper()
	no(t, d.state.QueryRow("PRAGMA journal_mode").Scan(&mode))
	return mode
}

// TestNoSharedMemoryOnANetwork: a home on a network file system has a rollback journal, also one that was moved there or back.
func TestNoSharedMemoryOnANetwork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	for _, tt := range []struct {
		name    string
		network bool
		mode    string
	}{{"new there", true, "delete"}, {"moved to this computer", false, "wal"}, {"moved there", true, "delete"}, {"still there", true, "delete"}} {
		var asked string
		d := openTest(t, path, Config{network: func(dir string) bool { asked = dir; return tt.network }})
		if got := journalMode(t, d); got != tt.mode || asked != filepath.Dir(path) {
			t.Errorf("%s: journal mode %q, want %q; asked of %q", tt.name, got, tt.mode, asked)
		}
		no(t, d.Shares().PutShare(music), d.Peers().PutPeer(peerOf(1)))
		_, err := os.Stat(path + "-shm")
		if (err == nil) == tt.network {
			t.Errorf("%s: shared memory: %v", tt.name, err)
		}
		if got := must(d.Shares().Shares())(t); !cmp.Equal(got, []share.Share{music}) || d.Damage() != nil {
			t.Errorf("%s: %v %v", tt.name, got, d.Damage())
		}
		closeTest(t, d)
	}
}

// TestAHomeMovedToANetworkInUse: the computer that had it died with a log that is not in the file yet.
func TestAHomeMovedToANetworkInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, Config{})
	no(t, d.Shares().PutShare(music))
	files := pick(t, path)
	delete(files, "p.db-shm")
	if len(files["p.db-wal"]) == 0 {
		t.Fatal("there is no log")
	}
	moved := plant(t, files)
	n := openTest(t, moved, Config{network: func(string) bool { return true }})
	if got := must(n.Shares().Shares())(t); !cmp.Equal(got, []share.Share{music}) || n.Damage() != nil || journalMode(t, n) != "delete" {
		t.Error(got, n.Damage(), journalMode(t, n))
	}
}

// TestAPowerCutWithARollbackJournal: a transaction is in the file, and the journal, which is still there, takes it back.
func TestAPowerCutWithARollbackJournal(t *testing.T) {
	network := Config{network: func(string) bool { return true }}
	path := filepath.Join(t.TempDir(), "p.db")
	d := openTest(t, path, network)
	no(t, d.Shares().PutShare(music))
	body := must(json.Marshal(transfer.Job{Title: strings.Repeat("t", 3000)}))(t)
	no(t, d.tx("fill", func(tx *sql.Tx) error {
		for i := range 200 {
			if _, err := tx.Exec("INSERT INTO jobs (id, request, into_, body, result) VALUES (?,'{}',x'',?,x'')", i+1, string(body)); err != nil {
				return err
			}
		}
		return nil
	}))
	whole := pick(t, path)["p.db"]
	if _, err := d.state.Exec("PRAGMA synchronous=OFF"); err != nil { // the journal then counts from its first byte on
		t.Fatal(err)
	}
	tx, err := d.state.Begin()
	no(t, err)
	_, err = tx.Exec("UPDATE jobs SET body=replace(body, 'ttt', 'x'), id=id+1000")
	no(t, err)
	journal := pick(t, path)["p.db-journal"]
	no(t, tx.Commit())
	files := pick(t, path)
	files["p.db-journal"] = journal // its removal is what makes a commit
	if len(journal) == 0 || bytes.Equal(files["p.db"], whole) {
		t.Fatalf("a journal of %d bytes, or the transaction is not in the file", len(journal))
	}
	got := openTest(t, plant(t, files), network)
	if jobs := must(got.Jobs().Jobs())(t); len(jobs) != 200 || jobs[0].ID != 1 || !strings.HasPrefix(jobs[199].Title, "ttt") || got.Damage() != nil {
		t.Errorf("%d jobs of 200, %v", len(jobs), got.Damage())
	}
}
