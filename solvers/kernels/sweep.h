/* One attempted step of all lanes: stage after stage, two passes over `points` a right-hand side.

   Along the rows: waves -> points, the products, points -> waves. Along the columns: points ->
   waves, the rate k_i, the next stage's state, and back to points, so that a stage's state never
   leaves the first cache (unless the rate needs it again). */

/* a stage's state on column k1 back to points; a torus's species have been packed already */
static void to_points(workspace *w, int k1, cvec *const *state) {
    cvec *plus = w->wave[2], *minus = w->wave[3];
    if (w->neumann) {
        column_inverse(&w->plan[0], state[0], w->work, w->points + k1, w->row);
        return;
    }
    if (w->task.family == VORTICITY) vorticity_pack(w, state[0], k1, plus, minus);
    column_inverse(&w->plan[0], plus, w->work, w->points + k1, w->row);
    if (k1)
        column_inverse(&w->plan[0], minus, w->work, w->points + mirror(&w->plan[1], k1), w->row);
}

/* k_i along column k1 into rate[i]; `state` is what it is evaluated at */
static void to_rate(workspace *w, int k1, int i, cvec *const *state) {
    cvec *plus = w->wave[2], *minus = w->wave[3];
    if (w->decays) { /* the slots behind are spare, or the next column's, which comes later */
        cvec *r = column(w, w->rate[i], 0, k1);
        column_forward(&w->plan[0], w->points + k1, w->row, w->work, r);
        if (k1 == 0) reaction_mirror(w, r);
        return;
    }
    if (!(w->neumann && k1 & 1)) /* an odd column came along with the one before */
        column_forward(&w->plan[0], w->points + k1, w->row, w->work, plus);
    if (w->neumann) {
        reaction_rate_neumann(w, plus, state[0], k1, column(w, w->rate[i], 0, k1));
    } else if (w->task.family == VORTICITY) {
        if (k1)
            column_forward(&w->plan[0], w->points + mirror(&w->plan[1], k1), w->row, w->work,
                           minus);
        vorticity_rate(w, plus, k1 ? minus : plus, k1, column(w, w->rate[i], 0, k1));
    } else {
        for (int c = 0; c < w->planes; c++)
            reaction_rate(w, plus, state, k1, c, column(w, w->rate[i], c, k1));
    }
}

/* u_i along column k1 of a channel (i = stages: the embedded estimate), as a list of terms */
static terms stage_terms(const workspace *w, int i, int k1, int c) {
    const lawson *t = &w->tables;
    int plane = w->neumann ? 0 : c, n = 0;
    terms list;
    if (i < t->stages || w->decays) {
        list.from[n] = column(w, w->state, plane, k1);
        list.along[n] = factors(t, 0, c, t->of_state[i]);
        list.factor[n++] = factors(t, 1, c, t->of_state[i])[k1] * t->start[c][i];
    }
    for (int j = 0; j < i; j++) {
        if (!t->uses[i][j]) continue;
        list.from[n] = column(w, w->rate[j], w->decays ? 0 : plane, k1);
        list.along[n] = factors(t, 0, c, t->of_rate[i][j]);
        list.factor[n++] = factors(t, 1, c, t->of_rate[i][j])[k1] * t->weight[c][i][j];
    }
    list.count = n;
    list.offset = k1 ? (vec){0} : t->offset[c][i];
    return list;
}

/* u_i along column k1 into out[plane], if that is somewhere, and on a torus two species also into
   waves 2 and 3, ready to become points; the squares of coefficients are added to `squares` */
