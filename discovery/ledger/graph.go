package ledger

import (
	"bytes"
	"slices"
)

// Graph is the entries of one workgroup that this device has accepted. The zero value is not usable: New makes one.
// Not for use by several goroutines at once.
type Graph struct {
	nodes   []node       // parents before children
	index   map[Hash]int // of nodes
	devices []device     // everybody an entry was ever about or by
	number  map[Key]int  // of devices
	order   []int        // nodes in the order of the law
	grants  []int        // the nodes of order that begin a group: Genesis and Admit
	all     set          // of nodes
	now     *view        // what the law says of all; never nil
	held    int          // nodes that are held
	newer   bool         // an entry with a right to be here was of a critical kind that is not known
	cache   *summary     // made when asked for, dropped when anything with an effect arrives
}

// node is an accepted entry.
type node struct {
	*Entry
	ancestors set   // all, without itself
	group     int   // node of the Admit or Genesis under which the author was active; recovery for the recovery key
	acts      []int // of a grant: the entries of its group, without itself
	held      bool  // void when it came, and named by nothing that is not
}

// recovery is the group of the recovery key, senior to all.
const recovery = -1

// device is what entries say of one device, in the order of the law.
type device struct {
	key     Key
	admits  []int // Genesis or Admit
	removes []int
	roles   []int // SetRole
}

// New begins a graph with the genesis of its workgroup.
func New(genesis *Entry) (*Graph, error) {
	if genesis.Kind != Genesis {
		return nil, ErrWorkgroup
	}
	g := &Graph{index: map[Hash]int{}, number: map[Key]int{}}
	g.link(node{Entry: genesis})
	g.now = g.resolve(g.all)
	return g, nil
}

// Workgroup returns the ID of the workgroup.
func (g *Graph) Workgroup() Hash { return g.nodes[0].id }

// Genesis returns the entry that everything rests on.
func (g *Graph) Genesis() *Entry { return g.nodes[0].Entry }

// Has reports whether the entry is here, void or not.
func (g *Graph) Has(id Hash) bool { _, ok := g.index[id]; return ok }

// Held returns how many void entries are kept that nothing needs.
func (g *Graph) Held() int { return g.held }

// NeedsUpdate reports whether somebody with a right to wrote an entry that only a newer program understands. It is not here, nor
// can be what builds on it; the state is the last one that this program understands. Entries beside it are still taken, so that
// nobody keeps a removal from arriving by signing nonsense.
func (g *Graph) NeedsUpdate() bool { return g.newer }

// Insert adds one entry whose parents are here, or says why not; of an entry with ErrParent nothing is remembered. The verdict
// depends on the entry's ancestors alone, so everybody reaches the same.
//
// It returns the entries that are now to be stored, and passed on to others: none if e was here before or is void. A void entry
// stays, unseen, for as long as Trim leaves it; when something that is not void names it, it is returned then, before its child.
func (g *Graph) Insert(e *Entry) (kept []*Entry, err error) {
	if g.Has(e.id) {
		return nil, nil
	}
	if e.Workgroup != g.Workgroup() {
		return nil, ErrWorkgroup
	}
	if len(g.nodes) >= MaxEntries {
		if g.Trim(); len(g.nodes) >= MaxEntries {
			return nil, ErrFull
		}
	}
	n := node{Entry: e}
	if err := g.root(&n); err != nil {
		return nil, err
	}
	top := g.all.within(n.ancestors, g.now.void) // written with everything in sight that counts
	past := g.now
	if !top {
		past = g.resolve(n.ancestors)
	}
	if n.group, err = g.accept(e, past); err != nil {
		return nil, err
	}
	void := g.isVoid(g.now, g.all, &n, none)
	if e.Kind.critical() {
		g.newer = g.newer || !void
		return nil, ErrUpdate
	}
	i := g.link(n)
	if void {
		g.now.void.add(i)
		g.nodes[i].held = true
		g.held++
		return nil, nil
	}
	g.cache = nil
	if e.rules() && !top {
		g.now = g.resolve(g.all)
	} else if e.Kind != Rename && e.Kind != NewDiscoveryKey && !e.Kind.harmless() {
		g.judge(g.now, g.all, g.number[e.Target]) // nothing else can have changed
	}
	return g.promote(i), nil
}

// root finds the parents of n, its ancestors, and checks its depth.
func (g *Graph) root(n *node) error {
	if len(n.Prev) == 0 {
		return ErrParents
	}
	var depth uint32
	for _, p := range n.Prev {
		i, ok := g.index[p]
		if !ok {
			return ErrParent
		}
		depth = max(depth, g.nodes[i].Depth+1)
	}
	if n.Depth != depth {
		return ErrDepth
	}
	n.ancestors = make(set, len(g.all))
	for _, p := range n.Prev {
		i := g.index[p]
		n.ancestors.or(g.nodes[i].ancestors)
		n.ancestors.add(i)
	}
	return nil
}

// accept decides by the state of e's ancestors whether its author may write it, and in which group.
func (g *Graph) accept(e *Entry, past *view) (group int, err error) {
	standing := func(k Key) standing {
		if d, ok := g.number[k]; ok && d < len(past.devices) {
			return past.devices[d]
		}
		return standing{grant: none}
	}
	author := standing(e.Author)
	switch leaves := e.Kind == Remove && e.Target == e.Author; {
	case e.Author == g.nodes[0].Recovery:
		group = recovery
	case author.grant != none && (author.role == Admin || leaves):
		group = author.grant
	default:
		return none, ErrRight
	}
	active := standing(e.Target).grant != none
	switch e.Kind {
	case Admit:
		if active || e.Target == g.nodes[0].Recovery {
			return none, ErrTarget
		}
	case Remove, SetRole:
		if !active {
			return none, ErrTarget
		}
	}
	return group, nil
}

// link adds an accepted node.
func (g *Graph) link(n node) int {
	i := len(g.nodes)
	g.nodes = append(g.nodes, n)
	g.index[n.id] = i
	g.all.add(i)
	g.order = g.sorted(g.order, i)
	switch n.Kind {
	case Genesis:
		g.device(n.Author).admits = []int{i}
	case Admit:
		d := g.device(n.Target)
		d.admits = g.sorted(d.admits, i)
	case Remove:
		d := g.device(n.Target)
		d.removes = g.sorted(d.removes, i)
	case SetRole:
		d := g.device(n.Target)
		d.roles = g.sorted(d.roles, i)
	}
	if n.Kind == Genesis || n.Kind == Admit {
		g.grants = g.sorted(g.grants, i)
	}
	if n.Kind != Genesis && n.group != recovery {
		g.nodes[n.group].acts = append(g.nodes[n.group].acts, i)
	}
	return i
}

// device returns the device of key k, a new one if need be. The pointer is good until the next call.
func (g *Graph) device(k Key) *device {
	d, ok := g.number[k]
	if !ok {
		d = len(g.devices)
		g.number[k] = d
		g.devices = append(g.devices, device{key: k})
	}
	return &g.devices[d]
}

// compare is the order of the law. It extends the order of ancestors.
func (g *Graph) compare(a, b int) int {
	x, y := &g.nodes[a], &g.nodes[b]
	if x.Depth != y.Depth {
		if x.Depth < y.Depth {
			return -1
		}
		return 1
	}
	return bytes.Compare(x.id[:], y.id[:])
}

// sorted inserts i where it belongs in the order of the law.
func (g *Graph) sorted(list []int, i int) []int {
	at, _ := slices.BinarySearchFunc(list, i, g.compare)
	return slices.Insert(list, at, i)
}
