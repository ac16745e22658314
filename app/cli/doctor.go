package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"porchlight/app/control"
	"porchlight/app/doctor"
)

// errTrouble ends doctor with the exit code for trouble; everything has been said by then.
var errTrouble = errors.New("there is trouble")

type findingRow struct {
	Code   doctor.Code       `json:"code"`
	Level  doctor.Level      `json:"level"`
	Text   string            `json:"text"`
	Do     string            `json:"do,omitempty"`
	Params map[string]string `json:"params,omitempty"`
	Fix    []string          `json:"fix,omitempty"`
	Brief  bool              `json:"brief,omitempty"`
}

func diagnose(ctx context.Context, c *call, e control.Engine) error {
	found, err := e.Diagnose(ctx)
	if err != nil {
		return err
	}
	if c.json {
		err = list(c, found, func(f doctor.Finding) findingRow {
			text, do := c.words.finding(f)
			return findingRow{Code: f.Code, Level: f.Level, Text: text, Do: do, Params: f.Params, Fix: f.Fix, Brief: f.Brief}
		})
	} else {
		err = printFindings(c, found)
	}
	if err == nil && doctor.Bad(found) {
		err = errTrouble
	}
	return err
}

func printFindings(c *call, found []doctor.Finding) error {
	width := 0
	for _, l := range []doctor.Level{doctor.Good, doctor.Hint, doctor.Trouble} {
		width = max(width, len(c.words.level(l)))
	}
	indent := strings.Repeat(" ", width+2)
	var b strings.Builder
	for _, f := range found {
		text, do := c.words.finding(f)
		fmt.Fprintf(&b, "%-*s  %s\n", width, c.words.level(f.Level), strings.TrimPrefix(wrap(text, indent), indent))
		if do != "" {
			fmt.Fprintln(&b, wrap(do, indent))
		}
		if len(f.Fix) > 0 {
			fmt.Fprintln(&b, wrap(c.words.Text("doctor.fix"), indent))
		}
		for _, line := range f.Fix {
			fmt.Fprintf(&b, "%s  %s\n", indent, show(line))
		}
		if f.Brief {
			fmt.Fprintln(&b, wrap(c.words.Text("doctor.fix.brief"), indent))
		}
	}
	_, err := fmt.Fprint(c.Stdout, b.String())
	return err
}

func (w words) level(l doctor.Level) string { return w.value("cli.doctor.", string(l)) }

// finding is what a finding says, and what to do about it if there is something to do.
func (w words) finding(f doctor.Finding) (text, do string) {
	var params []any
	for name, value := range f.Params {
		params = append(params, name, show(value))
	}
	key := "doctor." + string(f.Code)
	if service := "health." + f.Params["Service"]; f.Code == doctor.Service && w.Has(service) {
		key = service
	}
	text = w.Text(key, params...)
	if key += ".do"; w.Has(key) && f.Level != doctor.Good {
		do = w.Text(key, params...)
	}
	return text, do
}
