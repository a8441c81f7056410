/* The process per label in C: the yardstick of exact_against_c.py.
 *
 * The algorithm of copydyn/kernels/per_label.advance for anonymous copies, with the same generator, the same draws in
 * the same order and the same arithmetic, so that one seed gives the same events in both. Copies that carry identities
 * and event logs are left out. What a C programmer would do otherwise is done otherwise: the state of the generator
 * lives in registers, what a proposal needs to know of an edge stands in one cache line, and pointers do not alias.
 *
 * With BRANCH the processor guesses which way a copy goes: right as a rule on a single edge, wrong half of the time on
 * many. Without it the labels are swapped by a mask, which costs a few cycles always.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define UNIT 0x1p-53

typedef struct { double re, im; } cplx;
typedef struct { uint64_t s0, s1, s2, s3; } generator;
typedef struct { double edge[257], height[257]; } ziggurat;

/* What the loop over proposals reads; 64 bytes. */
typedef struct {
    double sine, cosine, detuning, bending, bound, threshold;
    int64_t other;
    int32_t a, b;
} edge_now;

typedef struct {
    int64_t labels, edges;
    const double *restrict omega;
    const int32_t *restrict edge_a, *restrict edge_b;
    const cplx *restrict h;
} couplings;

typedef struct {
    cplx *restrict amplitude, *restrict drift, *restrict swing, *restrict pair;
    double *restrict turning, *restrict bend, *restrict curve, *restrict lean, *restrict strength, *restrict traffic;
    int64_t *restrict lowest, *restrict highest, *restrict stack;
    edge_now *restrict now;
} workspace;

typedef struct { int64_t events, proposals, steps; } tally;

static inline double square(double x) { return x * x; }

static inline cplx times(cplx x, cplx y) { return (cplx){x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re}; }

static inline cplx conjugate(cplx x) { return (cplx){x.re, -x.im}; }

static inline cplx scaled(double s, cplx x) { return (cplx){s * x.re, s * x.im}; }

static inline cplx less(cplx x, cplx y) { return (cplx){x.re - y.re, x.im - y.im}; }

static inline void add(cplx *restrict sum, cplx x) { sum->re += x.re; sum->im += x.im; }

/* ---- the generator: xoshiro256++, and exp(-x) by the ziggurat ---- */

