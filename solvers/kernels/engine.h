/* The kernel for one real type, as three functions: new, advance, free.

   engine_f32.c and engine_f64.c include this with REAL set; each vector width compiles both. */
#include <time.h>

#include "job.h"
#include "lanes.h"
#include "fft.h"
#include "lawson.h"
#include "workspace.h"
#include "vorticity.h"
#include "reaction.h"
#include "sweep.h"
#include "control.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

/* Decayed waves become denormal numbers, a hundred times slower and of no worth: flush them. */
static unsigned flush_denormals(int on, unsigned saved) {
#if defined(__SSE2__)
    unsigned before = _mm_getcsr();
    _mm_setcsr(on ? before | 0x8040u : saved);
    return before;
#else
    (void)on;
    return saved;
#endif
}

void ENTRY(free)(workspace *w) {
    if (!w) return;
    plan_free(&w->plan[0]);
    plan_free(&w->plan[1]);
    cvec *arrays[] = {w->state, w->proposed, w->stage, w->forcing, w->points, w->work, w->side,
                      w->wave[0], w->wave[1], w->wave[2], w->wave[3]};
    for (size_t n = 0; n < sizeof arrays / sizeof *arrays; n++) free(arrays[n]);
    for (int i = 0; i < MAX_STAGES; i++) free(w->rate[i]);
    free(w->steady);
    free(w->symbol);
    free(w->tables.along[0]);
    free(w->tables.along[1]);
    free(w);
}

static int steady_make(workspace *w) {
    REAL *f = w->steady = malloc(sizeof(REAL) * 2 * w->plane);
    if (!f) return 0;
    for (int k1 = 0; k1 < w->columns; k1++)
        for (int s = 0; s < w->count; s++)
            for (int part = 0; part < 2; part++)
                *f++ = (REAL)w->task.steady[place(w, s, k1) + part];
    return 1;
}

static int arrays_make(workspace *w) {
    const job *task = &w->task;
    int longest = task->n[0] > task->n[1] ? task->n[0] : task->n[1], ok = 1;
    size_t all = w->plane * w->planes * sizeof(cvec);
    ok &= (w->state = room(all)) && (w->proposed = room(all));
    /* where rates hold what is linear in a reaction, they need the stage's coefficients again */
    ok &= task->family == VORTICITY || w->decays || (w->stage = room(all));
    size_t one = (w->plane * w->rate_planes + SPARE) * sizeof(cvec);
    for (int i = 0; i < task->stages; i++) ok &= (w->rate[i] = room(one)) != NULL;
    ok &= !task->forcing || (w->forcing = room(w->plane * sizeof(cvec)));
    ok &= (w->points = room((size_t)task->n[0] * w->row * sizeof(cvec))) != NULL;
    ok &= (w->work = room(longest * sizeof(cvec))) && (w->side = room(longest * sizeof(cvec)));
    for (int n = 0; n < 4; n++) ok &= (w->wave[n] = room(longest * sizeof(cvec))) != NULL;
    return ok && (!task->steady || steady_make(w)) &&
           (task->family != VORTICITY || vorticity_symbols(w));
}

/* null when the grid is not served or memory is short */
workspace *ENTRY(new)(const job *task) {
    workspace *w = room(sizeof *w);
    if (!w) return NULL;
    w->task = *task;
    w->neumann = task->family == REACTION_NEUMANN;
    w->planes = w->neumann ? 1 : task->channels;
    w->decays = task->family == REACTION && task->matrix[0][1] == 0 && task->matrix[1][0] == 0;
    w->rate_planes = w->decays ? 1 : w->planes;
    int ok = plan_make(&w->plan[0], task->n[0], task->kept[0], w->neumann) &&
             plan_make(&w->plan[1], task->n[1], task->kept[1], w->neumann) &&
             lawson_make(&w->tables, task, w->decays);
    w->count = w->neumann ? task->kept[0] + 1 : 2 * task->kept[0] + 1;
    w->columns = task->kept[1] + 1;
    w->row = w->plan[1].slots | 1; /* odd: rows fall on different sets of the cache */
    w->plane = (size_t)w->columns * w->count;
    if (!ok || !arrays_make(w)) {
        ENTRY(free)(w);
        return NULL;
    }
    for (int l = 0; l < LANES; l++) w->lanes[l].member = -1;
    return w;
}

/* 1 while members are left: the caller looks at its signals and calls again */
int ENTRY(advance)(workspace *w) {
    unsigned saved = flush_denormals(1, 0);
    int left = advance(w);
    flush_denormals(0, saved);
    return left;
}
