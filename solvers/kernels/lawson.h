/* Stages of an embedded Runge-Kutta pair behind the integrating factor (Lawson's schemes):

     u_i = E(c_i) u + h sum_j a_ij E(c_i - c_j) k_j,      E(c) = exp(c h L),

   each lane with a step h of its own. L is a sum over the axes, so E is a product of two
   one-dimensional tables, rebuilt when a lane's h has changed. A stage passes over memory once;
   the weights h a_ij and the second axis's factor become one number a column.

   Where N = s R + m u + n, m and n numbers, the stages' m u_j are put into their places: E is
   multiplicative, so that

     u_i = p_i E(c_i) u + sum_j q_ij E(c_i - c_j) (s R_j + n),
     p_i = 1 + h m sum_j a_ij p_j,      q_il = h a_il + h m sum_j a_ij q_jl,

   and of a stage R_j alone is kept. Elsewhere m = 0 and p_i = 1, q_ij = h a_ij.

     Lawson, SIAM J. Numer. Anal. 4 (1967), doi:10.1137/0704033 */

enum { MAX_LAGS = 32, MAX_ROWS = MAX_STAGES + 1, MAX_TERMS = MAX_STAGES + 1 };

typedef struct {
    int lags, stages, channels, kept[2];
    double lag[MAX_LAGS];                     /* the different values of c_i and c_i - c_j */
    int of_state[MAX_ROWS], of_rate[MAX_ROWS][MAX_STAGES]; /* their lags; */
    int uses[MAX_ROWS][MAX_STAGES];           /* whether row i has k_j; row `stages`: the error */
    double decay[MAX_CHANNELS], scale[MAX_CHANNELS], constant[MAX_CHANNELS]; /* m, s and n */
    double h[LANES];                          /* the steps the tables are for */
    vec start[MAX_CHANNELS][MAX_ROWS];        /* p_i */
    vec weight[MAX_CHANNELS][MAX_ROWS][MAX_STAGES]; /* s q_ij */
    vec offset[MAX_CHANNELS][MAX_ROWS];       /* what n gives to the mean */
    vec *along[2];                            /* (channel, lag, wave) of the axes */
} lawson;

static int find_lag(lawson *t, double lag) {
    int d = 0;
    while (d < t->lags && fabs(t->lag[d] - lag) > 1e-14) d++;
    if (d == t->lags) t->lag[t->lags++] = lag;
    return d;
}

INLINE vec *factors(const lawson *t, int axis, int channel, int lag) {
    return t->along[axis] + (size_t)(channel * t->lags + lag) * (t->kept[axis] + 1);
}

INLINE double row_weight(const job *task, int i, int j) {
    return i < task->stages ? task->a[i][j] : task->e[j];
}

/* `decays`: rates are R alone, the rest of N is in the weights */
static int lawson_make(lawson *t, const job *task, int decays) {
    memset(t, 0, sizeof *t);
    t->stages = task->stages;
    t->channels = task->channels;
    for (int c = 0; c < t->channels; c++) {
        /* transforms leave R's coefficients times the number of points */
        t->scale[c] = decays ? task->scale[c] / ((double)task->n[0] * task->n[1]) : 1;
        t->decay[c] = decays ? task->matrix[c][c] : 0;
        t->constant[c] = decays ? task->constant[c] : 0;
    }
    for (int i = 0; i <= t->stages; i++) {
        double node = i < t->stages ? task->c[i] : 1;
        t->of_state[i] = find_lag(t, node);
        for (int j = i - 1; j >= 0; j--) {
            t->uses[i][j] = row_weight(task, i, j) != 0;
            for (int l = j + 1; l < i && decays; l++)
                t->uses[i][j] |= row_weight(task, i, l) != 0 && t->uses[l][j];
            if (t->uses[i][j]) t->of_rate[i][j] = find_lag(t, node - task->c[j]);
        }
    }
    for (int axis = 0; axis < 2; axis++) {
        t->kept[axis] = task->kept[axis];
        size_t count = (size_t)t->channels * t->lags * (t->kept[axis] + 1);
        if (!(t->along[axis] = aligned_alloc(64, (count * sizeof(vec) + 63) / 64 * 64))) return 0;
    }
    for (int l = 0; l < LANES; l++) t->h[l] = -1;
    return 1;
}

