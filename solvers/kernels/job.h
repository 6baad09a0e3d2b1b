/* What Python hands over: one list of members, the method and where the answers go.

   binding.py holds the same structure as a ctypes.Structure; both change together. Coefficient
   arrays are those of Grid.fft (members, channels, n0, n1 / 2 + 1), complex, of the kernel's real
   type; on a Neumann box (members, channels, n0, n1), real. */
#ifndef PUSHFORWARD_JOB_H
#define PUSHFORWARD_JOB_H

#include <stdint.h>

enum { MAX_STAGES = 8, MAX_CHANNELS = 2 };
enum family { VORTICITY = 0, REACTION = 1, REACTION_NEUMANN = 2 };
enum rate { U_V_V = 0, U_U_U = 1 };
enum status { FINISHED = 0, BLEW_UP = 1, STEP_UNDERFLOW = 2, WAITING = 3 };

typedef struct {
    int32_t family, channels, members, times, stages, rate;
    int32_t n[2], kept[2];            /* points an axis, largest wave kept */
    double unit[2];                   /* angular wave number of wave 1 */
    const double *symbol[2];          /* (channels, kept + 1): L_c(k) is their sum over the axes */
    double scale[MAX_CHANNELS];       /* N_c = scale_c R + sum_d matrix_cd u_d + constant_c */
    double matrix[MAX_CHANNELS][MAX_CHANNELS];
    double constant[MAX_CHANNELS];
    double a[MAX_STAGES][MAX_STAGES]; /* Runge-Kutta rows; the last one is b */
    double c[MAX_STAGES];
    double e[MAX_STAGES];             /* b - b_hat */
    double order;                     /* of the estimate's local error */
    double step, tolerance;           /* infinity: no largest step; 0: fixed step */
    const double *time;               /* (times) */
    const void *initial;              /* (members, channels, spectrum) */
    const void *forcing;              /* (members, spectrum), or null */
    const double *steady;             /* (n0, n1 / 2 + 1) complex double, or null */
    void *frames;                     /* (members, times, channels, spectrum), zeroed */
    int64_t *steps, *rejected;        /* (members) */
    int32_t *status;                  /* (members) */
    double *failed_at;                /* (members) */
} job;

#endif
