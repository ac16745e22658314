package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"porchlight/transfer"
)

// Jobs is the pulls of this device: the store of download.
type Jobs struct{ db *DB }

// Jobs returns the part of the database that keeps jobs.
func (d *DB) Jobs() Jobs { return Jobs{d} }

// Jobs returns all jobs by number. One that cannot be read is left out, and logged.
func (j Jobs) Jobs() ([]transfer.Job, error) {
	all, _, err := j.read()
	return all, err
}

// read returns the jobs, and the numbers of those that cannot be read.
func (j Jobs) read() (all []transfer.Job, bad []any, err error) {
	err = j.db.rows("read the jobs", "SELECT id, request, into_, body, result FROM jobs ORDER BY id", func(r *sql.Rows) error {
		var id int64
		var request, body string
		var into, result []byte
		if err := r.Scan(&id, &request, &into, &body, &result); err != nil {
			return err
		}
		var job transfer.Job
		if json.Unmarshal([]byte(body), &job) != nil || json.Unmarshal([]byte(request), &job.Request) != nil {
			j.db.log.Warn("a job in the database is unreadable and left out", "job", id)
			bad = append(bad, id)
			return nil //nolint:nilerr // one bad row must not hide the others
		}
		job.ID, job.Request.Into, job.Result = transfer.JobID(id), string(into), string(result)
		all = append(all, job)
		return nil
	})
	return all, bad, err
}

// PutJob keeps a job, replacing the one of its number. The request of a job does not change. A change of state, or of its place in
// the queue, is on the disk when PutJob returns; mere progress is cheap to put and may be lost in a power cut.
func (j Jobs) PutJob(job transfer.Job) error {
	id, request, result := job.ID, job.Request, []byte(job.Result)
	into := []byte(request.Into)
	job.Request, job.Result, request.Into = transfer.Request{}, "", "" // JSON would bend a path that is not UTF-8
	body, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("keep the job: %w", err)
	}
	db, whole := j.db.state, true
	if was, ok := j.db.jobs.get(id); ok && was.request(request, string(into)) {
		whole = false
		if was.state == job.State && was.listed == job.Listed && was.order == job.Order && was.background == job.Background {
			db = j.db.cache
		}
	}
	err = j.db.txOn(db, "keep the job", func(tx *sql.Tx) error {
		if !whole {
			_, err := tx.Exec("UPDATE jobs SET body=?, result=? WHERE id=?", string(body), result, int64(id))
			return err
		}
		text, err := json.Marshal(request)
		if err != nil {
			return err
		}
		_, err = tx.Exec("INSERT OR REPLACE INTO jobs (id, request, into_, body, result) VALUES (?,?,?,?,?)", int64(id), string(text), into, string(body), result)
		return err
	})
	if err != nil {
		return err
	}
	j.db.jobs.put(id, keptJob{asked: request, into: string(into), state: job.State, listed: job.Listed, order: job.Order, background: job.Background})
	return nil
}

// DeleteJob forgets a job; it is no error if there is none.
func (j Jobs) DeleteJob(id transfer.JobID) error {
	j.db.jobs.drop(id)
	return j.db.tx("forget the job", func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM jobs WHERE id=?", int64(id))
		return err
	})
}

// NextJob returns a number no job ever had, from 1.
func (j Jobs) NextJob() (transfer.JobID, error) {
	var id int64
	err := j.db.tx("number the job", func(tx *sql.Tx) error {
		return tx.QueryRow("INSERT INTO counters (name, value) VALUES ('job', 1) ON CONFLICT (name) DO UPDATE SET value=value+1 RETURNING value").Scan(&id)
	})
	return transfer.JobID(id), err
}

// keptJob is what the file has of a job, as far as it decides how the next put is written.
type keptJob struct {
	asked      transfer.Request // without Into
	into       string
	state      transfer.State
	listed     bool
	order      int64
	background bool
}

// request reports whether r, into is what was kept. The paths of one job share their bytes, so comparing many is quick.
func (k keptJob) request(r transfer.Request, into string) bool {
	a := k.asked
	return into == k.into && a.Source == r.Source && a.Share == r.Share && a.ShareName == r.ShareName && a.Check == r.Check && slices.Equal(a.Paths, r.Paths)
}
