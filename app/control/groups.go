package control

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// hashText is the ID of a workgroup, or of an entry, as 64 hexadecimal digits.
type hashText ledger.Hash

var errHash = errors.New("not 64 hexadecimal digits")

func (h hashText) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

func (h *hashText) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(h)) {
		return errHash
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return errHash
	}
	return nil
}

// groupMsg is a call about one workgroup.
type groupMsg struct {
	ID   hashText `json:"id"`
	Name string   `json:"name,omitempty"`
	Yes  bool     `json:"yes,omitempty"`
}

type memberMsg struct {
	ID     hashText           `json:"id"`
	Device discovery.DeviceID `json:"device"`
	Role   ledger.Role        `json:"role,omitempty"`
	Name   string             `json:"name,omitempty"`
}

type membersMsg struct {
	ID      hashText             `json:"id"`
	Why     ledger.Reason        `json:"why"`
	Devices []discovery.DeviceID `json:"devices"`
}

type joinMsg struct {
	Code []byte        `json:"text"`
	Wait time.Duration `json:"wait_ns,omitempty"` // 0: as long as the caller is there
}

type inviteMsg struct {
	ID  hashText         `json:"id"`
	How discovery.Invite `json:"how"`
}

type approveMsg struct {
	Invitation string              `json:"invitation"`
	As         workgroup.Admission `json:"as"`
}

type compareMsg struct {
	Device discovery.DeviceID `json:"device"`
	Why    pairing.Purpose    `json:"why"`
}

// answerMsg is about an invitation or a comparison.
type answerMsg struct {
	ID  string `json:"id"`
	Yes bool   `json:"yes,omitempty"`
}

type recoverMsg struct {
	Code   []byte               `json:"code"`
	Heads  []hashText           `json:"heads"`
	Remove []discovery.DeviceID `json:"remove"`
	Name   string               `json:"name"`
	Person string               `json:"person"`
}

func fromChoice(code string, c workgroup.Choice) recoverMsg {
	return recoverMsg{[]byte(code), each(c.Heads, func(h ledger.Hash) hashText { return hashText(h) }), c.Remove, c.Name, c.PersonName}
}

func (m recoverMsg) value() workgroup.Choice {
	return workgroup.Choice{Heads: each(m.Heads, func(h hashText) ledger.Hash { return ledger.Hash(h) }), Remove: m.Remove, Name: m.Name, PersonName: m.Person}
}

type startOverMsg struct {
	Old      hashText             `json:"old"`
	Founding workgroup.Founding   `json:"founding"`
	Keep     []discovery.DeviceID `json:"keep"`
}

