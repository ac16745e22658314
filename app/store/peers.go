package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"

	"porchlight/discovery"
)

// Peers is who was met: the store of presence.
type Peers struct{ db *DB }

// Peers returns the part of the database that keeps peers.
func (d *DB) Peers() Peers { return Peers{d} }

// Peers returns all peers, the first met first; one that cannot be read is met again. Their state is Offline: what was true in another run is not known to be true now.
func (p Peers) Peers() ([]discovery.Peer, error) {
	all, _, err := p.read()
	return all, err
}

// read returns the peers, and the IDs of those that cannot be read.
func (p Peers) read() (all []discovery.Peer, bad []any, err error) {
	err = p.db.rows("read the peers", `SELECT id, name, first_name, workgroup, addresses, install, caps, first_seen, last_seen, manual, version, dial_back
		FROM peers ORDER BY first_seen, id`, func(r *sql.Rows) error {
		q := discovery.Peer{State: discovery.Offline}
		var id []byte
		var addresses, caps string
		var first, last int64
		if err := r.Scan(&id, &q.Name, &q.FirstName, &q.Workgroup, &addresses, &q.Install, &caps, &first, &last, &q.Manual, &q.Version, &q.DialBack); err != nil {
			return err
		}
		if len(id) != len(q.ID) || json.Unmarshal([]byte(addresses), &q.Addresses) != nil || json.Unmarshal([]byte(caps), &q.Caps) != nil {
			p.db.log.Warn("a peer in the database is unreadable and left out", "id", id)
			bad = append(bad, id)
			return nil //nolint:nilerr // one bad row must not hide the others
		}
		q.ID, q.FirstSeen, q.LastSeen = discovery.DeviceID(id), fromNanos(first), fromNanos(last)
		all = append(all, q)
		return nil
	})
	return all, bad, err
}

// PutPeer keeps a peer, replacing the one of its ID. Its link-local addresses are left out: they mean something only on
// the interface, and in the network, they were seen on.
func (p Peers) PutPeer(q discovery.Peer) error {
	var keep []netip.AddrPort
	for _, a := range q.Addresses {
		if ip := a.Addr().Unmap(); a.IsValid() && !ip.IsLinkLocalUnicast() && ip.Zone() == "" {
			keep = append(keep, a)
		}
	}
	addresses, err := json.Marshal(keep)
	if err != nil {
		return fmt.Errorf("keep the peer: %w", err)
	}
	caps, err := json.Marshal(q.Caps)
	if err != nil {
		return fmt.Errorf("keep the peer: %w", err)
	}
	return p.db.tx("keep the peer", func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT OR REPLACE INTO peers
			(id, name, first_name, workgroup, addresses, install, caps, first_seen, last_seen, manual, version, dial_back)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`,
			q.ID[:], q.Name, q.FirstName, q.Workgroup, string(addresses), q.Install, string(caps),
			nanos(q.FirstSeen), nanos(q.LastSeen), q.Manual, q.Version, q.DialBack)
		return err
	})
}

// DeletePeer forgets a peer; it is no error if there is none.
func (p Peers) DeletePeer(id discovery.DeviceID) error {
	return p.db.tx("forget the peer", func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM peers WHERE id=?", id[:])
		return err
	})
}
