/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership: autofree and autoclose release at the end of the scope, take_ptr() and
 * take_fd() hand ownership on. Every cleanup keeps errno. A cleaned-up descriptor is −1, a pointer
 * NULL, so that cleaning up twice does nothing.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	int saved = errno;

	free(*(void **)p);
	*(void **)p = NULL;
	errno = saved;
}

static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * For a process that is about to execute a program: what is close-on-exec need not be closed one
 * by one. High numbers are, so that a long list of mounts does not run into RLIMIT_NOFILE.
 */
static inline void cleanup_close_late(int *fd)
{
	enum { LEFT_TO_EXEC = 512 };

	if (*fd >= LEFT_TO_EXEC)
		cleanup_close(fd);
}

#define autolate  __attribute__((cleanup(cleanup_close_late)))
#define autofree  __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

/* Declares cleanup_NAME for a type whose destructor takes a pointer to it. */
#define CLEANUP_DEFINE(name, type, destroy)        \
	static inline void cleanup_##name(type *p) \
	{                                          \
		int saved = errno;                 \
		destroy(p);                        \
		errno = saved;                     \
	}

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(p)                       \
	({                                \
		__auto_type taken_ = (p); \
		(p) = NULL;               \
		taken_;                   \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