/* p_i, s q_ij and the mean's share of one channel */
static void lawson_weights(lawson *t, const job *task, int c) {
    double p[MAX_ROWS][LANES], q[MAX_ROWS][MAX_STAGES][LANES], lane[LANES];
    const double m = t->decay[c], mean = task->symbol[0][c * (t->kept[0] + 1)] +
                                         task->symbol[1][c * (t->kept[1] + 1)];
    for (int i = 0; i <= t->stages; i++) {
        double offset[LANES] = {0};
        for (int l = 0; l < LANES; l++) {
            p[i][l] = i < t->stages;
            for (int j = 0; j < i; j++) p[i][l] += t->h[l] * m * row_weight(task, i, j) * p[j][l];
        }
        for (int j = 0; j < i; j++) {
            double lag = (i < t->stages ? task->c[i] : 1) - task->c[j];
            for (int l = 0; l < LANES; l++) {
                double h = t->h[l], sum = h * row_weight(task, i, j);
                for (int s = j + 1; s < i; s++) sum += h * m * row_weight(task, i, s) * q[s][j][l];
                q[i][j][l] = sum;
                lane[l] = t->scale[c] * sum;
                offset[l] += sum * t->constant[c] * exp(lag * h * mean);
            }
            t->weight[c][i][j] = narrow(lane);
        }
        t->start[c][i] = narrow(p[i]);
        t->offset[c][i] = narrow(offset);
    }
}

/* tables for the steps h (one a lane) */
static void lawson_build(lawson *t, const job *task, const double *h) {
    memcpy(t->h, h, sizeof t->h);
    for (int c = 0; c < t->channels; c++) {
        for (int d = 0; d < t->lags; d++)
            for (int axis = 0; axis < 2; axis++)
                for (int k = 0; k <= t->kept[axis]; k++) {
                    double lane[LANES];
                    double rate = t->lag[d] * task->symbol[axis][c * (t->kept[axis] + 1) + k];
                    for (int half = 0; half < HALVES; half++) {
                        dvec x;
                        memcpy(&x, h + half * PART, sizeof x);
                        x = exponential(x * rate);
                        memcpy(lane + half * PART, &x, sizeof x);
                    }
                    factors(t, axis, c, d)[k] = narrow(lane);
                }
        lawson_weights(t, task, c);
    }
}

/* what one column's combination reads: its columns, their factors along axis 0 and as a whole */
typedef struct {
    int count;
    const cvec *from[MAX_TERMS];
    const vec *along[MAX_TERMS];
    vec factor[MAX_TERMS], offset; /* what is added to wave 0 */
} terms;

INLINE void combine_terms(const terms *t, const int count, int kept, cvec *out) {
    vec f[MAX_TERMS];
    for (int n = 0; n < count; n++) f[n] = t->along[n][0] * t->factor[n];
    cvec sum = {t->from[0][0].r * f[0] + t->offset, t->from[0][0].i * f[0]};
    for (int n = 1; n < count; n++) {
        sum.r += t->from[n][0].r * f[n];
        sum.i += t->from[n][0].i * f[n];
    }
    out[0] = sum;
    for (int k = 1; k <= kept; k++) {
        int m = 2 * kept + 1 - k; /* wave -k has the factors of wave k */
        vec g = t->along[0][k] * t->factor[0];
        cvec x = t->from[0][k], y = t->from[0][m];
        cvec plus = {x.r * g, x.i * g}, minus = {y.r * g, y.i * g};
        for (int n = 1; n < count; n++) {
            g = t->along[n][k] * t->factor[n];
            x = t->from[n][k];
            y = t->from[n][m];
            plus.r += x.r * g;
            plus.i += x.i * g;
            minus.r += y.r * g;
            minus.i += y.i * g;
        }
        out[k] = plus;
        out[m] = minus;
    }
}