static void next_state(workspace *w, int i, int k1, cvec *const *out,
                       double (*squares)[LANES]) {
    int kept = w->plan[0].kept;
    /* waves k1 < 0 are not kept, nor is the Nyquist wave; cosines are orthonormal */
    double multiplicity = k1 && !w->neumann ? 2 : 1;
    if (w->neumann) {
        terms u = stage_terms(w, i, k1, 0), v = stage_terms(w, i, k1, 1);
        combine_real(&u, &v, kept, out[0]);
        if (!squares) return;
        add_squares(squares[0], &out[0]->r, 2, w->count, multiplicity);
        add_squares(squares[1], &out[0]->i, 2, w->count, multiplicity);
        return;
    }
    if (w->task.family == REACTION) {
        terms u = stage_terms(w, i, k1, 0), v = stage_terms(w, i, k1, 1);
        combine_torus(&u, &v, w->decays, kept, w->wave[2], w->wave[3], out[0], out[1]);
    } else {
        terms list = stage_terms(w, i, k1, 0);
        combine(&list, kept, out[0]);
    }
    for (int c = 0; c < w->planes && squares; c++)
        add_squares(squares[c], &out[c]->r, 1, 2 * w->count, multiplicity);
}

/* where stage i's state on column k1 is kept: the last one is the proposal */
static void stage_columns(const workspace *w, int i, int k1, cvec **out) {
    cvec *array = i == w->tables.stages - 1 ? w->proposed : w->stage;
    for (int c = 0; c < w->planes; c++)
        out[c] = array ? column(w, array, c, k1) : w->decays ? NULL : w->wave[c];
}

/* the state of stage i on all columns, from the rates before it, to points */
static void begin(workspace *w, int i) {
    for (int k1 = 0; k1 < w->columns; k1++) {
        cvec *state[MAX_CHANNELS];
        stage_columns(w, i, k1, state);
        next_state(w, i, k1, state, i == w->tables.stages - 1 ? w->size : NULL);
        to_points(w, k1, state);
    }
}

static void rows(workspace *w) {
    int n = w->task.n[0];
    if (w->task.family == VORTICITY)
        for (int x = 0; x < n; x++) vorticity_row(w, w->points + (size_t)x * w->row);
    else
        for (int x = 0; x < n; x += 2) reaction_rows(w, w->points + (size_t)x * w->row);
}

/* k_i on all columns, and the next stage's state, or the estimate of the error */
static void columns(workspace *w, int i) {
    int last = w->tables.stages - 1;
    for (int k1 = 0; k1 < w->columns; k1++) {
        cvec *state[MAX_CHANNELS];
        stage_columns(w, i, k1, state);
        to_rate(w, k1, i, state);
        if (i < last) {
            stage_columns(w, i + 1, k1, state);
            next_state(w, i + 1, k1, state, i + 1 == last ? w->size : NULL);
            to_points(w, k1, state);
        } else if (w->task.tolerance > 0) {
            next_state(w, i + 1, k1, w->wave, w->error);
        }
    }
}

/* A step of length 0, of lanes that start, leaves the state and gives its rate; while all of them
   do, the last stage alone does so. */
static void attempt(workspace *w, int all_start) {
    int first = all_start ? w->tables.stages - 1 : 1;
    memset(w->size, 0, sizeof w->size);
    memset(w->error, 0, sizeof w->error);
    begin(w, first);
    for (int i = first; i < w->tables.stages; i++) {
        rows(w);
        columns(w, i);
    }
}

static void blend_all(cvec *a, const cvec *b, size_t count, lvec mask) {
    for (size_t k = 0; k < count; k++)
        a[k] = (cvec){blend(a[k].r, b[k].r, mask), blend(a[k].i, b[k].i, mask)};
}

/* The lanes of the mask take the proposal and its rate (first same as last). */
static void commit(workspace *w, const int *accepted) {
    int last = w->tables.stages - 1, all = 1;
    REAL on[LANES];
    lvec mask;
    for (int l = 0; l < LANES; l++) all &= accepted[l];
    if (all) {
        cvec *state = w->state, *rate = w->rate[0];
        w->state = w->proposed;
        w->proposed = state;
        w->rate[0] = w->rate[last];
        w->rate[last] = rate;
        return;
    }
    for (int l = 0; l < LANES; l++) memset(on + l, accepted[l] ? 0xff : 0, sizeof *on);
    memcpy(&mask, on, sizeof mask);
    blend_all(w->state, w->proposed, w->plane * w->planes, mask);
    blend_all(w->rate[0], w->rate[last], w->plane * w->rate_planes, mask);
}
