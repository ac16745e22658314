package cli

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"porchlight/app/control"
	"porchlight/discovery"
	"porchlight/discovery/workgroup"
	"porchlight/share"
)

// whom finds workgroups, persons and devices by the names that --to takes.
type whom struct {
	*resolver
	groups []workgroup.Workgroup // those this computer is in
}

func newWhom(ctx context.Context, e control.Engine) (*whom, error) {
	r, err := newResolver(ctx, e)
	if err != nil {
		return nil, err
	}
	all, err := e.Workgroups(ctx)
	return &whom{r, slices.DeleteFunc(all, isOut)}, err
}

// person is somebody in one workgroup.
type person struct {
	in workgroup.Workgroup
	is workgroup.Member // one of the devices
}

// find returns the rows for what a text names. One name of several things is an error that says how to name each.
func (r *whom) find(ctx context.Context, text string) ([]share.Grant, error) {
	for _, kind := range []string{ofWorkgroup, ofPerson, ofDevice} {
		name, said := strings.CutPrefix(text, kind)
		if !said {
			continue
		}
		switch kind {
		case ofWorkgroup:
			return r.one(text, groupsNamed(r.groups, name), nil, nil)
		case ofPerson:
			return r.one(text, nil, r.persons(name), nil)
		}
		p, err := r.proven(ctx, name)
		if err != nil {
			return nil, err
		}
		return r.one(text, nil, nil, &p)
	}
	groups, persons := groupsNamed(r.groups, text), r.persons(text)
	p, err := r.proven(ctx, text)
	switch {
	case err == nil:
		// Whoever was let in alone is a person of the device's name: the device says the same.
		persons = slices.DeleteFunc(persons, func(x person) bool { return x.alone(p.ID) })
		return r.one(text, groups, persons, &p)
	case len(groups)+len(persons) > 0 && !isAmbiguous(r.peers, text):
		return r.one(text, groups, persons, nil)
	}
	return nil, err
}

// alone reports whether the person has that device and no other.
func (x person) alone(id discovery.DeviceID) bool {
	return !slices.ContainsFunc(x.in.Members, func(m workgroup.Member) bool { return m.Person == x.is.Person && m.ID != id })
}

// persons returns those whose name the text is, alone or after the name of their workgroup and a slash.
func (r *whom) persons(text string) (out []person) {
	for _, w := range r.groups {
		names := []string{text}
		for _, in := range []string{w.Name, w.Short, w.ID.String()} {
			if len(text) > len(in) && strings.EqualFold(text[:len(in)], in) && text[len(in)] == '/' {
				names = append(names, text[len(in)+1:])
			}
		}
		for _, name := range names {
			found := personsNamed(w, name)
			if id, err := hex.DecodeString(name); err == nil && len(found) == 0 {
				i := slices.IndexFunc(w.Members, func(m workgroup.Member) bool { return slices.Equal(m.Person[:], id) })
				if i >= 0 {
					found = w.Members[i : i+1]
				}
			}
			for _, m := range found {
				out = append(out, person{w, m})
			}
		}
	}
	return out
}

// one returns the rows of the one thing that was found, or says how to name each.
func (r *whom) one(text string, groups []workgroup.Workgroup, persons []person, device *discovery.Peer) ([]share.Grant, error) {
	n := len(groups) + len(persons)
	if device != nil {
		n++
	}
	switch {
	case n == 0:
		return nil, notFound("cli.error.no-whom", "Name", show(text))
	case n > 1:
		return nil, ambiguous(text, groups, persons, device)
	case len(groups) == 1:
		return []share.Grant{{Who: share.ToEveryone, Workgroup: groups[0].ID, Level: share.LookOnly}}, nil
	case len(persons) == 1:
		return []share.Grant{{Who: share.ToPerson, Workgroup: persons[0].in.ID, Person: persons[0].is.Person, Level: share.LookOnly}}, nil
	}
	// A member is named as one: what it may do ends when it is removed.
	var rows []share.Grant
	for _, id := range device.Groups {
		rows = append(rows, share.Grant{Who: share.ToDevice, Workgroup: id, Device: device.ID, Level: share.LookOnly})
	}
	if len(rows) == 0 {
		rows = []share.Grant{{Who: share.ToDevice, Device: device.ID, Level: share.LookOnly}}
	}
	return rows, nil
}

func ambiguous(text string, groups []workgroup.Workgroup, persons []person, device *discovery.Peer) error {
	f := failed(exitNotFound, nil, "cli.error.whom", "Name", show(text))
	add := func(exact, key, name string) {
		f.said = append(f.said, sentence{"cli.error.exact", []any{"Exact", show(exact), "What", term{"cli.whom.", key}, "Name", show(name)}})
	}
	unique := func(w workgroup.Workgroup) string {
		if w.Twin {
			return w.Short
		}
		return w.Name
	}
	for _, w := range groups {
		add(ofWorkgroup+unique(w), "workgroup", w.Name)
	}
	for _, p := range persons {
		twin := slices.ContainsFunc(persons, func(o person) bool { return o.in.ID == p.in.ID && o.is.Person != p.is.Person })
		name := p.is.PersonName
		if twin {
			name = hex.EncodeToString(p.is.Person[:])
		}
		add(ofPerson+unique(p.in)+"/"+name, "person", p.is.PersonName)
	}
	if device != nil {
		add(ofDevice+device.ID.String()[:15], "device", device.Name)
	}
	return f
}
