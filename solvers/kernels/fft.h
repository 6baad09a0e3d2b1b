/* Complex FFTs of many trajectories at once, in place, without reordering.

   n = r_0 r_1 ... 8. The inverse transform runs the radices from the outside in (decimation in
   frequency) and leaves the points in digit-reversed order; what happens at a point does not ask
   for its order, and the forward transform (decimation in time) is the exact transpose, so it
   takes the points as they lie and ends with the waves in natural order. The innermost radix 8 has
   no twiddles: it is done in registers together with what is done at the points.

   Only 2 K + 1 waves are kept, K < n / 3, stored as 0..K, -K..-1; slot 2 K + 1 is zero and stands
   for all that was cut, slot 2 K + 2 takes what is to be cut. Under that rule inputs 3 and 4 of an
   outer radix 8, and input 1 of an outer radix 3, are always zero: they are left out. A plan of
   cosines (Neumann) takes K + 1 half waves and turns them into waves first: see cosine.h.

     Markel, IEEE Trans. Audio Electroacoust. 19 (1971), doi:10.1109/TAU.1971.1162205 (pruning) */

#include "butterfly.h"

enum { MAX_PASSES = 5, INNER = 8, SPARE = 2 };

typedef struct {
    int n, passes, radix[MAX_PASSES], length[MAX_PASSES]; /* without the innermost 8 */
    REAL *twiddle[MAX_PASSES];                            /* (length / radix, radix - 1) pairs */
    REAL *quarter;                                        /* cosines only: see cosine.h */
    int32_t *source, *target;                             /* wave -> slot to read, to write */
    int kept, slots;
} plan;

/* which inputs of an outer radix are zero whatever the size */
INLINE int cut(const int radix, int q) {
    return (radix == 8 && (q == 3 || q == 4)) || (radix == 3 && q == 1);
}

/* One column j of butterflies. `map` (outer passes only) says where the compact waves lie. */
INLINE void inward(const cvec *in, const int outer, const int32_t *map, cvec *out, int m, int j,
                   const REAL *w, const int radix) {
    cvec x[8];
    for (int q = 0; q < radix; q++) {
        if (outer && cut(radix, q)) x[q] = (cvec){(vec){0}, (vec){0}};
        else x[q] = get(in + (outer ? map[j + q * m] : j + q * m));
    }
    dft(x, radix, INVERSE, outer);
    for (int q = 0; q < radix; q++)
        put(out + j + q * m, w && q ? twist(x[q], w + 2 * (q - 1), INVERSE) : x[q]);
}

INLINE void outward(const cvec *in, const int outer, const int32_t *map, cvec *out, int m, int j,
                    const REAL *w, const int radix) {
    cvec x[8];
    for (int q = 0; q < radix; q++) {
        cvec a = get(in + j + q * m);
        x[q] = w && q ? twist(a, w + 2 * (q - 1), FORWARD) : a;
    }
    dft(x, radix, FORWARD, 0);
    for (int q = 0; q < radix; q++)
        if (!(outer && cut(radix, q))) put(out + (outer ? map[j + q * m] : j + q * m), x[q]);
}

#define PASSES(radix)                                                                             \
    static void inward_outer##radix(const plan *p, const cvec *in, cvec *out) {                   \
        int m = p->n / radix;                                                                     \
        const REAL *w = p->twiddle[0];                                                            \
        inward(in, 1, p->source, out, m, 0, NULL, radix);                                         \
        for (int j = 1; j < m; j++)                                                               \
            inward(in, 1, p->source, out, m, j, w + 2 * (radix - 1) * j, radix);                  \
    }                                                                                             \
    static void outward_outer##radix(const plan *p, const cvec *in, cvec *out) {                  \
        int m = p->n / radix;                                                                     \
        const REAL *w = p->twiddle[0];                                                            \
        outward(in, 1, p->target, out, m, 0, NULL, radix);                                        \
        for (int j = 1; j < m; j++)                                                               \
            outward(in, 1, p->target, out, m, j, w + 2 * (radix - 1) * j, radix);                 \
    }                                                                                             \
    static void inward##radix(cvec *x, int length, const REAL *w) {                               \
        int m = length / radix;                                                                   \
        inward(x, 0, NULL, x, m, 0, NULL, radix);                                                 \
        for (int j = 1; j < m; j++) inward(x, 0, NULL, x, m, j, w + 2 * (radix - 1) * j, radix);  \
    }                                                                                             \
    static void outward##radix(cvec *x, int length, const REAL *w) {                              \
        int m = length / radix;                                                                   \
        outward(x, 0, NULL, x, m, 0, NULL, radix);                                                \
        for (int j = 1; j < m; j++) outward(x, 0, NULL, x, m, j, w + 2 * (radix - 1) * j, radix); \
    }
PASSES(2)
PASSES(3)
PASSES(4)
PASSES(8)

static void inward_once(cvec *x, int length, int radix, const REAL *w) {
    switch (radix) {
    case 2: inward2(x, length, w); break;
    case 3: inward3(x, length, w); break;
    case 4: inward4(x, length, w); break;
    default: inward8(x, length, w);
    }
}

static void outward_once(cvec *x, int length, int radix, const REAL *w) {
    switch (radix) {
    case 2: outward2(x, length, w); break;
    case 3: outward3(x, length, w); break;
    case 4: outward4(x, length, w); break;
    default: outward8(x, length, w);
    }
}

