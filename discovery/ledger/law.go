package ledger

// none is no node.
const none = -2

// view is what the law says of a set of entries that holds every ancestor of its members.
type view struct {
	void    set
	devices []standing // by the number of the device
}

// standing is what a device is in a view.
type standing struct {
	grant int // the earliest Admit or Genesis it is active by; none if it is not
	role  Role
}

// rules reports whether e can make entries of others void.
func (e *Entry) rules() bool { return e.Kind == Remove || e.Kind == SetRole && e.Role != Admin }

// subject returns whom a grant lets in.
func (n *node) subject() Key {
	if n.Kind == Genesis {
		return n.Author
	}
	return n.Target
}

// resolve applies the law to s, from the senior groups to the junior ones: a group is judged by its seniors only.
func (g *Graph) resolve(s set) *view {
	v := &view{void: make(set, len(s))}
	for _, grant := range g.grants {
		if !s.has(grant) {
			continue
		}
		for _, i := range g.nodes[grant].acts {
			if s.has(i) && g.isVoid(v, s, &g.nodes[i], i) {
				v.void.add(i)
			}
		}
	}
	for d := range g.devices {
		g.judge(v, s, d)
	}
	return v
}

// isVoid says whether n is void in s, where v knows which entries of senior groups are. i is the index of n, none if it is new.
func (g *Graph) isVoid(v *view, s set, n *node, i int) bool {
	if n.group == recovery || n.Kind == Genesis {
		return false
	}
	if v.void.has(n.group) {
		return true
	}
	grant := &g.nodes[n.group]
	dev := &g.devices[g.number[grant.subject()]]
	// A senior's ruling keeps exactly what its author had seen.
	cuts := func(r int) bool {
		ruling := &g.nodes[r]
		return s.has(r) && !v.void.has(r) && g.senior(ruling.group, n.group) &&
			!grant.ancestors.has(r) && (i == none || !ruling.ancestors.has(i))
	}
	for _, r := range dev.removes {
		if cuts(r) {
			return true
		}
	}
	if n.Kind == Remove && n.Target == n.Author {
		return false // leaving is no act of an admin
	}
	for _, r := range dev.roles {
		if g.nodes[r].Role != Admin && cuts(r) {
			return true
		}
	}
	return false
}

// senior reports whether group a stands strictly above group b.
func (g *Graph) senior(a, b int) bool {
	if a == b || b == recovery {
		return false
	}
	return a == recovery || g.compare(a, b) < 0
}

// judge sets what device d is in s, by the void entries of v.
func (g *Graph) judge(v *view, s set, d int) {
	for len(v.devices) < len(g.devices) {
		v.devices = append(v.devices, standing{grant: none})
	}
	dev := &g.devices[d]
	v.devices[d] = standing{grant: none}
	for _, a := range dev.admits {
		if !s.has(a) || v.void.has(a) || !g.knowsAll(v, s, a, dev.removes) {
			continue
		}
		role := g.nodes[a].Role
		if g.nodes[a].Kind == Genesis {
			role = Admin
		}
		for _, r := range dev.roles {
			if s.has(r) && !v.void.has(r) && g.nodes[r].ancestors.has(a) {
				role = g.nodes[r].Role
			}
		}
		v.devices[d] = standing{a, role}
		return
	}
}

// knowsAll reports whether every removal of s that is not void is an ancestor of the Admit a: a removal beats an admission
// that did not know of it.
func (g *Graph) knowsAll(v *view, s set, a int, removes []int) bool {
	for _, r := range removes {
		if s.has(r) && !v.void.has(r) && !g.nodes[a].ancestors.has(r) {
			return false
		}
	}
	return true
}
