/* The advection of a vorticity in the plane, two complex transforms a right-hand side.

   With z = u + i v one inverse transform gives the velocity, z^2 = u^2 - v^2 + 2 i u v both
   products of Basdevant's form, and one forward transform their coefficients Z:

     N(k) = -S (Z(k) + Z(-k)*) - i P (Z(k) - Z(-k)*) + f,
     S = k_0 k_1 / 2,   P = (k_1^2 - k_0^2) / 4,   z(k) = (k_1 + i k_0) / |k|^2 w(k).

     Basdevant, J. Comput. Phys. 50 (1983), doi:10.1016/0021-9991(83)90045-5 */

static int vorticity_symbols(workspace *w) {
    int count = 2 * w->plan[0].kept + 1;
    double mean = 1.0 / ((double)w->task.n[0] * w->task.n[1]);
    REAL *s = w->symbol = malloc(sizeof(REAL) * 4 * (size_t)count * w->columns);
    if (!s) return 0;
    for (int k1 = 0; k1 < w->columns; k1++)
        for (int slot = 0; slot < count; slot++, s += 4) {
            double y = w->task.unit[0] * (slot <= w->plan[0].kept ? slot : slot - count);
            double x = w->task.unit[1] * k1, square = x * x + y * y;
            s[0] = (REAL)(square > 0 ? x / square : 0);
            s[1] = (REAL)(square > 0 ? y / square : 0);
            s[2] = (REAL)(x * y / 2 * mean);
            s[3] = (REAL)((x * x - y * y) / 4 * mean);
        }
    return 1;
}

/* z along column k1, and along -k1 from the conjugates */
static void vorticity_pack(const workspace *w, const cvec *from, int k1, cvec *plus, cvec *minus) {
    int count = 2 * w->plan[0].kept + 1;
    const REAL *s = w->symbol + 4 * (size_t)k1 * count;
    for (int a = 0; a < count; a++, s += 4) {
        cvec q = from[a];
        plus[a] = (cvec){q.r * s[0] - q.i * s[1], q.r * s[1] + q.i * s[0]};
        minus[mirror(&w->plan[0], a)] = (cvec){-(q.r * s[0] + q.i * s[1]),
                                               q.i * s[0] - q.r * s[1]};
    }
}

static void vorticity_row(workspace *w, cvec *row) {
    const plan *p = &w->plan[1];
    int size = p->n / p->radix[0];
    enter(p, row, w->work);
    for (cvec *block = w->work; block < w->work + p->n; block += size) {
        descend(p, block);
        for (cvec *x = block; x < block + size; x += INNER) {
            cvec z[INNER];
            for (int q = 0; q < INNER; q++) z[q] = x[q];
            dft8(z, INVERSE, 0);
            for (int q = 0; q < INNER; q++)
                z[q] = (cvec){z[q].r * z[q].r - z[q].i * z[q].i, (z[q].r + z[q].r) * z[q].i};
            dft8(z, FORWARD, 0);
            for (int q = 0; q < INNER; q++) x[q] = z[q];
        }
        ascend(p, block);
    }
    leave(p, w->work, row);
}

/* N along column k1 from Z along k1 and -k1; column 0 is kept Hermitian to the last bit */
static void vorticity_rate(const workspace *w, const cvec *plus, const cvec *minus, int k1,
                           cvec *rate) {
    int kept = w->plan[0].kept, count = 2 * kept + 1, last = k1 ? count : kept + 1;
    const REAL *s = w->symbol + 4 * (size_t)k1 * count;
    for (int a = 0; a < last; a++) {
        cvec z = plus[a], m = minus[mirror(&w->plan[0], a)];
        REAL S = s[4 * a + 2], P = s[4 * a + 3];
        rate[a] = (cvec){(z.i + m.i) * P - (z.r + m.r) * S, -((z.i - m.i) * S) - (z.r - m.r) * P};
    }
    if (w->steady) {
        const REAL *f = w->steady + 2 * (size_t)k1 * count;
        for (int a = 0; a < last; a++) {
            rate[a].r += f[2 * a];
            rate[a].i += f[2 * a + 1];
        }
    }
    if (w->forcing) {
        const cvec *f = w->forcing + (size_t)k1 * count;
        for (int a = 0; a < last; a++) rate[a] = add(rate[a], f[a]);
    }
    if (k1) return;
    rate[0] = (cvec){(vec){0}, (vec){0}}; /* a torus has no mean vorticity */
    for (int a = 1; a <= kept; a++) rate[count - a] = (cvec){rate[a].r, -rate[a].i};
}