#include "cosine.h"

/* from compact waves to the first radix's blocks, and back */
static void enter(const plan *p, const cvec *waves, cvec *x) {
    if (p->quarter) {
        cosines_to_waves(p, waves, x);
        inward_once(x, p->n, p->radix[0], p->twiddle[0]);
        return;
    }
    switch (p->radix[0]) {
    case 2: inward_outer2(p, waves, x); break;
    case 3: inward_outer3(p, waves, x); break;
    case 4: inward_outer4(p, waves, x); break;
    default: inward_outer8(p, waves, x);
    }
}

static void leave(const plan *p, cvec *x, cvec *waves) {
    if (p->quarter) {
        outward_once(x, p->n, p->radix[0], p->twiddle[0]);
        waves_to_cosines(p, x, waves);
        return;
    }
    switch (p->radix[0]) {
    case 2: outward_outer2(p, x, waves); break;
    case 3: outward_outer3(p, x, waves); break;
    case 4: outward_outer4(p, x, waves); break;
    default: outward_outer8(p, x, waves);
    }
}

/* the middle radices of one block of the first: n / r_0 points that stay in the first cache */
static void descend(const plan *p, cvec *block) {
    int size = p->n / p->radix[0];
    for (int s = 1; s < p->passes; s++)
        for (int b = 0; b < size; b += p->length[s])
            inward_once(block + b, p->length[s], p->radix[s], p->twiddle[s]);
}

static void ascend(const plan *p, cvec *block) {
    int size = p->n / p->radix[0];
    for (int s = p->passes - 1; s >= 1; s--)
        for (int b = 0; b < size; b += p->length[s])
            outward_once(block + b, p->length[s], p->radix[s], p->twiddle[s]);
}

/* compact waves -> points x[0], x[stride], ... ; `work` holds n */
static void column_inverse(const plan *p, const cvec *waves, cvec *work, cvec *x, size_t stride) {
    int size = p->n / p->radix[0];
    enter(p, waves, work);
    for (int b = 0; b < p->n; b += size) {
        descend(p, work + b);
        for (int s = b; s < b + size; s += INNER) {
            cvec t[INNER];
            for (int q = 0; q < INNER; q++) t[q] = get(work + s + q);
            dft8(t, INVERSE, 0);
            for (int q = 0; q < INNER; q++) put(x + (s + q) * stride, t[q]);
        }
    }
}

static void column_forward(const plan *p, const cvec *x, size_t stride, cvec *work, cvec *waves) {
    int size = p->n / p->radix[0];
    for (int b = 0; b < p->n; b += size) {
        for (int s = b; s < b + size; s += INNER) {
            cvec t[INNER];
            for (int q = 0; q < INNER; q++) t[q] = get(x + (s + q) * stride);
            dft8(t, FORWARD, 0);
            for (int q = 0; q < INNER; q++) put(work + s + q, t[q]);
        }
        ascend(p, work + b);
    }
    leave(p, work, waves);
}

/* the slot of wave -k, given that of wave k */
INLINE int mirror(const plan *p, int slot) { return slot ? 2 * p->kept + 1 - slot : 0; }

static void plan_free(plan *p) {
    for (int s = 0; s < MAX_PASSES; s++) free(p->twiddle[s]);
    free(p->quarter);
    free(p->source);
    free(p->target);
}

/* 0 when the size is not 2^a or 3 2^a from 16 up, or memory is short */
static int plan_make(plan *p, int n, int kept, int cosines) {
    const double circle = 6.283185307179586476925286766559;
    int left = n / INNER;
    memset(p, 0, sizeof *p);
    p->n = n;
    p->kept = kept;
    p->slots = cosines ? kept + 1 : 2 * kept + 3;
    if (n < 2 * INNER || n % INNER || (cosines ? kept >= n : 3 * kept >= n)) return 0;
    while (left > 1 && p->passes < MAX_PASSES) {
        int radix = left % 3 == 0 ? 3 : left % 8 == 0 ? 8 : left % 4 == 0 ? 4 : 2;
        if (left == 16) radix = p->passes ? 4 : 8;
        if (left % radix) return 0;
        p->radix[p->passes] = radix;
        p->length[p->passes++] = left * INNER;
        left /= radix;
    }
    if (left > 1) return 0;
    for (int s = 0; s < p->passes; s++) {
        int radix = p->radix[s], length = p->length[s], m = length / radix;
        REAL *w = p->twiddle[s] = malloc(sizeof(REAL) * 2 * (size_t)m * (radix - 1));
        if (!w) return 0;
        for (int j = 0; j < m; j++)
            for (int q = 1; q < radix; q++) {
                double angle = circle * ((double)j * q / length);
                *w++ = (REAL)cos(angle);
                *w++ = (REAL)sin(angle);
            }
    }
    if (cosines) return cosines_make(p);
    p->source = malloc(sizeof(int32_t) * (size_t)n);
    p->target = malloc(sizeof(int32_t) * (size_t)n);
    if (!p->source || !p->target) return 0;
    for (int k = 0; k < n; k++) {
        int slot = k <= kept ? k : k >= n - kept ? k - n + 2 * kept + 1 : -1;
        p->source[k] = slot >= 0 ? slot : 2 * kept + 1;
        p->target[k] = slot >= 0 ? slot : 2 * kept + 2;
    }
    return 1;
}
