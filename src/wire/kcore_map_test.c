/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/kcore_map.h"

#define TIB        (UINT64_C(1) << 40)
#define DIRECT     UINT64_C(0xffff888000000000)
#define DIRECT_OLD UINT64_C(0xffff9b3a40000000) /* moved by KASLR, in steps of 1 GiB */

static const struct phys_range ram[] = {{0x1000, 0x9fbff}, {0x100000, 0x1ffdffff}};

#define LOAD(v, p, size, off)                                                                      \
	{                                                                                          \
		.type = PT_LOAD, .vaddr = (v), .paddr = (p), .filesz = (size), .memsz = (size),    \
		.offset = (off)                                                                    \
	}

/* As Linux 6.1 has it with 512 MiB. */
static const struct elf_segment new_kernel[] = {
    {.type = PT_NOTE, .offset = 0x200, .filesz = 0x1000},
    LOAD(0xffffffff9c000000, 0x1c000000, 0x2000000, 0x7fff9c003000),
    LOAD(0xffffa00000000000, UINT64_MAX, 32 * TIB, 0x200000003000),
    LOAD(0xffffffffc0000000, UINT64_MAX, 0x3f000000, 0x7fffc0003000),
    LOAD(DIRECT + 0x1000, 0x1000, 0x9e000, 0x88000004000),
    LOAD(DIRECT + 0x100000, 0x100000, 0x1fee0000, 0x88000103000),
    LOAD(0xffffea0000000000, UINT64_MAX, 0x800000, 0x6a0000003000),
};

static void physical_addresses_that_are_told(void **state)
{
	struct kcore_map m;
	uint64_t off, len;
	assert_int_equal(kcore_map_make(new_kernel, ARRAY_SIZE(new_kernel), ram, 2, &m, NULL), 0);
	assert_false(m.guessed);
	assert_int_equal(m.n, 3);
	assert_true(kcore_map_find(&m, 0x1000, &off, &len));
	assert_int_equal(off, 0x88000004000);
	assert_int_equal(len, 0x9e000);
	/* The direct map has the kernel's text, too, and comes first. */
	assert_true(kcore_map_find(&m, 0x1c000123, &off, &len));
	assert_int_equal(off, 0x88000103000 + 0x1c000123 - 0x100000);
	assert_int_equal(len, 0x1ffdffff - 0x1c000123 + 1);
	/* The last page of the first range, which kcore rounds away. */
	assert_false(kcore_map_find(&m, 0x9f000, &off, &len));
	assert_int_equal(len, 0x100000 - 0x9f000);
	assert_false(kcore_map_find(&m, 0x20000000, &off, &len));
	assert_int_equal(len, UINT64_MAX);
	kcore_map_free(&m);
}

static void physical_addresses_of_old_kernels(void **state)
{
	struct elf_segment v[ARRAY_SIZE(new_kernel)];
	struct kcore_map m;
	uint64_t off, len;
	memcpy(v, new_kernel, sizeof(v));
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		v[i].paddr = 0;
		if (v[i].vaddr >= DIRECT && v[i].vaddr < DIRECT + TIB)
			v[i].vaddr += DIRECT_OLD - DIRECT;
	}
	assert_int_equal(kcore_map_make(v, ARRAY_SIZE(v), ram, 2, &m, NULL), 0);
	assert_true(m.guessed);
	assert_int_equal(m.page_offset, DIRECT_OLD);
	assert_true(kcore_map_find(&m, 0x100000, &off, &len));
	assert_int_equal(off, 0x88000103000);
	assert_int_equal(len, 0x1fee0000);
	assert_true(kcore_map_find(&m, 0x1fff, &off, &len));
	assert_int_equal(off, 0x88000004fff);
	kcore_map_free(&m);
}

static void kcore_without_memory(void **state)
{
	struct kcore_map m = {0};
	struct err e = {0};
	static const struct elf_segment vmalloc[] = {
	    LOAD(0xffffa00000000000, 0, 32 * TIB, 0x200000003000),
	    LOAD(0xffffffff9c000000, 0, 0x2000000, 0x7fff9c003000)};
	assert_int_equal(kcore_map_make(vmalloc, 2, ram, 2, &m, &e), -ENOENT);
	assert_int_equal(kcore_map_make(vmalloc, 0, ram, 2, &m, &e), -ENOENT);
	/* Sizes and addresses that run over. */
	static const struct elf_segment over[] = {LOAD(DIRECT, UINT64_MAX - 5, 0x1000, 0),
	                                          LOAD(DIRECT, 5, UINT64_MAX, 5)};
	assert_int_equal(kcore_map_make(over, 2, ram, 2, &m, &e), -ENOENT);
	assert_null(m.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(physical_addresses_that_are_told),
	    cmocka_unit_test(physical_addresses_of_old_kernels),
	    cmocka_unit_test(kcore_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
