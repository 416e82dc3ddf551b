/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For programs linked with --wrap=malloc,calloc,realloc,strdup: our own allocations, and those of
 * SQLite and jansson, which take theirs from here. Arms itself from the environment. */
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);

static void *none(void)
{
	errno = ENOMEM;
	return NULL;
}

void *__wrap_malloc(size_t n)
{
	return fault_malloc() ? none() : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fault_malloc() ? none() : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fault_malloc() ? none() : __real_realloc(p, n);
}

char *__wrap_strdup(const char *s)
{
	return fault_malloc() ? none() : __real_strdup(s);
}

static void *sqlite_malloc(int n)
{
	return __wrap_malloc((size_t)n);
}

static void *sqlite_realloc(void *p, int n)
{
	return __wrap_realloc(p, (size_t)n);
}

static int sqlite_size(void *p)
{
	return (int)malloc_usable_size(p);
}

static int sqlite_roundup(int n)
{
	return (n + 7) & ~7;
}

static int sqlite_init(void *arg)
{
	return SQLITE_OK;
}

static void sqlite_shutdown(void *arg)
{
}

static const char *count_file;

static void write_counts(void)
{
	FILE *f = fopen(count_file, "w");
	if (!f)
		return;
	fprintf(f, "{\"calls\":%u,\"marks\":%u,\"mallocs\":%u,\"hit\":%s}\n", fault_counts.calls,
	        fault_counts.marks, fault_counts.mallocs, fault_counts.hit ? "true" : "false");
	fclose(f);
}

__attribute__((constructor)) static void arm(int argc, char **argv, char **envp)
{
	static sqlite3_mem_methods methods = {
	    sqlite_malloc,  free,        sqlite_realloc,  sqlite_size,
	    sqlite_roundup, sqlite_init, sqlite_shutdown, NULL};
	json_set_alloc_funcs(__wrap_malloc, free);
	sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
	const char *spec = getenv("STANCH_FAULT");
	count_file = getenv("STANCH_FAULT_COUNT");
	/* Children that take another role start from the same file: they run without faults. */
	if ((!spec && !count_file) || (argc > 1 && argv[1][0] == '@'))
		return;
	if (!fault_arm(spec)) {
		fprintf(stderr, "STANCH_FAULT=\"%s\" is not a fault\n", spec);
		_Exit(99);
	}
	if (count_file)
		atexit(write_counts);
}
