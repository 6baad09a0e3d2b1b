/* Orthonormal cosine coefficients by complex FFTs of the same length (Neumann boundaries).

   x_m = sum_k c(k) C_k cos(pi k (2 m + 1) / 2 n), c(0) = 1, c(k) = sqrt 2. With the even points in
   front, the odd ones backwards behind them, and theta = pi k / 2 n, the waves V of that sequence
   (over n) and the cosine coefficients are

     V_k = e^{i theta} (C_k / c(k) - i C_{n-k} / c(n-k)),   C_n = 0,
     C_k = c(k) / 2n (e^{-i theta} V_k + e^{i theta} V_{n-k}).

   Both hold for complex x: two real fields, or two rows, go through one transform. That the points
   come in another order does not matter, as nothing looks at their neighbours.

     Makhoul, IEEE Trans. Acoust. Speech Signal Process. 28 (1980),
     doi:10.1109/TASSP.1980.1163351 */

static void cosines_to_waves(const plan *p, const cvec *c, cvec *x) {
    const REAL *q = p->quarter;
    int n = p->n, kept = p->kept;
    x[0] = c[0];
    for (int k = 1; k <= n - k; k++) { /* k and n - k: cosine and sine change places */
        cvec zero = {(vec){0}, (vec){0}};
        cvec a = k <= kept ? c[k] : zero, b = n - k <= kept ? c[n - k] : zero;
        REAL cosine = q[2 * k], sine = q[2 * k + 1];
        cvec s = {a.r + b.i, a.i - b.r}, t = {b.r + a.i, b.i - a.r};
        x[k] = (cvec){s.r * cosine - s.i * sine, s.i * cosine + s.r * sine};
        x[n - k] = (cvec){t.r * sine - t.i * cosine, t.i * sine + t.r * cosine};
    }
}

static void waves_to_cosines(const plan *p, const cvec *x, cvec *c) {
    const REAL *q = p->quarter;
    const REAL mean = (REAL)(1.0 / p->n); /* q holds 1 / c(k), and c(k) / 2 is that as well */
    c[0] = (cvec){x[0].r * mean, x[0].i * mean};
    for (int k = 1; k <= p->kept; k++) {
        cvec a = x[k], b = x[p->n - k];
        REAL cosine = q[2 * k] * mean, sine = q[2 * k + 1] * mean;
        c[k] = (cvec){(a.r + b.r) * cosine + (a.i - b.i) * sine,
                      (a.i + b.i) * cosine - (a.r - b.r) * sine};
    }
}

/* cos theta_k and sin theta_k over sqrt 2 */
static int cosines_make(plan *p) {
    const double quarter = 1.57079632679489661923132169163975;
    REAL *q = p->quarter = malloc(sizeof(REAL) * 2 * (size_t)p->n);
    if (!q) return 0;
    for (int k = 0; k < p->n; k++) {
        *q++ = (REAL)(sqrt(0.5) * cos(quarter * k / p->n));
        *q++ = (REAL)(sqrt(0.5) * sin(quarter * k / p->n));
    }
    return 1;
}
