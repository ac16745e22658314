package cli

import (
	"porchlight/discovery"
	"porchlight/discovery/ledger"
	"porchlight/discovery/pairing"
	"porchlight/discovery/workgroup"
)

// groupErrors is errorWords for private workgroups.
func groupErrors() []said {
	return []said{
		{discovery.ErrNobody, exitNotFound, "cli.error.nobody"},
		{discovery.ErrDeclined, exitFailed, "cli.error.declined"},
		{discovery.ErrNoInvitation, exitNotFound, "cli.error.no-invitation"},
		{discovery.ErrDifferent, exitFailed, "cli.error.pictures"},
		{ledger.ErrRecovery, exitUsage, "cli.error.recovery-text"},
		{ledger.ErrFull, exitFailed, "cli.error.wg-full"},
		{pairing.ErrCode, exitUsage, "cli.error.pair-proof"},
		{pairing.ErrProof, exitFailed, "cli.error.pair-proof"},
		{pairing.ErrOver, exitFailed, "cli.error.pair-over"},
		{pairing.ErrOften, exitFailed, "cli.error.pair-often"},
		{pairing.ErrBlocked, exitFailed, "cli.error.pair-blocked"},
		{pairing.ErrMessage, exitFailed, "cli.error.pair-message"},
		{pairing.ErrTurn, exitFailed, "cli.error.pair-turn"},
		{workgroup.ErrRemoved, exitFailed, "cli.error.wg-removed"},
		{workgroup.ErrUnknown, exitNotFound, "cli.error.wg-unknown"},
		{workgroup.ErrNotMember, exitNotFound, "cli.error.wg-not-member"},
		{workgroup.ErrNotAdmin, exitFailed, "cli.error.wg-not-admin"},
		{workgroup.ErrMany, exitFailed, "cli.error.wg-many"},
		{workgroup.ErrMember, exitFailed, "cli.error.wg-member"},
		{workgroup.ErrSelf, exitFailed, "cli.error.wg-self"},
		{workgroup.ErrLastAdmin, exitFailed, "cli.error.wg-last-admin"},
		{workgroup.ErrUnsaved, exitFailed, "cli.error.wg-unsaved"},
		{workgroup.ErrErased, exitNotFound, "cli.error.wg-erased"},
		{workgroup.ErrPerson, exitNotFound, "cli.error.wg-person"},
		{workgroup.ErrCode, exitFailed, "cli.error.wg-code"},
		{workgroup.ErrMoment, exitNotFound, "cli.error.wg-moment"},
		{workgroup.ErrNoContest, exitFailed, "cli.error.wg-no-contest"},
		{workgroup.ErrOffer, exitNotFound, "cli.error.no-move"},
		{workgroup.ErrEntry, exitFailed, "cli.error.protocol"},
		{workgroup.ErrKey, exitFailed, "cli.error.protocol"},
		{ledger.ErrWelcome, exitFailed, "cli.error.protocol"},
	}
}
