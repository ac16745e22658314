package pairing

import (
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"porchlight/discovery"
)

// meeting is an inviter with an open invitation, and a channel to a joiner.
type meeting struct {
	t      testing.TB
	desk   Desk
	invite *Invite
	now    time.Time
	ch     Channel
}

func channel(seed byte) Channel {
	return Channel{[32]byte{seed}, discovery.DeviceID{1, seed}, discovery.DeviceID{2, seed}}
}

func newMeeting(t testing.TB) *meeting {
	m := &meeting{t: t, now: time.Unix(1_000_000, 0), ch: channel(0)}
	var err error
	if m.invite, err = m.desk.Invite(rand.Reader, m.now, nil); err != nil {
		t.Fatal(err)
	}
	return m
}

// typed is the code as a person has it: digits only.
func (m *meeting) typed() Code { return Code{Digits: m.invite.Code().Digits} }

func (m *meeting) join(ch Channel) (*Join, []byte) {
	m.t.Helper()
	return m.joinWith(ch, m.typed())
}

func (m *meeting) joinWith(ch Channel, code Code) (*Join, []byte) {
	m.t.Helper()
	j, msg, err := NewJoin(ch, code, "Bob-PC", rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	return j, msg
}

// run plays a whole join, both sides over their own end.
func (m *meeting) run(joiner, inviter Channel, source string, code Code) (inviterErr, joinerErr error) {
	j, msg := m.joinWith(joiner, code)
	r, msg, err := m.invite.Answer(inviter, source, m.now, msg)
	if err != nil {
		return err, io.EOF
	}
	if msg, err = j.Confirm(msg); err != nil {
		return io.EOF, err
	}
	if msg, err = r.Finish(m.now, msg); err != nil {
		return err, io.EOF
	}
	return nil, j.Finish(msg)
}

// wrong is the code with another last digit.
func (m *meeting) wrong() Code {
	d := []byte(m.invite.Code().Digits)
	d[7] = '0' + (d[7]-'0'+1)%10
	return Code{Digits: string(d)}
}

func TestJoin(t *testing.T) {
	for name, code := range map[string]func(*meeting) Code{
		"digits": (*meeting).typed,
		"QR":     func(m *meeting) Code { return m.invite.Code() },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMeeting(t)
			j, m1 := m.joinWith(m.ch, code(m))
			r, m2, err := m.invite.Answer(m.ch, "a", m.now, m1)
			if err != nil || m.invite.Tried() != 1 {
				t.Fatalf("%v, %d tried", err, m.invite.Tried())
			}
			m3, err := j.Confirm(m2)
			if err != nil {
				t.Fatal(err)
			}
			m4, err := r.Finish(m.now, m3)
			if err != nil || r.Name() != "Bob-PC" {
				t.Fatalf("%q, %v", r.Name(), err)
			}
			if err := j.Finish(m4); err != nil {
				t.Fatal(err)
			}
			if m.invite.Tried() != 0 || m.invite.Open(m.now) {
				t.Errorf("after success: %d tried, open %v", m.invite.Tried(), m.invite.Open(m.now))
			}
			if i, _ := m.run(m.ch, m.ch, "b", code(m)); !errors.Is(i, ErrOver) {
				t.Errorf("a second success: %v", i)
			}
			for _, msg := range [][]byte{m1, m2, m3, m4} {
				if len(msg) > MaxMessage/2 {
					t.Errorf("a message of %d bytes", len(msg))
				}
			}
		})
	}
}

func TestWrongCode(t *testing.T) {
	m := newMeeting(t)
	if i, _ := m.run(m.ch, m.ch, "a", m.wrong()); !errors.Is(i, ErrProof) || m.invite.Tried() != 1 {
		t.Errorf("%v, %d tried", i, m.invite.Tried())
	}
	qr := m.invite.Code()
	qr.Secret = strings.Repeat("A", 26)
	m.now = m.now.Add(RunEvery)
	if i, _ := m.run(m.ch, m.ch, "a", qr); !errors.Is(i, ErrProof) {
		t.Errorf("wrong letters: %v", i)
	}
}

