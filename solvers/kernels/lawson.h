/* Stages of an embedded Runge-Kutta pair behind the integrating factor (Lawson's schemes):

     u_i = E(c_i) u + h sum_j a_ij E(c_i - c_j) k_j,      E(c) = exp(c h L),

   each lane with a step h of its own. L is a sum over the axes, so E is a product of two
   one-dimensional tables, rebuilt when a lane's h has changed. A stage passes over memory once;
   the weights h a_ij and the second axis's factor become one number a column.

     Lawson, SIAM J. Numer. Anal. 4 (1967), doi:10.1137/0704033 */

enum { MAX_LAGS = 32, MAX_TERMS = MAX_STAGES + 1 };

typedef struct {
    int lags, stages, channels, kept[2];
    double lag[MAX_LAGS];                     /* the different values of c_i and c_i - c_j */
    int of_state[MAX_STAGES], of_rate[MAX_STAGES][MAX_STAGES], of_error[MAX_STAGES];
    double h[LANES];                          /* the steps the tables are for */
    vec weight[MAX_STAGES][MAX_STAGES], error[MAX_STAGES]; /* h a_ij, h e_j */
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

static int lawson_make(lawson *t, const job *task) {
    memset(t, 0, sizeof *t);
    t->stages = task->stages;
    t->channels = task->channels;
    for (int i = 0; i < t->stages; i++) {
        t->of_state[i] = find_lag(t, task->c[i]);
        for (int j = 0; j < i; j++)
            if (task->a[i][j] != 0) t->of_rate[i][j] = find_lag(t, task->c[i] - task->c[j]);
        t->of_error[i] = find_lag(t, 1 - task->c[i]);
    }
    for (int axis = 0; axis < 2; axis++) {
        t->kept[axis] = task->kept[axis];
        size_t count = (size_t)t->channels * t->lags * (t->kept[axis] + 1);
        if (!(t->along[axis] = aligned_alloc(64, (count * sizeof(vec) + 63) / 64 * 64))) return 0;
    }
    for (int l = 0; l < LANES; l++) t->h[l] = -1;
    return 1;
}

/* tables for the steps h (one a lane) */
static void lawson_build(lawson *t, const job *task, const double *h) {
    memcpy(t->h, h, sizeof t->h);
    for (int c = 0; c < t->channels; c++)
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
    for (int i = 0; i < t->stages; i++) {
        double lane[LANES];
        for (int l = 0; l < LANES; l++) lane[l] = h[l] * task->e[i];
        t->error[i] = narrow(lane);
        for (int j = 0; j < i; j++) {
            for (int l = 0; l < LANES; l++) lane[l] = h[l] * task->a[i][j];
            t->weight[i][j] = narrow(lane);
        }
    }
}

/* what one column's combination reads: its columns, their factors along axis 0 and as a whole */
typedef struct {
    int count;
    const cvec *from[MAX_TERMS];
    const vec *along[MAX_TERMS];
    vec factor[MAX_TERMS];
} terms;

INLINE void combine_terms(const terms *t, const int count, int kept, cvec *out) {
    vec f[MAX_TERMS];
    for (int n = 0; n < count; n++) f[n] = t->along[n][0] * t->factor[n];
    cvec sum = {t->from[0][0].r * f[0], t->from[0][0].i * f[0]};
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
