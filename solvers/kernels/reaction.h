/* Two reacting species, on a torus or between walls.

     N_c = scale_c R(u, v) + sum_d matrix_cd u_d + constant_c,     R = u v^2 or u^3

   z = u + i v goes to the points in one complex transform; R is real, so two rows share one
   forward transform, and only the waves k1 >= 0 are transformed along axis 0. On a Neumann box
   coefficients are real, u + i v is a coefficient array, and two columns share the transform of R
   along axis 0, too. What is linear is added to the coefficients, or, where the matrix is diagonal
   on a torus, lies in the stages' weights (lawson.h): then R is all that a stage leaves. */

INLINE vec reaction_at(cvec z, const int rate) {
    return rate == U_V_V ? z.r * z.i * z.i : z.r * z.r * z.r;
}

/* One row to points and R there: into `values`, or, beside those of the row before as real parts,
   as imaginary parts forward again. */
INLINE void reaction_row(workspace *w, const cvec *row, const int second, const int rate) {
    const plan *p = &w->plan[1];
    int size = p->n / p->radix[0];
    vec *value = (vec *)w->side;
    enter(p, row, w->work);
    for (cvec *block = w->work; block < w->work + p->n; block += size) {
        descend(p, block);
        for (cvec *x = block; x < block + size; x += INNER, value += INNER) {
            cvec z[INNER];
            for (int q = 0; q < INNER; q++) z[q] = get(x + q);
            dft8(z, INVERSE, 0);
            if (second) {
                for (int q = 0; q < INNER; q++) z[q] = (cvec){value[q], reaction_at(z[q], rate)};
                dft8(z, FORWARD, 0);
                for (int q = 0; q < INNER; q++) put(x + q, z[q]);
            } else {
                for (int q = 0; q < INNER; q++) value[q] = reaction_at(z[q], rate);
            }
        }
        if (second) ascend(p, block);
    }
    if (second) leave(p, w->work, w->wave[0]);
}

static void reaction_rows(workspace *w, cvec *row) {
    const plan *p = &w->plan[1];
    cvec *next = row + w->row, *packed = w->wave[0];
    const REAL half = (REAL)0.5;
    if (w->task.rate == U_V_V) {
        reaction_row(w, row, 0, U_V_V);
        reaction_row(w, next, 1, U_V_V);
    } else {
        reaction_row(w, row, 0, U_U_U);
        reaction_row(w, next, 1, U_U_U);
    }
    if (w->neumann) { /* cosine coefficients are real: columns k1 and k1 + 1 share a slot */
        for (int k = 0; k <= p->kept; k += 2) {
            cvec x = packed[k], y = k < p->kept ? packed[k + 1] : (cvec){(vec){0}, (vec){0}};
            row[k] = (cvec){x.r, y.r};
            next[k] = (cvec){x.i, y.i};
        }
        return;
    }
    for (int k = 0; k <= p->kept; k++) {
        cvec x = packed[k], y = packed[mirror(p, k)];
        row[k] = (cvec){(x.r + y.r) * half, (x.i - y.i) * half};
        next[k] = (cvec){(x.i + y.i) * half, (y.r - x.r) * half};
    }
}

/* R along column 0 is kept Hermitian to the last bit, as a real field's */
static void reaction_mirror(const workspace *w, cvec *r) {
    r[0].i = (vec){0};
    for (int a = 1; a <= w->plan[0].kept; a++)
        r[w->count - a] = (cvec){r[a].r, -r[a].i};
}

/* N_c along column k1 from R's coefficients (times the number of points) and the state's */
static void reaction_rate(const workspace *w, const cvec *r, cvec *const *state, int k1, int c,
                          cvec *rate) {
    const job *task = &w->task;
    int kept = w->plan[0].kept, count = 2 * kept + 1, last = k1 ? count : kept + 1;
    REAL scale = (REAL)(task->scale[c] / ((double)task->n[0] * task->n[1]));
    REAL to_u = (REAL)task->matrix[c][0], to_v = (REAL)task->matrix[c][1];
    const cvec *u = state[0], *v = state[1];
    for (int a = 0; a < last; a++)
        rate[a] = (cvec){r[a].r * scale + u[a].r * to_u + v[a].r * to_v,
                         r[a].i * scale + u[a].i * to_u + v[a].i * to_v};
    if (k1) return;
    rate[0].r += (REAL)task->constant[c];
    rate[0].i = (vec){0};
    for (int a = 1; a <= kept; a++) rate[count - a] = (cvec){rate[a].r, -rate[a].i};
}

/* The same on a Neumann box, both species at once; R lies in the real parts of even columns and in
   the imaginary parts of odd ones, already a mean. */
static void reaction_rate_neumann(const workspace *w, const cvec *r, const cvec *state, int k1,
                                  cvec *rate) {
    const job *task = &w->task;
    REAL s0 = (REAL)task->scale[0], s1 = (REAL)task->scale[1];
    REAL m00 = (REAL)task->matrix[0][0], m01 = (REAL)task->matrix[0][1];
    REAL m10 = (REAL)task->matrix[1][0], m11 = (REAL)task->matrix[1][1];
    for (int a = 0; a < w->count; a++) {
        vec R = k1 & 1 ? r[a].i : r[a].r;
        cvec x = state[a];
        rate[a] = (cvec){R * s0 + x.r * m00 + x.i * m01, R * s1 + x.r * m10 + x.i * m11};
    }
    if (k1) return;
    rate[0].r += (REAL)task->constant[0];
    rate[0].i += (REAL)task->constant[1];
}