// A joiner who does not hear the inviter prove the code trusts nobody.
func TestInviterWithoutTheCode(t *testing.T) {
	m := newMeeting(t)
	other := newMeeting(t)
	j, msg := m.joinWith(m.ch, m.wrong())
	_, msg, err := other.invite.Answer(m.ch, "a", m.now, msg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Confirm(msg); err != nil {
		t.Fatal(err)
	}
	forged, _ := encode(join4{make([]byte, 64)})
	if err := j.Finish(forged); !errors.Is(err, ErrProof) {
		t.Error(err)
	}
}

// A man in the middle ends both connections: each has its own exporter value, and one end of each is his own key.
func TestManInTheMiddleOfAJoin(t *testing.T) {
	const runs = 400
	failed := 0
	for n := range runs {
		m := newMeeting(t)
		toJoiner, toInviter := m.ch, m.ch
		mallory := discovery.DeviceID{99, byte(n), byte(n >> 8)}
		code := m.typed()
		switch n % 4 {
		case 0: // the honest attack
			toJoiner.Exporter, toJoiner.Inviter = [32]byte{1, byte(n)}, mallory
			toInviter.Exporter, toInviter.Joiner = [32]byte{2, byte(n)}, mallory
		case 1: // had he only another connection
			toInviter.Exporter = [32]byte{2, byte(n)}
		case 2: // had he only another key
			toJoiner.Inviter = mallory
		case 3: // the same with the QR code
			toJoiner.Exporter, toJoiner.Inviter = [32]byte{1, byte(n)}, mallory
			code = m.invite.Code()
		}
		inviter, joiner := m.run(toJoiner, toInviter, "a", code)
		if inviter != nil && joiner != nil && m.invite.Tried() == 1 && m.invite.Open(m.now) {
			failed++
		}
	}
	t.Logf("%d of %d joins through a man in the middle failed, on both sides", failed, runs)
	if failed != runs {
		t.Errorf("%d joins did not", runs-failed)
	}
}

func TestFourthRun(t *testing.T) {
	m := newMeeting(t)
	for n := range MaxRuns {
		if i, _ := m.run(m.ch, m.ch, "a", m.wrong()); !errors.Is(i, ErrProof) || m.invite.Tried() != n+1 {
			t.Fatalf("run %d: %v, %d tried", n+1, i, m.invite.Tried())
		}
		if i, _ := m.run(m.ch, m.ch, "a", m.typed()); !errors.Is(i, ErrOften) && n < MaxRuns-1 {
			t.Fatalf("two runs of one source at once: %v", i)
		}
		m.now = m.now.Add(RunEvery)
	}
	if i, _ := m.run(m.ch, m.ch, "b", m.typed()); !errors.Is(i, ErrOver) || m.invite.Open(m.now) {
		t.Errorf("the right code after the third wrong one: %v", i)
	}
}

func TestParallelRuns(t *testing.T) {
	m := newMeeting(t)
	const crowd = 50
	var wg sync.WaitGroup
	answered := make([]*Run, crowd)
	msgs, joins := make([][]byte, crowd), make([]*Join, crowd)
	for n := range crowd {
		j, msg := m.join(channel(byte(n)))
		joins[n] = j
		wg.Go(func() {
			answered[n], msgs[n], _ = m.invite.Answer(channel(byte(n)), string(rune('a'+n)), m.now, msg)
		})
	}
	wg.Wait()
	runs, won := 0, 0
	for n, r := range answered {
		if r == nil {
			continue
		}
		runs++
		msg, err := joins[n].Confirm(msgs[n])
		if err != nil {
			t.Fatal(err)
		}
		switch _, err := r.Finish(m.now, msg); {
		case err == nil:
			won++
		case !errors.Is(err, ErrOver):
			t.Error(err)
		}
	}
	if runs != MaxRuns || won != 1 {
		t.Errorf("%d runs at once, %d let in", runs, won)
	}
}

func TestBreakingOffCounts(t *testing.T) {
	m := newMeeting(t)
	for n := range MaxRuns {
		_, msg := m.join(m.ch)
		if _, _, err := m.invite.Answer(m.ch, string(rune('a'+n)), m.now, msg); err != nil {
			t.Fatal(err)
		}
	}
	if m.invite.Tried() != MaxRuns {
		t.Errorf("%d tried", m.invite.Tried())
	}
	if i, _ := m.run(m.ch, m.ch, "z", m.typed()); !errors.Is(i, ErrOver) {
		t.Errorf("%v", i)
	}
}

func TestInvitationEnds(t *testing.T) {
	m := newMeeting(t)
	j, msg := m.join(m.ch)
	r, msg, err := m.invite.Answer(m.ch, "a", m.now.Add(CodeLife-1), msg)
	if err != nil {
		t.Fatal(err)
	}
	msg, err = j.Confirm(msg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(m.now.Add(CodeLife), msg); !errors.Is(err, ErrOver) {
		t.Errorf("finished too late: %v", err)
	}
	m.now = m.now.Add(CodeLife)
	if i, _ := m.run(m.ch, m.ch, "b", m.typed()); !errors.Is(i, ErrOver) {
		t.Errorf("begun too late: %v", i)
	}
	m = newMeeting(t)
	m.invite.Close()
	if i, _ := m.run(m.ch, m.ch, "b", m.typed()); !errors.Is(i, ErrOver) {
		t.Errorf("withdrawn: %v", i)
	}
}

func TestThreeInvitationsInTenMinutes(t *testing.T) {
	m := newMeeting(t)
	for range MaxInvites - 1 {
		if _, err := m.desk.Invite(rand.Reader, m.now, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.desk.Invite(rand.Reader, m.now.Add(InviteSpan-1), nil); !errors.Is(err, ErrOften) {
		t.Error(err)
	}
	if _, err := m.desk.Invite(rand.Reader, m.now.Add(InviteSpan), nil); err != nil {
		t.Error(err)
	}
}

func TestReflectionOfAJoin(t *testing.T) {
	m := newMeeting(t)
	j, m1 := m.join(m.ch)
	var own join1
	if err := decode(m1, &own); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]join2{
		"share and words": {own.Share, own.AD},
		"share":           {own.Share, lv([]byte(inviterAD))},
	} {
		j2 := *j
		msg, _ := encode(in)
		if _, err := j2.Confirm(msg); !errors.Is(err, ErrMessage) {
			t.Errorf("own %s: %v", name, err)
		}
	}
	_, m2, err := m.invite.Answer(m.ch, "a", m.now, m1)
	if err != nil {
		t.Fatal(err)
	}
	m3, err := j.Confirm(m2)
	if err != nil {
		t.Fatal(err)
	}
	var ta join3
	if err := decode(m3, &ta); err != nil {
		t.Fatal(err)
	}
	m4, _ := encode(join4(ta))
	if err := j.Finish(m4); !errors.Is(err, ErrProof) {
		t.Errorf("own proof: %v", err)
	}
}

func TestReplayOfAJoin(t *testing.T) {
	m := newMeeting(t)
	j, m1 := m.join(m.ch)
	r, m2, err := m.invite.Answer(m.ch, "a", m.now, m1)
	if err != nil {
		t.Fatal(err)
	}
	m3, err := j.Confirm(m2)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := m.invite.Answer(m.ch, "b", m.now, m1) // recorded, and sent once more on a run of its own
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Finish(m.now, m3); !errors.Is(err, ErrProof) {
		t.Errorf("proof of another run: %v", err)
	}
	if _, err := again.Finish(m.now, m3); !errors.Is(err, ErrTurn) {
		t.Errorf("second try at one run: %v", err)
	}
	if _, err := j.Confirm(m2); !errors.Is(err, ErrTurn) {
		t.Errorf("message 2 twice: %v", err)
	}
	m4, err := r.Finish(m.now, m3)
	if err != nil {
		t.Fatal(err)
	}
	other, m1 := m.join(m.ch)
	if err := other.Finish(m4); !errors.Is(err, ErrTurn) {
		t.Errorf("message 4 before 2: %v", err)
	}
	if err := j.Finish(m4); err != nil {
		t.Error(err)
	}
	if err := j.Finish(m4); !errors.Is(err, ErrTurn) {
		t.Errorf("message 4 twice: %v", err)
	}
	_ = m1
}

func TestMessagesRefused(t *testing.T) {
	m := newMeeting(t)
	ad := func(name string) []byte { return lv([]byte(joinerAD), []byte(name)) }
	share := count(32)
	for name, in := range map[string]any{
		"no name":         join1{share, []byte("\x06joiner"), false},
		"empty name":      join1{share, ad(""), false},
		"long name":       join1{share, ad(strings.Repeat("n", 65)), false},
		"control in name": join1{share, ad("a\x00b"), false},
		"other role":      join1{share, lv([]byte(inviterAD), []byte("x")), false},
		"more after name": join1{share, append(ad("x"), 0), false},
		"short share":     join1{share[:31], ad("x"), false},
		"long share":      join1{count(33), ad("x"), false},
		"too large":       join1{share, make([]byte, MaxMessage), false},
		"not this":        7,
	} {
		msg, err := encode(in)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.invite.Answer(m.ch, "a", m.now, msg); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m.invite.Tried() != 0 {
		t.Errorf("%d runs", m.invite.Tried())
	}
	if _, _, err := NewJoin(m.ch, Code{Digits: "1234567"}, "x", rand.Reader); !errors.Is(err, ErrCode) {
		t.Error(err)
	}
	if _, _, err := NewJoin(m.ch, m.typed(), "", rand.Reader); !errors.Is(err, discovery.ErrName) {
		t.Error(err)
	}
	if _, _, err := NewJoin(m.ch, m.typed(), "x", strings.NewReader("")); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestCodes(t *testing.T) {
	var first, last [10]int
	const n = 5000
	seen := map[string]bool{}
	for range n {
		c, err := newCode(rand.Reader, func(slot int) bool { return slot != 41 && slot != 7 })
		if err != nil {
			t.Fatal(err)
		}
		if s := c.Slot(); s != 41 && s != 7 || c.check() != nil || len(c.Secret) != 26 {
			t.Fatalf("%+v", c)
		}
		first[c.Digits[2]-'0']++
		last[c.Digits[7]-'0']++
		seen[c.Secret] = true
	}
	if len(seen) != n {
		t.Errorf("%d different secrets of %d", len(seen), n)
	}
	for d := range 10 { // 500 each; 8 standard deviations are 170
		if first[d] < 330 || first[d] > 670 || last[d] < 330 || last[d] > 670 {
			t.Errorf("digit %d comes %d and %d times in %d", d, first[d], last[d], n)
		}
	}
	if c, err := newCode(rand.Reader, func(int) bool { return true }); err != nil || c.check() != nil {
		t.Errorf("all slots taken: %v", err)
	}
	if _, err := newCode(strings.NewReader("short"), nil); err == nil {
		t.Error("made of nothing")
	}
}

func TestParseCode(t *testing.T) {
	c := Code{"27482913", "ABCDEFGHIJKLMNOPQRSTUVWX24"}
	addrs := []netip.AddrPort{netip.MustParseAddrPort("192.168.1.20:47470"), netip.MustParseAddrPort("[fd00::1]:47470")}
	if s := c.String(); s != "27 · 482 913" || c.Slot() != 27 {
		t.Errorf("%s, slot %d", s, c.Slot())
	}
	if got, at, err := ParseCode(c.QR(addrs)); err != nil || got != c || !slices.Equal(at, addrs) {
		t.Errorf("%+v %v %v from\n%s", got, at, err, c.QR(addrs))
	}
	if got, at, err := ParseCode(c.QR(slices.Repeat(addrs, 5))); err != nil || got != c || len(at) != maxAddrs {
		t.Errorf("%+v %v %v", got, at, err)
	}
	for text, want := range map[string]string{
		"27482913": "27482913", " 27 · 482 913 ": "27482913", "27-482-913": "27482913", "2 7 4 8 2 9 1 3": "27482913",
		"porchlight 27 482 913": "27482913", "": "", "2748291": "", "274829133": "", "2748291x": "", "porchlight": "",
		"٢٧٤٨٢٩١٣": "", "Porchlight 27 482 913 ABC": "", "Porchlight 27482913 " + strings.Repeat("1", 26): "", strings.Repeat(" ", 600) + "27482913": "",
	} {
		got, _, err := ParseCode(text)
		if (err == nil) != (want != "") || err == nil && got.Digits != want || err != nil && !errors.Is(err, ErrCode) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
