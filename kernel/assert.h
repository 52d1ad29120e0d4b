/* SPDX-License-Identifier: MIT */
/* ASSERT: checked in the assertion build, compiled but never evaluated in the release. panic() prints and stops all CPUs. */
#ifndef KERNEL_ASSERT_H
#define KERNEL_ASSERT_H

_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef GRAFT_ASSERT
#define ASSERTIONS 1
#else
#define ASSERTIONS 0
#endif
#define ASSERT(x) (!ASSERTIONS || (x) ? (void)0 : panic("%s:%u: assertion failed: %s", __FILE__, (unsigned)__LINE__, #x))

#endif
