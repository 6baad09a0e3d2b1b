/* Uniform numbers by address: Philox4x32-10, as solvers/normals.py writes it out in torch.

   Integers and exact conversions alone, so both give the same bits. Addresses are worked on in
   blocks, word by word, so that a compiler makes vectors of them. */
#include <stdint.h>

enum { BLOCK = 64, ROUNDS = 10 };

static double unit(uint32_t high, uint32_t low) {
    return (double)(int64_t)((uint64_t)high << 21 | low >> 11) * 0x1p-53;
}

static void philox(uint32_t c[4][BLOCK], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (int i = 0; i < BLOCK; i++) {
            uint64_t p0 = (uint64_t)c[0][i] * 0xD2511F53u, p1 = (uint64_t)c[2][i] * 0xCD9E8D57u;
            c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
            c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
            c[1][i] = (uint32_t)p1;
            c[3][i] = (uint32_t)p0;
        }
}

/* two numbers in [0, 1) for every member and wave: first and second (members, waves); the words
   of a wave k (3, waves), `second` may be null */
void pushforward_uniforms(int64_t members, int64_t waves, const int64_t *member, const int64_t *k,
                          uint32_t key0, uint32_t key1, double *first, double *second) {
    uint32_t c[4][BLOCK] = {{0}};
    for (int64_t m = 0; m < members; m++)
        for (int64_t w = 0; w < waves; w += BLOCK) {
            int count = waves - w < BLOCK ? (int)(waves - w) : BLOCK;
            for (int i = 0; i < count; i++) {
                for (int word = 0; word < 3; word++)
                    c[word][i] = (uint32_t)k[word * waves + w + i];
                c[3][i] = (uint32_t)member[m];
            }
            philox(c, key0, key1);
            for (int i = 0; i < count; i++) first[i] = unit(c[0][i], c[1][i]);
            first += count;
            if (!second) continue;
            for (int i = 0; i < count; i++) second[i] = unit(c[2][i], c[3][i]);
            second += count;
        }
}
