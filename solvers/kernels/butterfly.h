/* Discrete Fourier transforms of 2, 3, 4 and 8 numbers, in registers.

   `inverse` is a constant where these are called: exp(+i ...), or exp(-i ...) forward; neither is
   divided by its length. */

enum { FORWARD = 0, INVERSE = 1 };

/* times -i forward, times i inverse */
INLINE cvec turn(cvec a, const int inverse) {
    return inverse ? (cvec){-a.i, a.r} : (cvec){a.i, -a.r};
}

INLINE cvec twist(cvec a, const REAL *w, const int inverse) {
    REAL c = w[0], s = w[1]; /* cos, sin of a positive angle */
    return inverse ? (cvec){a.r * c - a.i * s, a.i * c + a.r * s}
                   : (cvec){a.r * c + a.i * s, a.i * c - a.r * s};
}

INLINE void dft2(cvec *x) {
    cvec a = x[0], b = x[1];
    x[0] = add(a, b);
    x[1] = sub(a, b);
}

INLINE void dft3(cvec *x, const int inverse) {
    const REAL half = (REAL)0.5, sine = (REAL)0.86602540378443864676;
    cvec sum = add(x[1], x[2]), d = turn(sub(x[1], x[2]), inverse);
    cvec m = {x[0].r - sum.r * half, x[0].i - sum.i * half};
    x[0] = add(x[0], sum);
    x[1] = (cvec){m.r + d.r * sine, m.i + d.i * sine};
    x[2] = (cvec){m.r - d.r * sine, m.i - d.i * sine};
}

/* Quarter turns are written out as sums and differences of parts: given a negation, compilers
   compute a difference both ways round. What `gap` says is zero is left out: 1: x[1], 2: x[2]. */
INLINE void dft4(cvec *x, const int inverse, const int gap) {
    cvec a = gap == 2 ? x[0] : add(x[0], x[2]), b = gap == 2 ? x[0] : sub(x[0], x[2]);
    cvec c = gap == 1 ? x[3] : add(x[1], x[3]);
    cvec d = gap == 1 ? x[3] : inverse ? sub(x[1], x[3]) : sub(x[3], x[1]); /* 1: of other sign */
    const int up = gap == 1 ? !inverse : 1;
    cvec plus = {b.r - d.i, b.i + d.r}, minus = {b.r + d.i, b.i - d.r};
    x[0] = add(a, c);
    x[1] = up ? plus : minus;
    x[2] = sub(a, c);
    x[3] = up ? minus : plus;
}

/* `pruned`: x[3] and x[4] are zero */
INLINE void dft8(cvec *x, const int inverse, const int pruned) {
    const REAL root = (REAL)0.70710678118654752440;
    cvec e[4] = {x[0], x[2], x[4], x[6]}, o[4] = {x[1], x[3], x[5], x[7]};
    dft4(e, inverse, pruned ? 2 : 0);
    dft4(o, inverse, pruned ? 1 : 0);
    x[0] = add(e[0], o[0]);
    x[4] = sub(e[0], o[0]);
    /* (1 + i) o1, i o2, (1 - i) o3 and their conjugate factors */
    vec p = o[1].r + o[1].i, m = inverse ? o[1].r - o[1].i : o[1].i - o[1].r;
    cvec first = inverse ? (cvec){m, p} : (cvec){p, m};
    x[1] = (cvec){e[1].r + first.r * root, e[1].i + first.i * root};
    x[5] = (cvec){e[1].r - first.r * root, e[1].i - first.i * root};
    cvec plus = {e[2].r - o[2].i, e[2].i + o[2].r}, minus = {e[2].r + o[2].i, e[2].i - o[2].r};
    x[2] = inverse ? plus : minus;
    x[6] = inverse ? minus : plus;
    vec s = o[3].r + o[3].i, d = inverse ? o[3].r - o[3].i : o[3].i - o[3].r;
    cvec third = inverse ? (cvec){s, d} : (cvec){d, s};
    if (inverse) {
        x[3] = (cvec){e[3].r - third.r * root, e[3].i + third.i * root};
        x[7] = (cvec){e[3].r + third.r * root, e[3].i - third.i * root};
    } else {
        x[3] = (cvec){e[3].r + third.r * root, e[3].i - third.i * root};
        x[7] = (cvec){e[3].r - third.r * root, e[3].i + third.i * root};
    }
}

INLINE void dft(cvec *x, const int radix, const int inverse, const int pruned) {
    if (radix == 2) dft2(x);
    if (radix == 3) dft3(x, inverse);
    if (radix == 4) dft4(x, inverse, 0);
    if (radix == 8) dft8(x, inverse, pruned);
}
