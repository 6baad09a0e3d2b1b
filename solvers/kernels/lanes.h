/* Vectors whose lanes are trajectories, and complex arithmetic on them.

   GCC's and clang's vector extensions: the same text becomes AVX-512, AVX2, SSE2 or NEON code. A
   lane never looks at its neighbour, so that a member's bits do not depend on who shares the
   vector. REAL (float or double) and BYTES (a vector's length) come from the translation unit. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef BYTES
#define BYTES 16
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = BYTES / sizeof(REAL), HALVES = sizeof(double) / sizeof(REAL) };
enum { PART = LANES / HALVES }; /* lanes whose doubles fill one vector */

typedef REAL vec __attribute__((vector_size(BYTES)));
typedef REAL part __attribute__((vector_size(BYTES / HALVES), may_alias));
typedef double dvec __attribute__((vector_size(BYTES)));
typedef int64_t lvec __attribute__((vector_size(BYTES)));
typedef struct { vec r, i; } cvec;

/* Part by part: copied whole, a number that lives in registers is written to memory first. */
INLINE cvec get(const cvec *from) { return (cvec){from->r, from->i}; }
INLINE void put(cvec *to, cvec a) {
    to->r = a.r;
    to->i = a.i;
}

INLINE cvec add(cvec a, cvec b) { return (cvec){a.r + b.r, a.i + b.i}; }
INLINE cvec sub(cvec a, cvec b) { return (cvec){a.r - b.r, a.i - b.i}; }

/* b where the mask's bits are set, else a */
INLINE vec blend(vec a, vec b, lvec mask) { return (vec)(((lvec)a & ~mask) | ((lvec)b & mask)); }

/* Four lines of Horner: exp(x) to an ulp, 0 below the smallest normal number. With n the integer
   nearest to x / log 2, exp(x) = 2^n exp(r), |r| < 0.35, and r^14 / 14! is below round-off. */
INLINE dvec exponential(dvec x) {
    static const double term[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600,
        1.0 / 6227020800.0};
    const double magic = 0x1.8p52; /* adding it rounds to an integer, kept in the low bits */
    lvec tiny = (lvec)(x < -708.0);
    x = (dvec)((lvec)x & ~tiny);
    dvec shifted = x * 1.44269504088896340736 + magic, n = shifted - magic;
    dvec r = x - n * 0x1.62e42fee00000p-1 - n * 0x1.a39ef35793c76p-33;
    dvec sum = r * term[13] + term[12];
    for (int k = 11; k >= 0; k--) sum = sum * r + term[k];
    lvec scaled = (lvec)sum + ((lvec)shifted << 52);
    return (dvec)(scaled & ~tiny);
}

/* doubles, one a lane, to a vector of the kernel's type */
INLINE vec narrow(const double *lane) {
    vec out;
    part *p = (part *)&out;
    for (int half = 0; half < HALVES; half++) {
        dvec wide;
        memcpy(&wide, lane + half * PART, sizeof wide);
        p[half] = __builtin_convertvector(wide, part);
    }
    return out;
}

/* total[lane] += weight sum |x|^2 over `count` vectors, `stride` apart, in double */
static void add_squares(double *total, const vec *x, int stride, int count, double weight) {
    dvec sum[2][HALVES] = {{{0}}};
    for (int k = 0; k < count; k++)
        for (int half = 0; half < HALVES; half++) {
            dvec wide = __builtin_convertvector(((const part *)(x + k * stride))[half], dvec);
            sum[k & 1][half] += wide * wide;
        }
    for (int half = 0; half < HALVES; half++) {
        dvec both = (sum[0][half] + sum[1][half]) * weight;
        for (int l = 0; l < PART; l++) total[half * PART + l] += both[l];
    }
}
