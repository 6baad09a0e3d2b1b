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

INLINE void dft4(cvec *x, const int inverse) {
    cvec a = add(x[0], x[2]), b = sub(x[0], x[2]);
    cvec c = add(x[1], x[3]), d = turn(sub(x[1], x[3]), inverse);
    x[0] = add(a, c);
    x[1] = add(b, d);
    x[2] = sub(a, c);
    x[3] = sub(b, d);
}

INLINE void dft8(cvec *x, const int inverse) {
    const REAL root = (REAL)0.70710678118654752440;
    cvec e[4] = {x[0], x[2], x[4], x[6]}, o[4] = {x[1], x[3], x[5], x[7]};
    dft4(e, inverse);
    dft4(o, inverse);
    cvec t1 = add(o[1], turn(o[1], inverse)), t2 = turn(o[2], inverse);
    cvec t3 = sub(turn(o[3], inverse), o[3]);
    x[0] = add(e[0], o[0]);
    x[4] = sub(e[0], o[0]);
    x[1] = (cvec){e[1].r + t1.r * root, e[1].i + t1.i * root};
    x[5] = (cvec){e[1].r - t1.r * root, e[1].i - t1.i * root};
    x[2] = add(e[2], t2);
    x[6] = sub(e[2], t2);
    x[3] = (cvec){e[3].r + t3.r * root, e[3].i + t3.i * root};
    x[7] = (cvec){e[3].r - t3.r * root, e[3].i - t3.i * root};
}

INLINE void dft(cvec *x, const int radix, const int inverse) {
    if (radix == 2) dft2(x);
    if (radix == 3) dft3(x, inverse);
    if (radix == 4) dft4(x, inverse);
    if (radix == 8) dft8(x, inverse);
}
