package control

import (
	"context"

	"porchlight/app/doctor"
	"porchlight/discovery"
	"porchlight/share"
	"porchlight/transfer"
)

// Self is Device's.
func (c *Client) Self(ctx context.Context) (discovery.Self, error) {
	m, err := ask[selfMsg](ctx, c, "self", nothing{})
	return m.value(), err
}

// SetName is Device's.
func (c *Client) SetName(ctx context.Context, name string) error {
	return c.tell(ctx, "set-name", textMsg{[]byte(name)})
}

// SetWorkgroup is Device's.
func (c *Client) SetWorkgroup(ctx context.Context, name string) error {
	return c.tell(ctx, "set-workgroup", textMsg{[]byte(name)})
}

// SetNetwork is Device's.
func (c *Client) SetNetwork(ctx context.Context, network discovery.Network) error {
	return c.tell(ctx, "set-network", textMsg{[]byte(network)})
}

// SetDownloads is Device's.
func (c *Client) SetDownloads(ctx context.Context, dir string) error {
	return c.tell(ctx, "set-downloads", textMsg{[]byte(dir)})
}

// FinishFirstRun is Device's.
func (c *Client) FinishFirstRun(ctx context.Context) error {
	return c.tell(ctx, "finish-first-run", nothing{})
}

// Peers is Neighbours'.
func (c *Client) Peers(ctx context.Context) ([]discovery.Peer, error) {
	return ask[[]discovery.Peer](ctx, c, "peers", nothing{})
}

// AddPeer is Neighbours'.
func (c *Client) AddPeer(ctx context.Context, hostport string) error {
	return c.tell(ctx, "add-peer", textMsg{[]byte(hostport)})
}

// ForgetPeer is Neighbours'.
func (c *Client) ForgetPeer(ctx context.Context, id discovery.DeviceID) error {
	return c.tell(ctx, "forget-peer", deviceMsg{id})
}

// Block is Neighbours'.
func (c *Client) Block(ctx context.Context, id discovery.DeviceID) error {
	return c.tell(ctx, "block", deviceMsg{id})
}

// Unblock is Neighbours'.
func (c *Client) Unblock(ctx context.Context, id discovery.DeviceID) error {
	return c.tell(ctx, "unblock", deviceMsg{id})
}

// Refresh is Neighbours'.
func (c *Client) Refresh(ctx context.Context) error { return c.tell(ctx, "refresh", nothing{}) }

// Diagnose is Doctor's.
func (c *Client) Diagnose(ctx context.Context) ([]doctor.Finding, error) {
	return ask[[]doctor.Finding](ctx, c, "diagnose", nothing{})
}

// Shares is Shares'.
func (c *Client) Shares(ctx context.Context) ([]share.Share, error) {
	m, err := ask[[]shareMsg](ctx, c, "shares", nothing{})
	return each(m, shareMsg.value), err
}

// AddShare is Shares'.
func (c *Client) AddShare(ctx context.Context, path, name string, to ...share.Grant) (share.Share, error) {
	call := "add-share"
	if len(to) > 0 {
		call = "add-share-to" // an engine that knows of no list must not share with everyone
	}
	m, err := ask[shareMsg](ctx, c, call, addShareMsg{[]byte(path), name, to})
	return m.value(), err
}

// AllowShare is Shares'.
func (c *Client) AllowShare(ctx context.Context, id share.ID, to []share.Grant) error {
	return c.tell(ctx, "allow-share", allowMsg{id, to})
}

// RenameShare is Shares'.
func (c *Client) RenameShare(ctx context.Context, id share.ID, name string) error {
	return c.tell(ctx, "rename-share", renameMsg{id, name})
}

// RemoveShare is Shares'.
func (c *Client) RemoveShare(ctx context.Context, id share.ID) error {
	return c.tell(ctx, "remove-share", shareIDMsg{id})
}

// Offers is Remote's.
func (c *Client) Offers(ctx context.Context, device discovery.DeviceID) ([]share.Offer, error) {
	return ask[[]share.Offer](ctx, c, "offers", deviceMsg{device})
}

// Pull is Pulls'.
func (c *Client) Pull(ctx context.Context, r transfer.Request) (transfer.JobID, error) {
	m, err := ask[jobIDMsg](ctx, c, "pull", fromRequest(r))
	return m.ID, err
}

// Jobs is Pulls'.
func (c *Client) Jobs(ctx context.Context) ([]transfer.Job, error) {
	m, err := ask[[]jobMsg](ctx, c, "jobs", nothing{})
	return each(m, jobMsg.value), err
}

// PauseJob is Jobs'.
func (c *Client) PauseJob(ctx context.Context, id transfer.JobID) error {
	return c.tell(ctx, "pause-job", jobIDMsg{id})
}

// ResumeJob is Jobs'.
func (c *Client) ResumeJob(ctx context.Context, id transfer.JobID) error {
	return c.tell(ctx, "resume-job", jobIDMsg{id})
}

// CancelJob is Jobs'.
func (c *Client) CancelJob(ctx context.Context, id transfer.JobID) error {
	return c.tell(ctx, "cancel-job", jobIDMsg{id})
}

// RetryJob is Jobs'.
func (c *Client) RetryJob(ctx context.Context, id transfer.JobID) error {
	return c.tell(ctx, "retry-job", jobIDMsg{id})
}

// ForgetJob is Jobs'.
func (c *Client) ForgetJob(ctx context.Context, id transfer.JobID) error {
	return c.tell(ctx, "forget-job", jobIDMsg{id})
}

// Queue is Queue's.
func (c *Client) Queue(ctx context.Context) (transfer.Queue, error) {
	return ask[transfer.Queue](ctx, c, "queue", nothing{})
}

// HoldQueue is Queue's.
func (c *Client) HoldQueue(ctx context.Context, held bool) error {
	return c.tell(ctx, "hold-queue", yesMsg{held})
}

// MoveJob is Queue's.
func (c *Client) MoveJob(ctx context.Context, id transfer.JobID, to transfer.Move) error {
	return c.tell(ctx, "move-job", moveMsg{id, to})
}

// SetLimits is Queue's.
func (c *Client) SetLimits(ctx context.Context, l transfer.Limits) error {
	return c.tell(ctx, "set-limits", l)
}

// Pieces is Queue's.
func (c *Client) Pieces(ctx context.Context, id transfer.JobID) ([]transfer.FileMap, error) {
	return ask[[]transfer.FileMap](ctx, c, "pieces", jobIDMsg{id})
}

// ShowWindow is Windows'.
func (c *Client) ShowWindow(ctx context.Context) (bool, error) {
	m, err := ask[yesMsg](ctx, c, "show-window", nothing{})
	return m.Yes, err
}

// Attend is Windows'.
func (c *Client) Attend(ctx context.Context, show func()) error {
	return c.stream(ctx, "attend", nothing{}, func(l line) error {
		if l.Changed {
			show()
		}
		return nil
	})
}

// SetInterface is Places'.
func (c *Client) SetInterface(ctx context.Context, name string, use bool) error {
	return c.tell(ctx, "set-interface", interfaceMsg{name, use})
}

// NewIdentity is Identity's.
func (c *Client) NewIdentity(ctx context.Context) (discovery.DeviceID, error) {
	m, err := ask[deviceMsg](ctx, c, "new-identity", nothing{})
	return m.Device, err
}

// Wait is Changes'.
func (c *Client) Wait(ctx context.Context, since uint64) (uint64, error) {
	m, err := ask[versionMsg](ctx, c, "wait", versionMsg{since})
	return m.Version, err
}
