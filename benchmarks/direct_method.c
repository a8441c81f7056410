/* Gillespie's direct method for networks of conversions a -> b in C: the yardstick of exact_against_packages.py.
 *
 * Reaction r takes a copy of species from[r] to species to[r] at the rate rate[r] n[from[r]]. What a C programmer would
 * do about it is done: propensities and their sum are brought up to date, not computed anew, by a list of the reactions
 * that a species feeds; the sum is taken afresh every 65536 events, so that rounding does not pile up; the state of the
 * generator lives in registers; pointers do not alias. The generator is that of the kernels: xoshiro256++, and exp(-x)
 * by the ziggurat, which costs less than a logarithm.
 *
 * Two builds, of which the benchmark takes the faster: the search for the reaction stops where it has found it, or, with
 * COUNT, adds up all propensities and counts those passed, where the processor has nothing to guess.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define UNIT 0x1p-53
#define AFRESH 65535

typedef struct { uint64_t s0, s1, s2, s3; } generator;
typedef struct { double edge[257], height[257]; } ziggurat;

typedef struct {
    int64_t species, reactions;
    const int64_t *restrict from, *restrict to;
    const double *restrict rate;
    const int64_t *restrict first, *restrict fed; /* species s feeds the reactions fed[first[s]] .. fed[first[s + 1]] */
} network;

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

static double sum_of(int64_t size, const double *restrict terms) {
    double sum = 0.0;
    for (int64_t i = 0; i < size; i++) sum += terms[i];
    return sum;
}

static inline int64_t chosen(int64_t reactions, const double *restrict propensity, double mark) {
    int64_t reaction = 0;
#ifdef COUNT
    double passed = 0.0;
    for (int64_t r = 0; r < reactions - 1; r++) {
        passed += propensity[r];
        reaction += mark >= passed;
    }
#else
    while (reaction < reactions - 1 && mark >= propensity[reaction]) mark -= propensity[reaction++];
#endif
    return reaction;
}

/* Bring what a species feeds up to date; returns by how much the sum changes. */
static inline double renewed(const network *restrict w, int64_t species, double copies, double *restrict propensity) {
    double change = 0.0;
    for (int64_t place = w->first[species]; place < w->first[species + 1]; place++) {
        const int64_t r = w->fed[place];
        const double now = w->rate[r] * copies;
        change += now - propensity[r];
        propensity[r] = now;
    }
    return change;
}

/* Evolve counts in place until ``end``; returns the number of events. */
int64_t direct_method(const network *restrict w, int64_t *restrict counts, double end, generator *restrict random,
                      const ziggurat *restrict z) {
    generator g = *random;
    double *restrict propensity = malloc((size_t)w->reactions * sizeof(double));
    for (int64_t r = 0; r < w->reactions; r++) propensity[r] = w->rate[r] * (double)counts[w->from[r]];
    double total = sum_of(w->reactions, propensity), now = 0.0;
    int64_t events = 0;
    while (total > 0.0) {
        now += exponential(&g, z) / total;
        if (now >= end) break;
        const int64_t r = chosen(w->reactions, propensity, uniform(&g) * total), a = w->from[r], b = w->to[r];
        if (counts[a] == 0) { /* rounding alone can lead here */
            total = sum_of(w->reactions, propensity);
            continue;
        }
        total += renewed(w, a, (double)--counts[a], propensity);
        total += renewed(w, b, (double)++counts[b], propensity);
        if ((++events & AFRESH) == 0) total = sum_of(w->reactions, propensity);
    }
    free(propensity);
    *random = g;
    return events;
}
