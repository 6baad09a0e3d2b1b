/* One batch of trajectories under way: its arrays and where each lane stands.

   A coefficient array is (plane, k1 = 0..K1, slot of k0), a complex vector of lanes each; the
   columns k1 are what a transform along axis 0 and a stage's combination work on. A plane is a
   channel; on a Neumann box coefficients are real, and one plane holds u + i v. `points` is the
   one half-transformed array, (x0 in digit-reversed order, slot of k1): the waves along axis 0
   become points, stage after stage, in place. */

#ifdef __linux__
#include <sys/mman.h>
#endif

enum { HUGE_PAGE = 1 << 21 };

typedef struct {
    int member, next;          /* -1: idle; index of the next output time */
    int starting, left;        /* its first right-hand side is due; fixed steps left */
    double t, wish, largest[MAX_CHANNELS];
} lane;

typedef struct {
    job task;
    plan plan[2];
    lawson tables;
    int neumann, planes;
    int decays, rate_planes;   /* rates are R alone, one plane: see lawson.h */
    int count, columns, row;   /* the slots of a column; K1 + 1; the slots of a row */
    size_t plane;              /* vectors a plane */
    cvec *state, *proposed, *stage, *rate[MAX_STAGES], *forcing;
    cvec *points, *work, *side, *wave[4];
    REAL *steady;              /* (k1, slot, 2) */
    REAL *symbol;              /* (k1, slot, 4) of the vorticity's velocity and flux */
    lane lanes[LANES];
    int queued, running;       /* the next member to start, lanes at work */
    double step[LANES], size[MAX_CHANNELS][LANES], error[MAX_CHANNELS][LANES];
} workspace;

/* Zeroed memory. Columns step through a whole array row by row: on Linux large arrays lie in pages
   large enough that the processor remembers where all of them are. */
static void *room(size_t bytes) {
    size_t page = bytes < HUGE_PAGE ? 64 : HUGE_PAGE;
    bytes = (bytes + page - 1) / page * page;
    void *memory = aligned_alloc(page, bytes);
    if (!memory) return NULL;
#ifdef MADV_HUGEPAGE
    if (page == HUGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memset(memory, 0, bytes);
}

INLINE cvec *column(const workspace *w, cvec *array, int plane, int k1) {
    return array + plane * w->plane + (size_t)k1 * w->count;
}

/* where wave (slot of k0, k1) of a member's spectrum lies in Python's arrays, in numbers */
INLINE size_t place(const workspace *w, int slot, int k1) {
    int kept = w->plan[0].kept, k0 = slot <= kept ? slot : slot - 2 * kept - 1 + w->task.n[0];
    if (w->neumann) return (size_t)slot * w->task.n[1] + k1;
    return 2 * ((size_t)k0 * (w->task.n[1] / 2 + 1) + k1);
}

/* the numbers of one channel's spectrum */
INLINE size_t spectrum(const workspace *w) {
    return (size_t)w->task.n[0] * (w->neumann ? w->task.n[1] : w->task.n[1] + 2);
}

/* One lane of a coefficient array from Python's; column 0 is made Hermitian, as a real field's. */
static void lane_load(const workspace *w, const REAL *from, cvec *array, int l) {
    size_t second = w->neumann ? spectrum(w) : 1;
    for (int k1 = 0; k1 < w->columns; k1++)
        for (int s = 0; s < w->count; s++) {
            const REAL *x = from + place(w, s, k1);
            REAL r = x[0], i = x[second];
            if (k1 == 0 && !w->neumann) {
                const REAL *y = from + place(w, mirror(&w->plan[0], s), 0);
                r = (r + y[0]) / 2;
                i = (i - y[1]) / 2;
            }
            cvec *to = array + (size_t)k1 * w->count + s;
            to->r[l] = r;
            to->i[l] = i;
        }
}

static void lane_store(const workspace *w, const cvec *array, int l, REAL *to) {
    size_t second = w->neumann ? spectrum(w) : 1;
    for (int s = 0; s < w->count; s++)
        for (int k1 = 0; k1 < w->columns; k1++) {
            const cvec *x = array + (size_t)k1 * w->count + s;
            REAL *y = to + place(w, s, k1);
            y[0] = x->r[l];
            y[second] = x->i[l];
        }
}

static void lane_clear(cvec *array, size_t count, int l) {
    for (size_t k = 0; k < count; k++) array[k].r[l] = array[k].i[l] = 0;
}
