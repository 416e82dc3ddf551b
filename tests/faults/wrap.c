/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The C library's allocators, replaced for the whole process: an executable's own definitions are
 * found before the library's, so that allocations of libnftnl, libbpf, SQLite, jansson and of the C
 * library itself count, too. Only OpenSSL's do not: 3.0 crashes where it finds none while it starts
 * (a lock that is NULL). They are told by where the call comes from: libssh starts OpenSSL before
 * any code of ours runs, too early for CRYPTO_set_mem_functions. Arms itself from the environment.
 */
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

/* glibc's names for what stands behind the replaced ones; free stays its own. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static void *none(void)
{
	errno = ENOMEM;
	return NULL;
}

static uintptr_t crypto_from, crypto_to; /* where libcrypto's code lies */

static int find_crypto(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (!strstr(info->dlpi_name, "libcrypto.so"))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		crypto_from = info->dlpi_addr + p->p_vaddr;
		crypto_to = crypto_from + p->p_memsz;
	}
	return 1;
}

static bool fails(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;
	return !(at >= crypto_from && at < crypto_to) && fault_malloc();
}

void *malloc(size_t n)
{
	return fails(__builtin_return_address(0)) ? none() : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? none() : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(__builtin_return_address(0)) ? none() : __libc_realloc(p, n);
}

static char count_file[4096]; /* a copy: stanch wipes its environment */

static void write_counts(void)
{
	struct fault_counts c = fault_counts;
	fault_disarm();
	FILE *f = fopen(count_file, "w");
	if (!f)
		return;
	fprintf(f, "{\"calls\":%u,\"marks\":%u,\"mallocs\":%u,\"hit\":%s}\n", c.calls, c.marks,
	        c.mallocs, c.hit ? "true" : "false");
	fclose(f);
}

__attribute__((constructor)) static void arm(int argc, char **argv, char **envp)
{
	dl_iterate_phdr(find_crypto, NULL);
	const char *spec = getenv("STANCH_FAULT");
	const char *to = getenv("STANCH_FAULT_COUNT");
	/* Children that take another role start from the same file: they run without faults. */
	if ((!spec && !to) || (argc > 1 && argv[1][0] == '@'))
		return;
	if (!fault_arm(spec)) {
		fprintf(stderr, "STANCH_FAULT=\"%s\" is not a fault\n", spec);
		_Exit(99);
	}
	snprintf(count_file, sizeof count_file, "%s", to ? to : "");
	if (count_file[0])
		atexit(write_counts);
}
