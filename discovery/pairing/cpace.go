package pairing

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha512"
	"fmt"
	"io"

	"filippo.io/edwards25519/field"
)

// cpaceDomain is the domain separation string of CPACE-X25519-SHA512.
const cpaceDomain = "CPace255"

// cpace is one side of one run. Only the map to the curve is ours; what touches the secret scalar is crypto/ecdh.
type cpace struct {
	private   *ecdh.PrivateKey
	share, ad []byte
	sid       []byte
	initiator bool
}

// newCPace begins a run with a scalar from rand.
func newCPace(initiator bool, prs, ci, sid, ad []byte, rand io.Reader) (*cpace, error) {
	k, err := random(rand, 32)
	if err != nil {
		return nil, err
	}
	private, err := ecdh.X25519().NewPrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("make a scalar: %w", err)
	}
	g, err := generator(prs, ci, sid)
	if err != nil {
		return nil, err
	}
	share, err := multiply(private, g)
	if err != nil {
		return nil, err
	}
	return &cpace{private, share, ad, sid, initiator}, nil
}

// finish returns the intermediate session key. It refuses points of low order, as the draft demands (scalar_mult_vfy).
func (c *cpace) finish(share, ad []byte) ([]byte, error) {
	k, err := multiply(c.private, share)
	if err != nil {
		return nil, err
	}
	ya, ada, yb, adb := c.share, c.ad, share, ad
	if !c.initiator {
		ya, ada, yb, adb = share, ad, c.share, c.ad
	}
	h := sha512.New()
	h.Write(lv([]byte(cpaceDomain+"_ISK"), c.sid, k))
	h.Write(lv(ya, ada, yb, adb))
	return h.Sum(nil), nil
}

// multiply is X25519. The standard library refuses a result of zero: a point of low order.
func multiply(private *ecdh.PrivateKey, point []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	k, err := private.ECDH(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return k, nil
}

// confirmation returns the key of both sides' proofs (draft §10.4).
func confirmation(sid, isk []byte) []byte {
	h := sha512.New()
	h.Write([]byte("CPaceMac"))
	h.Write(sid)
	h.Write(isk)
	return h.Sum(nil)
}

// proof is what the sender of share and ad shows in the end.
func proof(key, share, ad []byte) []byte {
	m := hmac.New(sha512.New, key)
	m.Write(lv(share, ad))
	return m.Sum(nil)
}

// generatorString pads the code so that it fills the first block of the hash alone.
func generatorString(prs, ci, sid []byte) []byte {
	pad := max(0, sha512.BlockSize-1-len(prefixed(nil, prs))-len(prefixed(nil, []byte(cpaceDomain))))
	return lv([]byte(cpaceDomain), prs, make([]byte, pad), ci, sid)
}

// generator maps code and connection to a point of the curve.
func generator(prs, ci, sid []byte) ([]byte, error) {
	h := sha512.Sum512(generatorString(prs, ci, sid))
	var r field.Element
	if _, err := r.SetBytes(h[:32]); err != nil { // ignores bit 255, as RFC 7748 does
		return nil, fmt.Errorf("map the code to the curve: %w", err)
	}
	return elligator2(&r), nil
}

// elligator2 maps r to the u-coordinate of a point of Curve25519 in constant time (RFC 9380 §6.7.1 with Z = 2): v or -v-A,
// whichever has a square on the right side of the curve, where v = -A/(1+2r²). 1+2r² is never 0.
func elligator2(r *field.Element) []byte {
	var one, a, negA, t, v, right, other, out field.Element
	one.One()
	a.Mult32(&one, 486662)
	negA.Negate(&a)
	t.Square(r)
	t.Add(&t, &t)
	t.Add(&t, &one)
	t.Invert(&t)
	v.Multiply(&negA, &t)
	right.Add(&v, &a)
	right.Multiply(&right, &v)
	right.Add(&right, &one)
	right.Multiply(&right, &v) // v³ + Av² + v
	_, square := new(field.Element).SqrtRatio(&right, &one)
	other.Negate(&v)
	other.Subtract(&other, &a)
	out.Select(&v, &other, square)
	return out.Bytes()
}