static inline uint64_t rotated(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

static inline uint64_t next_word(generator *restrict g) {
    const uint64_t word = rotated(g->s0 + g->s3, 23) + g->s0, shifted = g->s1 << 17;
    g->s2 ^= g->s0;
    g->s3 ^= g->s1;
    g->s1 ^= g->s2;
    g->s0 ^= g->s3;
    g->s2 ^= shifted;
    g->s3 = rotated(g->s3, 45);
    return word;
}

static inline double uniform(generator *restrict g) { return (double)(int64_t)(next_word(g) >> 11) * UNIT; }

static inline double exponential(generator *restrict g, const ziggurat *restrict z) {
    double offset = 0.0;
    for (;;) {
        const uint64_t word = next_word(g);
        const int layer = (int)(word & 255);
        const double x = (double)(int64_t)(word >> 11) * UNIT * z->edge[layer];
        if (__builtin_expect(x < z->edge[layer + 1], 1)) return offset + x;
        if (layer == 0)
            offset += z->edge[1];
        else if (z->height[layer] + uniform(g) * (z->height[layer + 1] - z->height[layer]) < exp(-x))
            return offset + x;
    }
}

/* ---- one step of the phases ---- */

static void look(const couplings *restrict c, const int64_t *restrict counts, const cplx *restrict unit, double mode,
                 const workspace *restrict w) {
    for (int64_t a = 0; a < c->labels; a++) {
        w->amplitude[a] = scaled(sqrt((double)counts[a]), unit[a]);
        w->drift[a] = (cplx){0.0, 0.0};
        w->strength[a] = 0.0;
    }
    for (int64_t e = 0; e < c->edges; e++) {
        const int32_t a = c->edge_a[e], b = c->edge_b[e];
        const cplx z = times(times(conjugate(w->amplitude[a]), c->h[e]), w->amplitude[b]);
        w->pair[e] = z;
        add(&w->drift[a], z);
        add(&w->drift[b], conjugate(z));
        const double size = z.re * z.re + z.im * z.im;
        w->strength[a] += size;
        w->strength[b] += size;
    }
    for (int64_t a = 0; a < c->labels; a++) {
        const double share = counts[a] > 0 ? 1.0 / (double)counts[a] : 0.0;
        const cplx pull = scaled(share, w->drift[a]);
        w->strength[a] = pull.re * pull.re + pull.im * pull.im + share * share * w->strength[a];
        w->drift[a] = (cplx){mode * pull.im, -(c->omega[a] + pull.re)};
    }
}

static void look_ahead(const couplings *restrict c, const int64_t *restrict counts, double mode,
                       const workspace *restrict w) {
    for (int64_t a = 0; a < c->labels; a++) w->swing[a] = (cplx){0.0, 0.0};
    for (int64_t e = 0; e < c->edges; e++) {
        const int32_t a = c->edge_a[e], b = c->edge_b[e];
        const cplx z = w->pair[e], apart = less(w->drift[b], w->drift[a]);
        add(&w->swing[a], times(z, apart));
        w->swing[b] = less(w->swing[b], times(conjugate(z), apart));
    }
    for (int64_t a = 0; a < c->labels; a++) {
        const cplx pull = scaled(counts[a] > 0 ? 1.0 / (double)counts[a] : 0.0, w->swing[a]);
        w->swing[a] = (cplx){mode * pull.im, -pull.re};
    }
}

static void look_farther(const couplings *restrict c, const int64_t *restrict counts, const workspace *restrict w) {
    for (int64_t a = 0; a < c->labels; a++) w->curve[a] = 0.0;
    for (int64_t e = 0; e < c->edges; e++) {
        const int32_t a = c->edge_a[e], b = c->edge_b[e];
        const cplx z = w->pair[e], apart = less(w->drift[b], w->drift[a]);
        const cplx whole = times(apart, apart), parting = less(w->swing[b], w->swing[a]);
        w->curve[a] += z.re * (whole.re + parting.re) - z.im * (whole.im + parting.im);
        w->curve[b] += z.re * (whole.re - parting.re) + z.im * (whole.im - parting.im);
    }
    for (int64_t a = 0; a < c->labels; a++) w->curve[a] *= counts[a] > 0 ? 1.0 / (double)counts[a] : 0.0;
}

static double fastest_rate(const couplings *restrict c, const int64_t *restrict counts, const workspace *restrict w) {
    double size = 0.0, fastest = 0.0;
    for (int64_t a = 0; a < c->labels; a++) size = fmax(size, w->strength[a]);
    for (int64_t e = 0; e < c->edges; e++) {
        const int32_t a = c->edge_a[e], b = c->edge_b[e];
        if (counts[a] > 0 && counts[b] > 0) fastest = fmax(fastest, fabs(w->turning[a] - w->turning[b]));
    }
    return fmax(fastest, sqrt(size));
}

static inline double sine_after(double sine, double cosine, double angle) {
    const double s = angle * angle;
    const double sin_angle = angle * (1.0 - s * (1.0 / 6.0) * (1.0 - s * (1.0 / 20.0)));
    const double cos_angle = 1.0 - s * 0.5 * (1.0 - s * (1.0 / 12.0) * (1.0 - s * (1.0 / 30.0)));
    return sine * cos_angle + cosine * sin_angle;
}

/* |2R sin| within a step: the larger one of both ends where theta and its sine go one way all the time. */
static inline double farthest_sine(const edge_now *restrict now, double length, double size) {
    const double turn = length * (fabs(now->detuning) + length * fabs(now->bending));
    if (fabs(now->cosine) > turn * size && fabs(now->detuning) > 2.0 * length * fabs(now->bending)) {
        const double end = sine_after(now->sine, now->cosine, length * (now->detuning + length * now->bending));
        return fmax(fabs(now->sine), fabs(end));
    }
    return fmin(fabs(now->sine) + turn * size, size);
}

/* Walker's alias table by Vose's construction; small cells stack up from the left, large ones from the right. */
static double fill_alias(int64_t size, edge_now *restrict now, int64_t *restrict stack) {
    double total = 0.0;
    for (int64_t cell = 0; cell < size; cell++) total += now[cell].bound;
    if (total <= 0.0) return 0.0;
    const double scale = (double)size / total;
    int64_t small = 0, large = size;
    for (int64_t cell = 0; cell < size; cell++) {
        now[cell].threshold = now[cell].bound * scale;
        now[cell].other = cell;
        if (now[cell].threshold < 1.0)
            stack[small++] = cell;
        else
            stack[--large] = cell;
    }
    while (small > 0 && large < size) {
        const int64_t poor = stack[--small], rich = stack[large];
        now[poor].other = rich;
        now[rich].threshold -= 1.0 - now[poor].threshold;
        if (now[rich].threshold < 1.0) {
            large++;
            stack[small++] = rich;
        }
    }
    while (small > 0) {
        edge_now *left = &now[stack[--small]];
        left->threshold = left->bound > 0.0 ? 1.0 : 0.0;
    }
    while (large < size) now[stack[large++]].threshold = 1.0;
    return total;
}

static double begin_step(const couplings *restrict c, const int64_t *restrict counts, const cplx *restrict unit,
                         double longest, double phase_step, double mode, const workspace *restrict w,
                         double *restrict total) {
    look(c, counts, unit, mode, w);
    look_ahead(c, counts, mode, w);
    look_farther(c, counts, w);
    for (int64_t a = 0; a < c->labels; a++) {
        w->turning[a] = -w->drift[a].im;
        w->bend[a] = -w->swing[a].im;
    }
    const double fastest = fastest_rate(c, counts, w);
    const double length = fastest * longest > phase_step ? phase_step / fastest : longest;
    for (int64_t a = 0; a < c->labels; a++) {
        w->lean[a] = 0.5 * (w->bend[a] + 0.25 * length * w->curve[a]);
        w->traffic[a] = 0.0;
    }
    for (int64_t e = 0; e < c->edges; e++) {
        edge_now *restrict now = &w->now[e];
        const int32_t a = c->edge_a[e], b = c->edge_b[e];
        now->bound = 0.0;
        if (counts[a] <= 0 || counts[b] <= 0) continue;
        const double root = sqrt((double)counts[a] * (double)counts[b]);
        const cplx h = c->h[e];
        const double size = 2.0 * sqrt(h.re * h.re + h.im * h.im);
        now->sine = 2.0 * w->pair[e].im / root;
        now->cosine = 2.0 * w->pair[e].re / root;
        now->detuning = w->turning[a] - w->turning[b];
        now->bending = w->lean[a] - w->lean[b];
        now->bound = farthest_sine(now, length, size);
        w->traffic[a] += now->bound * root * length;
        w->traffic[b] += now->bound * root * length;
    }
    for (int64_t a = 0; a < c->labels; a++) {
        const double growth = w->drift[a].re, faster = w->swing[a].re;
        const double net = (double)counts[a] * length * (2.0 * growth + length * (faster + 2.0 * growth * growth));
        const double spread = 4.0 * sqrt(w->traffic[a]);
        int64_t down = (int64_t)(fmax(-net, 0.0) + spread), up = (int64_t)(fmax(net, 0.0) + spread);
        if (down > counts[a] / 4) down = counts[a] / 4;
        if (up > counts[a] / 4) up = counts[a] / 4;
        w->lowest[a] = counts[a] - down;
        w->highest[a] = counts[a] + up;
    }
    for (int64_t e = 0; e < c->edges; e++)
        if (w->now[e].bound > 0.0)
            w->now[e].bound *= sqrt((double)w->highest[c->edge_a[e]] * (double)w->highest[c->edge_b[e]]);
    *total = fill_alias(c->edges, w->now, w->stack);
    return length;
}

static inline cplx turned(cplx unit, double angle) {
    const cplx after = times(unit, (cplx){cos(angle), -sin(angle)});
    return scaled(1.5 - 0.5 * (after.re * after.re + after.im * after.im), after);
}

static inline double ahead(const workspace *restrict w, int64_t a, double elapsed) {
    return w->turning[a] + elapsed * (0.5 * w->bend[a] + elapsed * w->curve[a] * (1.0 / 6.0));
}

static void finish_step(const couplings *restrict c, const int64_t *restrict counts, cplx *restrict unit,
                        double elapsed, double mode, const workspace *restrict w) {
    for (int64_t a = 0; a < c->labels; a++) unit[a] = turned(unit[a], ahead(w, a, elapsed) * elapsed);
    look(c, counts, unit, mode, w);
    look_ahead(c, counts, mode, w);
    for (int64_t a = 0; a < c->labels; a++) {
        const double corner = (w->bend[a] + w->swing[a].im) * (1.0 / 12.0);
        const double whole = 0.5 * (w->turning[a] - w->drift[a].im) + elapsed * corner;
        unit[a] = turned(unit[a], (whole - ahead(w, a, elapsed)) * elapsed);
    }
}

/* ---- the loop over proposals ---- */

/* One step; returns the time that it took, which is less than ``length`` where a count left the bounds of the step. */
static inline double play_step(int64_t edges, int64_t *restrict counts, double length, double total, int64_t floor,
                               double mode, generator *restrict random, const ziggurat *restrict z,
                               const workspace *restrict w, tally *restrict done, int32_t *restrict left_open) {
    generator g = *random;
    const edge_now *restrict now = w->now;
    double elapsed = 0.0;
    int64_t events = 0, proposals = 0;
    left_open[0] = -1;
    while (total > 0.0) {
        elapsed += exponential(&g, z) / total;
        if (elapsed >= length) break;
        proposals++;
        int64_t cell = 0;
        if (edges > 1) {
            const double place = uniform(&g) * (double)edges;
            const int64_t drawn = (int64_t)place, other = now[drawn].other;
            cell = place - (double)drawn < now[drawn].threshold ? drawn : other;
        }
        const edge_now *restrict edge = &now[cell];
        const int32_t a = edge->a, b = edge->b;
        const double sine = sine_after(edge->sine, edge->cosine, elapsed * (edge->detuning + elapsed * edge->bending));
        if (square(uniform(&g) * edge->bound) >= ((double)counts[a] * (double)counts[b]) * (sine * sine)) continue;
#ifdef BRANCH
        const int from_b = sine * mode > 0.0;
        const int32_t loses = from_b ? b : a, gains = from_b ? a : b;
#else
        const int32_t swap = (a ^ b) & -(int32_t)(sine * mode > 0.0);
        const int32_t loses = a ^ swap, gains = b ^ swap;
#endif
        if (counts[loses] <= floor) continue;
        if (counts[loses] <= w->lowest[loses] || counts[gains] >= w->highest[gains]) {
            left_open[0] = loses;
            left_open[1] = gains;
            break;
        }
        counts[loses]--;
        counts[gains]++;
        events++;
    }
    *random = g;
    done->events += events;
    done->proposals += proposals;
    return left_open[0] < 0 ? length : elapsed;
}

static workspace scratch(const couplings *restrict c) {
    const size_t labels = (size_t)c->labels, edges = (size_t)c->edges;
    workspace w = {
        calloc(labels, sizeof(cplx)),    calloc(labels, sizeof(cplx)),    calloc(labels, sizeof(cplx)),
        calloc(edges, sizeof(cplx)),     calloc(labels, sizeof(double)),  calloc(labels, sizeof(double)),
        calloc(labels, sizeof(double)),  calloc(labels, sizeof(double)),  calloc(labels, sizeof(double)),
        calloc(labels, sizeof(double)),  calloc(labels, sizeof(int64_t)), calloc(labels, sizeof(int64_t)),
        calloc(edges, sizeof(int64_t)),  aligned_alloc(64, edges * sizeof(edge_now)),
    };
    for (size_t e = 0; e < edges; e++) w.now[e] = (edge_now){.a = c->edge_a[e], .b = c->edge_b[e]};
    return w;
}

static void discard(workspace w) {
    free(w.amplitude); free(w.drift); free(w.swing); free(w.pair);
    free(w.turning); free(w.bend); free(w.curve); free(w.lean); free(w.strength); free(w.traffic);
    free(w.lowest); free(w.highest); free(w.stack); free(w.now);
}

/* Evolve counts and unit in place until ``end``; returns 0, or 1 where a step has become too short for the clock. */
int advance(const couplings *restrict c, int64_t *restrict counts, cplx *restrict unit, double now, double end,
            double phase_step, int64_t floor, double mode, generator *restrict random, const ziggurat *restrict z,
            tally *restrict done) {
    const workspace w = scratch(c);
    int stalled = 0;
    while (now < end) {
        double total;
        int32_t left_open[2];
        const double length = begin_step(c, counts, unit, end - now, phase_step, mode, &w, &total);
        if ((stalled = now + length == now)) break;
        const double elapsed =
            play_step(c->edges, counts, length, total, floor, mode, random, z, &w, done, left_open);
        if (left_open[0] >= 0)
            now += elapsed;
        else
            now = length >= end - now ? end : now + length;
        finish_step(c, counts, unit, elapsed, mode, &w);
        if (left_open[0] >= 0) {
            counts[left_open[0]]--;
            counts[left_open[1]]++;
            done->events++;
        }
        done->steps++;
    }
    discard(w);
    return stalled;
}

/* Draw what ``proposals`` proposals draw, and nothing else; the sum keeps the compiler from leaving it out. */
double only_draw(generator *restrict random, const ziggurat *restrict z, int64_t proposals, int uniforms) {
    generator g = *random;
    double sum = 0.0;
    for (int64_t i = 0; i < proposals; i++) {
        sum += exponential(&g, z);
        for (int j = 0; j < uniforms; j++) sum += uniform(&g);
    }
    *random = g;
    return sum;
}
