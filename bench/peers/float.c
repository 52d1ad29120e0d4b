/* SPDX-License-Identifier: MIT */
/* Rows of floating-point work: SSE2 scalars and vectors, and x87. All operations are those that IEEE 754 defines exactly. */
#include "peers.h"
#include "sys.h"

#include <emmintrin.h>

#define N 96

static void prepare_matmul(void *memory)
{
    double *m = memory;

    for (unsigned i = 0; i < 2 * N * N; i++)
        m[i] = (double)(int)(i * 2654435761u >> 20) / 64 - 30;
}

/* c = a * b, two columns at a time. */
static uint64_t run_matmul(void *memory)
{
    const double *a = memory, *b = a + N * N;
    double *c = (double *)memory + 2 * N * N;
    uint64_t sum = 0;

    for (unsigned i = 0; i < N; i++) {
        for (unsigned j = 0; j < N; j += 4) {
            __m128d low = _mm_setzero_pd(), high = _mm_setzero_pd();
            for (unsigned k = 0; k < N; k++) {
                __m128d x = _mm_set1_pd(a[i * N + k]);
                low = _mm_add_pd(low, _mm_mul_pd(x, _mm_loadu_pd(b + k * N + j)));
                high = _mm_add_pd(high, _mm_mul_pd(x, _mm_loadu_pd(b + k * N + j + 2)));
            }
            _mm_storeu_pd(c + i * N + j, low);
            _mm_storeu_pd(c + i * N + j + 2, high);
        }
    }
    for (unsigned i = 0; i < N; i++)
        sum += (uint64_t)(int64_t)(c[i * N + (i * 7) % N] * 64);
    return sum;
}

struct body {
    double x[3], v[3], mass;
};

static void advance(struct body *bodies, double dt)
{
    for (struct body *a = bodies; a < bodies + 5; a++) {
        for (struct body *b = a + 1; b < bodies + 5; b++) {
            double d[3], square = 0.01;
            for (unsigned i = 0; i < 3; i++) {
                d[i] = a->x[i] - b->x[i];
                square += d[i] * d[i];
            }
            double force = dt / (square * _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(square))));
            for (unsigned i = 0; i < 3; i++) {
                a->v[i] -= d[i] * b->mass * force;
                b->v[i] += d[i] * a->mass * force;
            }
        }
    }
    for (struct body *a = bodies; a < bodies + 5; a++)
        for (unsigned i = 0; i < 3; i++)
            a->x[i] += dt * a->v[i];
}

static uint64_t run_nbody(void *memory)
{
    struct body *bodies = memory;
    union { double d; uint64_t bits; } sum = {0};

    for (unsigned i = 0; i < 5; i++)
        bodies[i] = (struct body){{i * 1.5, i * i * 0.25, 3.0 - i}, {0, 0.5 * i, 0.125}, 1.0 + i * 0.5};
    for (unsigned i = 0; i < 3000; i++)
        advance(bodies, 0.001);
    for (unsigned i = 0; i < 5; i++)
        sum.d += bodies[i].x[0] * 2 + bodies[i].v[1];
    return sum.bits;
}

/* Four points of the Mandelbrot set at a time, in single precision. */
static uint64_t run_mandelbrot(void *memory)
{
    uint64_t total = 0;

    (void)memory;
    for (int line = 0; line < 48; line++) {
        __m128 ci = _mm_set1_ps((float)line / 16 - 1.5f);
        for (int column = 0; column < 64; column += 4) {
            __m128 cr = _mm_set_ps((float)(column + 3) / 24 - 2, (float)(column + 2) / 24 - 2,
                                   (float)(column + 1) / 24 - 2, (float)column / 24 - 2);
            __m128 r = _mm_setzero_ps(), i = _mm_setzero_ps();
            __m128i count = _mm_setzero_si128();
            for (unsigned k = 0; k < 60; k++) {
                __m128 rr = _mm_mul_ps(r, r), ii = _mm_mul_ps(i, i);
                __m128 inside = _mm_cmple_ps(_mm_add_ps(rr, ii), _mm_set1_ps(4));
                if (_mm_movemask_ps(inside) == 0)
                    break;
                count = _mm_sub_epi32(count, _mm_castps_si128(inside));
                i = _mm_add_ps(_mm_mul_ps(_mm_add_ps(r, r), i), ci);
                r = _mm_add_ps(_mm_sub_ps(rr, ii), cr);
            }
            int32_t counts[4];
            _mm_storeu_si128((__m128i *)counts, count);
            total = total * 3 + (uint64_t)(counts[0] + counts[1] * 2 + counts[2] * 4 + counts[3] * 8);
        }
    }
    return total;
}

/* 80-bit arithmetic: a continued fraction, a square root, conversions. */
static uint64_t run_x87(void *memory)
{
    long double x = 1, sum = 0;

    (void)memory;
    for (int i = 1; i <= 20000; i++) {
        long double term = (long double)i * i + 0.5L;
        x = 1 + 1 / (x + term * 0.001L);
        __asm__ volatile("fsqrt" : "+t"(term));
        sum += x * term;
        if (sum > 1e6L)
            sum -= 1e6L;
    }
    return (uint64_t)(int64_t)(sum * 1e9L);
}

const struct row float_rows[] = {
    {"matmul", 200, 1, 4883326, run_matmul, 3 * N * N * sizeof(double), prepare_matmul},
    {"nbody", 200, 1, 0x4044510f60c2da0e, run_nbody, 4096, NULL},
    {"mandelbrot", 400, 1, 0x146138880154b8c5, run_mandelbrot, 0, NULL},
    {"x87", 200, 1, 0xed48f370fb1, run_x87, 0, NULL},
    {0},
};
