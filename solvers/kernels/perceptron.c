/* What a Fourier layer does at a point, in one pass over memory, and its gradient in another:

       seen += h local,              out = h + silu(seen) mix^T,

   and at a network's end

       seen = h hidden^T + bias,     out = silu(seen) project^T + offset,

   for members of `points` rows of `width` channels. A block of rows stays in the first cache from
   one product to the next, and the activation costs an exponential of a few lines. The rows of a
   member are summed in their order, block by block, so bits depend on nobody else. The products
   along an axis are the caller's (see generative/layer.py). */
#define REAL float
#include "lanes.h"

enum { BLOCK = 64, WIDEST = 256, TILE = 4, PAIR = 2 * LANES };

typedef int32_t ivec __attribute__((vector_size(BYTES)));

INLINE vec load(const REAL *from) {
    vec out;
    memcpy(&out, from, sizeof out);
    return out;
}
INLINE void store(REAL *to, vec a) { memcpy(to, &a, sizeof a); }

/* exp(x) to 2 ulp for |x| < 87, its bounds beyond: Cephes' polynomial, as `exponential` is made */
INLINE vec exponential_single(vec x) {
    const vec top = (vec){0} + 87.0f, magic = (vec){0} + 0x1.8p23f;
    x = (vec)(((ivec)x & ~(ivec)(x > top)) | ((ivec)top & (ivec)(x > top)));
    x = (vec)(((ivec)x & ~(ivec)(x < -top)) | ((ivec)-top & (ivec)(x < -top)));
    vec shifted = x * 1.44269504088896341f + magic, n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec sum = r * 1.9875691500e-4f + 1.3981999507e-3f;
    sum = sum * r + 8.3334519073e-3f;
    sum = sum * r + 4.1665795894e-2f;
    sum = sum * r + 1.6666665459e-1f;
    sum = sum * r + 5.0000001201e-1f;
    sum = sum * r * r + r + 1.0f;
    return (vec)((ivec)sum + ((ivec)shifted << 23));
}

INLINE vec logistic(vec x) { return 1.0f / (1.0f + exponential_single(-x)); }

/* a matrix: its rows lie `row` apart, the numbers of one `step` apart */
typedef struct { const REAL *at; int64_t row, step; } matrix;

/* TILE x PAIR numbers of c, or fewer rows: start + a b, or added to what is there. A row's pairs
   lie together in b, c and start, which may be null */