/* Two species on a torus, at once: z = u + i v along column k1 into `plus`, along -k1 (from the
   conjugates) into `minus`, and u and v themselves into u[k], v[k], where they are wanted. */
INLINE void combine_packed(const terms *t, const terms *other, const int count, const int shared,
                           int kept, cvec *plus, cvec *minus, cvec *u, cvec *v) {
    for (int k = 0; k <= kept; k++) {
        int m = k ? 2 * kept + 1 - k : 0; /* wave -k has the factors of wave k */
        cvec a = {(vec){0}, (vec){0}}, b = a, c = a, d = a; /* u(k), u(-k), v(k), v(-k) */
        if (k == 0) a.r = b.r = t->offset, c.r = d.r = other->offset;
        for (int n = 0; n < count; n++) {
            vec f = t->along[n][k] * t->factor[n], g = other->along[n][k] * other->factor[n];
            cvec x = t->from[n][k], y = t->from[n][m];
            a = (cvec){a.r + x.r * f, a.i + x.i * f};
            b = (cvec){b.r + y.r * f, b.i + y.i * f};
            if (!(shared && n)) x = other->from[n][k], y = other->from[n][m];
            c = (cvec){c.r + x.r * g, c.i + x.i * g};
            d = (cvec){d.r + y.r * g, d.i + y.i * g};
        }
        plus[k] = (cvec){a.r - c.i, a.i + c.r};
        plus[m] = (cvec){b.r - d.i, b.i + d.r};
        minus[m] = (cvec){a.r + c.i, c.r - a.i};
        minus[k] = (cvec){b.r + d.i, d.r - b.i};
        if (u) u[k] = a, u[m] = b, v[k] = c, v[m] = d;
    }
}

/* two real species side by side, each with factors of its own */
INLINE void combine_pair(const terms *t, const terms *other, const int count, int kept,
                         cvec *out) {
    for (int k = 0; k <= kept; k++) {
        cvec sum = {t->from[0][k].r * (t->along[0][k] * t->factor[0]),
                    t->from[0][k].i * (other->along[0][k] * other->factor[0])};
        for (int n = 1; n < count; n++) {
            sum.r += t->from[n][k].r * (t->along[n][k] * t->factor[n]);
            sum.i += t->from[n][k].i * (other->along[n][k] * other->factor[n]);
        }
        out[k] = sum;
    }
}

static void combine_real(const terms *t, const terms *other, int kept, cvec *out) {
    switch (t->count) {
    case 2: combine_pair(t, other, 2, kept, out); break;
    case 3: combine_pair(t, other, 3, kept, out); break;
    case 4: combine_pair(t, other, 4, kept, out); break;
    case 5: combine_pair(t, other, 5, kept, out); break;
    case 6: combine_pair(t, other, 6, kept, out); break;
    default: combine_pair(t, other, t->count, kept, out);
    }
}

#define TORUS(count)                                                                              \
    case count:                                                                                   \
        if (u) combine_packed(t, other, count, 1, kept, plus, minus, u, v);                       \
        else combine_packed(t, other, count, 1, kept, plus, minus, NULL, NULL);                   \
        break;

/* `shared`: the rates are the same for both */
static void combine_torus(const terms *t, const terms *other, int shared, int kept, cvec *plus,
                          cvec *minus, cvec *u, cvec *v) {
    switch (shared ? t->count : 0) {
    TORUS(2) TORUS(3) TORUS(4) TORUS(5) TORUS(6) TORUS(7)
    default: combine_packed(t, other, t->count, shared, kept, plus, minus, u, v);
    }
}

static void combine(const terms *t, int kept, cvec *out) {
    switch (t->count) {
    case 1: combine_terms(t, 1, kept, out); break;
    case 2: combine_terms(t, 2, kept, out); break;
    case 3: combine_terms(t, 3, kept, out); break;
    case 4: combine_terms(t, 4, kept, out); break;
    case 5: combine_terms(t, 5, kept, out); break;
    case 6: combine_terms(t, 6, kept, out); break;
    case 7: combine_terms(t, 7, kept, out); break;
    default: combine_terms(t, 8, kept, out);
    }
}
