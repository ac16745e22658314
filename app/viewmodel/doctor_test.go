package viewmodel

import (
	"strings"
	"testing"

	"porchlight/app/doctor"
)

func TestDoctor(t *testing.T) {
	f := newFake()
	f.findings = []doctor.Finding{
		{Code: doctor.BlockedHere, Level: doctor.Trouble, Params: map[string]string{"Name": "bo", "Port": "47470"}, Fix: []string{"one", "two"}},
		{Code: doctor.Nobody, Level: doctor.Hint},
		{Code: doctor.ClockGood, Level: doctor.Good},
	}
	s := run(t, f, "en")
	if s.Doctor.Summary() != s.Words.Text("doctor.busy") || len(s.Doctor.Rows()) != 0 {
		t.Error("it has looked before anybody asked")
	}
	s.Nav.Go(Place{Page: PageDoctor})
	until(t, "it has looked", func() bool { return len(s.Doctor.Rows()) == 3 && !s.Doctor.Busy() })
	if got := s.Doctor.Summary(); got != "1 thing keeps computers apart." {
		t.Error(got)
	}
	rows := s.Doctor.Rows()
	for i, want := range []DoctorRow{{Level: doctor.Trouble, Icon: "careful", Fix: "one\ntwo"}, {Level: doctor.Hint, Icon: "info"}, {Level: doctor.Good, Icon: "check"}} {
		r := rows[i]
		if r.Level != want.Level || r.Icon != want.Icon || r.Fix != want.Fix || r.Text == "" || (r.Do == "") != (r.Level == doctor.Good) {
			t.Errorf("%+v", r)
		}
	}
	if r := s.Doctor.Report(); !strings.Contains(r, "[trouble] Neighbours cannot reach this computer: bo tried.") || !strings.Contains(r, "    two\n") {
		t.Error(r)
	}
	f.change(func() { f.findings = f.findings[2:] })
	s.Reload()
	until(t, "it has looked again", func() bool { return s.Doctor.Summary() == "Nothing is wrong here." })
	s.Doctor.Copied()
	if n := s.Notices.Now(); n.Tone != Good || n.Text == "" {
		t.Errorf("%+v", n)
	}
	f.change(func() { f.fails = errDisk })
	s.Doctor.Check()
	until(t, "it says that it could not look", func() bool { return s.Notices.Now().Tone == Bad })
	if len(s.Doctor.Rows()) != 1 || s.Doctor.Busy() {
		t.Error("what was found before is gone")
	}
}