INLINE void tile(int rows, int depth, matrix a, matrix b, matrix start, REAL *c, int64_t row,
                 int more) {
    vec sum[TILE][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2; v++)
            sum[r][v] = start.at ? load(start.at + r * start.row + v * LANES) : (vec){0};
    for (int k = 0; k < depth; k++) {
        vec b0 = load(b.at + k * b.row), b1 = load(b.at + k * b.row + LANES);
        for (int r = 0; r < rows; r++) {
            REAL one = a.at[r * a.row + k * a.step];
            sum[r][0] += one * b0;
            sum[r][1] += one * b1;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2; v++) {
            REAL *to = c + r * row + v * LANES;
            store(to, more ? load(to) + sum[r][v] : sum[r][v]);
        }
}

INLINE void product(int rows, int depth, int columns, matrix a, matrix b, matrix start, REAL *c,
                    int more) {
    for (int column = 0; column < columns; column += PAIR, b.at += PAIR) {
        matrix left = a, from = start;
        int r = 0;
        for (; r + TILE <= rows; r += TILE, left.at += TILE * a.row) {
            tile(TILE, depth, left, b, from, c + r * columns + column, columns, more);
            if (from.at) from.at += TILE * start.row;
        }
        for (; r < rows; r++, left.at += a.row) {
            tile(1, depth, left, b, from, c + r * columns + column, columns, more);
            if (from.at) from.at += start.row;
        }
        if (start.at) start.at += PAIR;
    }
}

/* c = start + a b: rows of a and c, all of b; start's rows lie `row` apart (0: the same one) */
static void across(int rows, int depth, int columns, const REAL *a, int width, const REAL *b,
                   const REAL *start, int row, REAL *c) {
    product(rows, depth, columns, (matrix){a, width, 1}, (matrix){b, columns, 1},
            (matrix){start, row, 1}, c, 0);
}

/* c += a^T b over the rows of both, which are `width` and `columns` wide */
static void along(int rows, int width, int columns, const REAL *a, const REAL *b, REAL *c) {
    product(width, rows, columns, (matrix){a, 1, width}, (matrix){b, columns, 1},
            (matrix){NULL, 0, 0}, c, 1);
}

/* active = silu(seen) */
static void activate(int count, const REAL *seen, REAL *active) {
    for (int n = 0; n < count; n += LANES) {
        vec x = load(seen + n);
        store(active + n, x * logistic(x));
    }
}

/* the same, and g times its derivative in place of g */
static void activate_gradient(int count, const REAL *seen, REAL *active, REAL *g) {
    for (int n = 0; n < count; n += LANES) {
        vec x = load(seen + n), s = logistic(x), a = x * s;
        store(active + n, a);
        store(g + n, load(g + n) * (s + a * (1.0f - s)));
    }
}

INLINE int block(int64_t left) { return left < BLOCK ? (int)left : BLOCK; }

/* how many channels are served: multiples of this, up to WIDEST */
int pushforward_layer_unit(void) { return PAIR; }

/* h (members, points, width), seen alike (the convolution; becomes what the activation sees),
   local (members, width, width), mix transposed (width, width), out like h */
void pushforward_layer(int64_t members, int64_t points, int width, const REAL *h, REAL *seen,
                       const REAL *local, const REAL *mix, REAL *out) {
    REAL active[BLOCK * WIDEST];
    for (int64_t m = 0; m < members; m++, local += width * width)
        for (int64_t p = 0; p < points; p += BLOCK) {
            int rows = block(points - p), count = rows * width;
            across(rows, width, width, h, width, local, seen, width, seen);
            activate(count, seen, active);
            across(rows, width, width, active, width, mix, h, width, out);
            h += count, seen += count, out += count;
        }
}

/* g like h, local transposed (members, width, width), mix as it is; g_seen and g_h like h,
   g_local and g_mix (members, width, width), both to be added to */
void pushforward_layer_gradient(int64_t members, int64_t points, int width, const REAL *h,
                                const REAL *seen, const REAL *local, const REAL *mix,
                                const REAL *g, REAL *g_seen, REAL *g_h, REAL *g_local,
                                REAL *g_mix) {
    REAL active[BLOCK * WIDEST];
    for (int64_t m = 0; m < members; m++) {
        for (int64_t p = 0; p < points; p += BLOCK) {
            int rows = block(points - p), count = rows * width;
            across(rows, width, width, g, width, mix, NULL, 0, g_seen);
            activate_gradient(count, seen, active, g_seen);
            across(rows, width, width, g_seen, width, local, g, width, g_h);
            along(rows, width, width, h, g_seen, g_local);
            along(rows, width, width, g, active, g_mix);
            h += count, seen += count, g += count, g_seen += count, g_h += count;
        }
        local += width * width, g_local += width * width, g_mix += width * width;
    }
}

/* h and seen (members, points, width), hidden transposed (width, width), bias (width), project
   transposed and filled up (width, PAIR), offset (PAIR), out (members, channels, points) */
void pushforward_head(int64_t members, int64_t points, int width, int channels, const REAL *h,
                      const REAL *hidden, const REAL *bias, const REAL *project,
                      const REAL *offset, REAL *seen, REAL *out) {
    REAL active[BLOCK * WIDEST], wide[BLOCK * PAIR];
    for (int64_t m = 0; m < members; m++, out += channels * points)
        for (int64_t p = 0; p < points; p += BLOCK) {
            int rows = block(points - p), count = rows * width;
            across(rows, width, width, h, width, hidden, bias, 0, seen);
            activate(count, seen, active);
            across(rows, width, PAIR, active, width, project, offset, 0, wide);
            for (int o = 0; o < channels; o++)
                for (int r = 0; r < rows; r++) out[o * points + p + r] = wide[r * PAIR + o];
            h += count, seen += count;
        }
}

/* g like out, hidden and project (channels, width) as they are; g_h like h; g_hidden (members,
   width, width), transposed, g_bias (members, width) and g_project (members, width, PAIR),
   transposed and filled up, all to be added to */
void pushforward_head_gradient(int64_t members, int64_t points, int width, int channels,
                               const REAL *h, const REAL *seen, const REAL *hidden,
                               const REAL *project, const REAL *g, REAL *g_h, REAL *g_hidden,
                               REAL *g_bias, REAL *g_project) {
    REAL active[BLOCK * WIDEST], g_seen[BLOCK * WIDEST], wide[BLOCK * PAIR] = {0};
    const REAL one[BLOCK] = {[0 ... BLOCK - 1] = 1};
    for (int64_t m = 0; m < members; m++, g += channels * points) {
        for (int64_t p = 0; p < points; p += BLOCK) {
            int rows = block(points - p), count = rows * width;
            for (int o = 0; o < channels; o++)
                for (int r = 0; r < rows; r++) wide[r * PAIR + o] = g[o * points + p + r];
            across(rows, channels, width, wide, PAIR, project, NULL, 0, g_seen);
            activate_gradient(count, seen, active, g_seen);
            across(rows, width, width, g_seen, width, hidden, NULL, 0, g_h);
            along(rows, width, width, h, g_seen, g_hidden);
            along(rows, 1, width, one, g_seen, g_bias);
            along(rows, width, PAIR, active, wide, g_project);
            h += count, seen += count, g_h += count;
        }
        g_hidden += width * width, g_bias += width, g_project += width * PAIR;
    }
}
