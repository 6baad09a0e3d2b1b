/* What a Fourier layer does at a point, in one pass over memory, and its gradient in another:

       seen += h local,    out = h + silu(seen) mix^T

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

/* `rows` x PAIR numbers of c = start + a b: a's element (r, k) at r row + k step, b's row k at
   k width, c's rows and start's `width` apart; null starts at 0 */
INLINE void tile(int rows, int depth, const REAL *a, int64_t row, int64_t step, const REAL *b,
                 const REAL *start, REAL *c, int width, int more) {
    vec sum[TILE][2];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2; v++)
            sum[r][v] = start ? load(start + r * width + v * LANES) : (vec){0};
    for (int k = 0; k < depth; k++) {
        vec b0 = load(b + k * width), b1 = load(b + k * width + LANES);
        for (int r = 0; r < rows; r++) {
            REAL one = a[r * row + k * step];
            sum[r][0] += one * b0;
            sum[r][1] += one * b1;
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2; v++) {
            REAL *to = c + r * width + v * LANES;
            store(to, more ? load(to) + sum[r][v] : sum[r][v]);
        }
}

/* c = start + a b for rows of a, b (width, width) */
static void across(int rows, int width, const REAL *a, const REAL *b, const REAL *start, REAL *c) {
    for (int column = 0; column < width; column += PAIR) {
        int r = 0;
        const REAL *from = start ? start + column : NULL;
        for (; r + TILE <= rows; r += TILE)
            tile(TILE, width, a + r * width, width, 1, b + column,
                 from ? from + r * width : NULL, c + r * width + column, width, 0);
        for (; r < rows; r++)
            tile(1, width, a + r * width, width, 1, b + column, from ? from + r * width : NULL,
                 c + r * width + column, width, 0);
    }
}

/* c += a^T b, c (width, width), over the rows of both */
static void along(int rows, int width, const REAL *a, const REAL *b, REAL *c) {
    for (int column = 0; column < width; column += PAIR)
        for (int r = 0; r < width; r += TILE)
            tile(TILE, rows, a + r, 1, width, b + column, NULL, c + r * width + column, width, 1);
}

/* how many channels are served: multiples of this, up to WIDEST */
int pushforward_layer_unit(void) { return PAIR; }

/* h (members, points, width), seen alike (the convolution; becomes what the activation sees),
   local (members, width, width), mix transposed (width, width), out like h */
void pushforward_layer(int64_t members, int64_t points, int width, const REAL *h, REAL *seen,
                       const REAL *local, const REAL *mix, REAL *out) {
    REAL active[BLOCK * WIDEST];
    for (int64_t m = 0; m < members; m++, local += width * width)
        for (int64_t p = 0; p < points; p += BLOCK) {
            int rows = points - p < BLOCK ? (int)(points - p) : BLOCK, count = rows * width;
            across(rows, width, h, local, seen, seen);
            for (int n = 0; n < count; n += LANES) {
                vec x = load(seen + n);
                store(active + n, x * logistic(x));
            }
            across(rows, width, active, mix, h, out);
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
            int rows = points - p < BLOCK ? (int)(points - p) : BLOCK, count = rows * width;
            across(rows, width, g, mix, NULL, g_seen);
            for (int n = 0; n < count; n += LANES) {
                vec x = load(seen + n), s = logistic(x), a = x * s;
                store(active + n, a);
                store(g_seen + n, load(g_seen + n) * (s + a * (1.0f - s)));
            }
            across(rows, width, g_seen, local, g, g_h);
            along(rows, width, h, g_seen, g_local);
            along(rows, width, g, active, g_mix);
            h += count, seen += count, g += count, g_seen += count, g_h += count;
        }
        local += width * width, g_local += width * width, g_mix += width * width;
    }
}
