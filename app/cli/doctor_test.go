package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"porchlight/app/doctor"
)

func TestDoctor(t *testing.T) {
	f := newFake()
	f.findings = []doctor.Finding{
		{Code: doctor.Away, Level: doctor.Hint, Params: map[string]string{"Name": "shy\x1b[2J", "Address": "192.0.2.9:47470"}},
		{Code: doctor.NeighboursGood, Level: doctor.Good, Params: map[string]string{"Count": "1"}},
	}
	code, out, errs := runLine(t.Context(), t, f, "doctor")
	want := "hint     Nobody answers at the last address of shy\\u001b[2J. It is off, asleep or on another\n         network.\n" +
		"         Wake it. If it has moved, start Porchlight there, or add it by its new address.\n" +
		"ok       1 neighbour is here.\n"
	if code != exitOK || out != want || errs != "" {
		t.Errorf("%d %q\n%s", code, errs, out)
	}

	f.findings = append(f.findings, doctor.Finding{Code: doctor.BlockedHere, Level: doctor.Trouble, Params: map[string]string{"Name": "bo", "Port": "47470"}, Fix: []string{"sudo x"}})
	code, out, errs = runLine(t.Context(), t, f, "doctor")
	if code != exitFailed || errs != "" || !strings.Contains(out, "TROUBLE  Neighbours cannot reach this computer: bo tried.") || !strings.Contains(out, "\n           sudo x\n") {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
	code, out, errs = runLine(t.Context(), t, f, "doctor", "--json")
	var rows []findingRow
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != exitFailed || errs != "" || len(rows) != 3 {
		t.Fatalf("%d %q %v\n%s", code, errs, err, out)
	}
	if r := rows[2]; r.Code != doctor.BlockedHere || r.Level != doctor.Trouble || r.Text == "" || r.Do == "" || r.Params["Name"] != "bo" || r.Fix[0] != "sudo x" {
		t.Errorf("%+v", r)
	}
	if rows[1].Do != "" {
		t.Errorf("something is to be done where all is well: %+v", rows[1])
	}
}

// TestEveryFindingHasWords: no hole stays open, and whatever is no good news says what to do.
func TestEveryFindingHasWords(t *testing.T) {
	params := map[string]string{}
	for _, name := range []string{"Name", "Address", "Addresses", "Interface", "Network", "Wanted", "Port", "Firewall", "Count", "Home", "By", "Service", "Why"} {
		params[name] = name
	}
	for _, lang := range []string{"en", "de"} {
		w := in(t, lang)
		for _, key := range w.Keys() {
			code, ok := strings.CutPrefix(key, "doctor.")
			if !ok || strings.HasSuffix(key, ".do") || code == "trouble" {
				continue
			}
			text, do := w.finding(doctor.Finding{Code: doctor.Code(code), Level: doctor.Trouble, Params: params})
			if strings.Contains(text+do, "{{") {
				t.Errorf("%s: %s: %s %s", lang, code, text, do)
			}
		}
	}
}