func (s *Server) addGroups(add func(string, handler)) {
	e := s.engine
	add("workgroups", call(func(ctx context.Context, _ nothing) ([]workgroup.Workgroup, error) { return e.Workgroups(ctx) }))
	add("create-workgroup", call(e.CreateWorkgroup))
	add("rename-workgroup", do(func(ctx context.Context, in groupMsg) error {
		return e.RenameWorkgroup(ctx, workgroup.ID(in.ID), in.Name)
	}))
	add("leave-workgroup", do(func(ctx context.Context, in groupMsg) error {
		return e.LeaveWorkgroup(ctx, workgroup.ID(in.ID), in.Yes)
	}))
	add("forget-workgroup", do(func(ctx context.Context, in groupMsg) error { return e.ForgetWorkgroup(ctx, workgroup.ID(in.ID)) }))
	add("set-open", do(func(ctx context.Context, in yesMsg) error { return e.SetOpen(ctx, in.Yes) }))

	add("remove-members", do(func(ctx context.Context, in membersMsg) error {
		return e.RemoveMembers(ctx, workgroup.ID(in.ID), in.Why, in.Devices)
	}))
	add("set-role", do(func(ctx context.Context, in memberMsg) error {
		return e.SetRole(ctx, workgroup.ID(in.ID), in.Device, in.Role)
	}))
	add("rename-member", do(func(ctx context.Context, in memberMsg) error {
		return e.RenameMember(ctx, workgroup.ID(in.ID), in.Device, in.Name)
	}))
	add("admitted-by", call(func(ctx context.Context, in memberMsg) ([]workgroup.Member, error) {
		return e.AdmittedBy(ctx, workgroup.ID(in.ID), in.Device)
	}))
	add("contest", do(func(ctx context.Context, in groupMsg) error { return e.Contest(ctx, workgroup.ID(in.ID)) }))

	add("past-members", call(func(ctx context.Context, in groupMsg) ([]workgroup.Member, error) {
		return e.PastMembers(ctx, workgroup.ID(in.ID))
	}))
	add("start-over", call(func(ctx context.Context, in startOverMsg) (workgroup.Workgroup, error) {
		return e.StartOver(ctx, workgroup.ID(in.Old), in.Founding, in.Keep)
	}))
	add("moves", call(func(ctx context.Context, _ nothing) ([]workgroup.Offer, error) { return e.Moves(ctx) }))
	add("move-over", do(func(ctx context.Context, in groupMsg) error { return e.MoveOver(ctx, workgroup.ID(in.ID)) }))
	add("decline-move", do(func(ctx context.Context, in groupMsg) error { return e.DeclineMove(ctx, workgroup.ID(in.ID)) }))
	s.addMeetings(add)
}

// addMeetings adds what two computers do to know each other, and the code on paper.
func (s *Server) addMeetings(add func(string, handler)) {
	e := s.engine
	add("invite", call(func(ctx context.Context, in inviteMsg) (discovery.Invitation, error) {
		return e.Invite(ctx, workgroup.ID(in.ID), in.How)
	}))
	add("invitations", call(func(ctx context.Context, _ nothing) ([]discovery.Invitation, error) { return e.Invitations(ctx) }))
	add("approve", do(func(ctx context.Context, in approveMsg) error { return e.Approve(ctx, in.Invitation, in.As) }))
	add("end-invitation", do(func(ctx context.Context, in answerMsg) error { return e.EndInvitation(ctx, in.ID) }))
	add("join", call(func(ctx context.Context, in joinMsg) (workgroup.Workgroup, error) {
		if in.Wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, in.Wait)
			defer cancel()
		}
		return e.Join(ctx, string(in.Code))
	}))

	add("compare", call(func(ctx context.Context, in compareMsg) (answerMsg, error) {
		id, err := e.Compare(ctx, in.Device, in.Why)
		return answerMsg{ID: id}, err
	}))
	add("comparisons", call(func(ctx context.Context, _ nothing) ([]discovery.Comparison, error) { return e.Comparisons(ctx) }))
	add("answer-comparison", do(func(ctx context.Context, in answerMsg) error { return e.AnswerComparison(ctx, in.ID, in.Yes) }))
	add("unverify", do(func(ctx context.Context, in deviceMsg) error { return e.Unverify(ctx, in.Device) }))

	add("recovery-code", call(func(ctx context.Context, in groupMsg) (textMsg, error) {
		code, err := e.RecoveryCode(ctx, workgroup.ID(in.ID))
		return textMsg{[]byte(code)}, err
	}))
	add("recovery-saved", do(func(ctx context.Context, in groupMsg) error { return e.RecoverySaved(ctx, workgroup.ID(in.ID)) }))
	add("remind-later", do(func(ctx context.Context, in groupMsg) error { return e.RemindLater(ctx, workgroup.ID(in.ID)) }))
	add("moments", call(func(ctx context.Context, in textMsg) ([]workgroup.Moment, error) {
		return e.Moments(ctx, string(in.Text))
	}))
	add("recover", call(func(ctx context.Context, in recoverMsg) (workgroup.Workgroup, error) {
		return e.Recover(ctx, string(in.Code), in.value())
	}))
}
