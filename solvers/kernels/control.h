/* Step sizes, one lane at a time, and the queue of members: a lane waits for nobody.

   error = max_c ||e_c|| / s_c with s_c the norm of channel c, or a tenth of the largest so far if
   that is more; a step is accepted when error <= tolerance. The wish for the next one becomes 0.9 h (tolerance / error)^(1/q), at
   most five times the last wish, unless that lies between 1 and 1.2 times it, so that tables can be
   kept; after a rejection it is between h / 5 and 9 h / 10. Steps are evened out so that the last
   one of an interval ends on it. All of it in double; the controller in Python has the same rules.

     Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993), section II.4,
     doi:10.1007/978-3-540-78862-1 */

static REAL *frame(const workspace *w, int member, int time) {
    size_t row = (size_t)member * w->task.times + time;
    return (REAL *)w->task.frames + row * w->task.channels * spectrum(w);
}

static void retire(workspace *w, int l, int status, double at) {
    lane *me = &w->lanes[l];
    size_t all = w->plane * w->planes;
    w->task.status[me->member] = status;
    w->task.failed_at[me->member] = at;
    cvec *arrays[] = {w->state, w->proposed};
    for (int n = 0; n < 2; n++) lane_clear(arrays[n], all, l);
    for (int i = 0; i < w->tables.stages; i++)
        lane_clear(w->rate[i], w->plane * w->rate_planes, l);
    if (w->stage) lane_clear(w->stage, all, l);
    if (w->forcing) lane_clear(w->forcing, w->plane, l);
    me->member = -1;
    w->running--;
}

/* The state is at an output time: keep it, and look for the next one. */
static void land(workspace *w, int l) {
    lane *me = &w->lanes[l];
    for (int c = 0; c < w->planes; c++)
        lane_store(w, column(w, w->state, c, 0), l,
                   frame(w, me->member, me->next) + c * spectrum(w));
    me->t = w->task.time[me->next++];
    me->left = 0;
    if (me->next == w->task.times) retire(w, l, FINISHED, me->t);
}

/* The next member of the queue takes the lane. */
static void start(workspace *w, int l) {
    const job *task = &w->task;
    lane *me = &w->lanes[l];
    size_t size = spectrum(w);
    memset(me, 0, sizeof *me);
    me->member = w->queued++;
    me->starting = 1;
    w->running++;
    for (int c = 0; c < w->planes; c++)
        lane_load(w, (const REAL *)task->initial + (me->member * task->channels + c) * size,
                  column(w, w->state, c, 0), l);
    if (w->forcing)
        lane_load(w, (const REAL *)task->forcing + me->member * size, w->forcing, l);
    if (task->time[0] == 0) land(w, l);
    if (me->member >= 0) me->wish = fmin(task->time[me->next] - me->t, task->step);
}

/* the step a lane takes next: 0 for the first right-hand side, which changes nothing else */
static double choose(const workspace *w, lane *me) {
    if (me->member < 0 || me->starting) return 0;
    double remaining = w->task.time[me->next] - me->t;
    if (!me->left) {
        double count = w->task.tolerance > 0 ? ceil(remaining / me->wish * (1 - 1e-9))
                                             : ceil(remaining / w->task.step - 1e-9);
        me->left = count > 1 ? count < 2e9 ? (int)count : 2000000000 : 1;
    }
    return remaining / me->left;
}

/* The lane's step is judged: 1 when the proposal is taken. */
static int judge(workspace *w, int l) {
    const job *task = &w->task;
    lane *me = &w->lanes[l];
    double h = w->step[l], error = 0, norm[MAX_CHANNELS];
    int finite = 1;
    if (me->member < 0) return 1;
    for (int c = 0; c < task->channels; c++) {
        norm[c] = sqrt(w->size[c][l]);
        double scale = fmax(0.1 * me->largest[c], norm[c]), e = sqrt(w->error[c][l]);
        finite &= isfinite(norm[c]) && isfinite(e);
        error = fmax(error, e > 0 ? e / scale : 0);
    }
    if (!finite) error = INFINITY;
    int accepted = finite && (task->tolerance <= 0 || error <= task->tolerance);
    if (me->starting || task->tolerance <= 0) {
        if (!finite) {
            retire(w, l, BLEW_UP, me->t + h);
            return 1;
        }
    } else {
        double last = task->time[task->times - 1];
        double fitting = 0.9 * h * pow(task->tolerance / error, 1 / task->order); /* error 0: inf */
        if (!accepted)
            me->wish = fmin(fmax(fitting, 0.2 * h), 0.9 * h);
        else if (fitting < me->wish || fitting >= 1.2 * me->wish)
            me->wish = fmin(fmin(fitting, 5 * me->wish), fmin(task->step, last));
        task->rejected[me->member] += !accepted;
        if (!accepted && me->wish < 1e-9 * last) {
            retire(w, l, finite ? STEP_UNDERFLOW : BLEW_UP, me->t);
            return 1;
        }
    }
    if (!accepted) {
        me->left = 0;
        return 0;
    }
    for (int c = 0; c < task->channels; c++) me->largest[c] = fmax(me->largest[c], norm[c]);
    return 1;
}

/* After the proposal is the state: time moves on. */
static void move(workspace *w, int l) {
    lane *me = &w->lanes[l];
    if (me->member < 0) return;
    if (me->starting) {
        me->starting = 0;
        return;
    }
    w->task.steps[me->member]++;
    if (--me->left == 0) {
        land(w, l);
        return;
    }
    me->t += w->step[l];
    if (w->task.tolerance > 0) me->left = 0; /* the wish may have changed */
}

/* Steps until every member is done (0) or some time has passed (1). */
static int advance(workspace *w) {
    clock_t began = clock();
    do {
        double h[LANES];
        int accepted[LANES], same = 1, all_start = 1;
        for (int l = 0; l < LANES; l++)
            while (w->lanes[l].member < 0 && w->queued < w->task.members) start(w, l);
        if (!w->running) return 0;
        for (int l = 0; l < LANES; l++) {
            h[l] = w->step[l] = choose(w, &w->lanes[l]);
            all_start &= h[l] == 0;
            double kept = w->tables.h[l];
            if (h[l] == kept || (h[l] > 0 && fabs(h[l] / kept - 1) < 1e-9)) h[l] = kept;
            else same = 0;
        }
        if (!same) lawson_build(&w->tables, &w->task, h);
        attempt(w, all_start);
        for (int l = 0; l < LANES; l++) accepted[l] = judge(w, l);
        commit(w, accepted);
        for (int l = 0; l < LANES; l++)
            if (accepted[l]) move(w, l);
    } while (clock() - began < CLOCKS_PER_SEC / 4);
    return 1;
}
