/* Which wider vectors this processor and its operating system offer: 1 AVX2, 2 AVX-512. */
int pushforward_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return avx2 + 2 * (avx2 && avx512);
#else
    return 0;
#endif
}
