/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/table.h"
#include "wire/iomem.h"

static void a_machine_with_memory_at_all_depths(void **state)
{
	static const char text[] = "00000000-00000fff : Reserved\n"
	                           "00001000-0009fbff : System RAM\n"
	                           "000a0000-000bffff : PCI Bus 0000:00\n"
	                           "00100000-1ffdffff : System RAM\n"
	                           "  01000000-01e02566 : Kernel code\n"
	                           "  1e000000-1effffff : Crash kernel\n"
	                           "1ffe0000-1fffffff : Reserved\n"
	                           "fee00000-fee00fff : Local APIC\n"
	                           "100000000-13fffffff : Persistent Memory\n"
	                           "  100000000-11fffffff : namespace0.0\n"
	                           "    104000000-11bffffff : System RAM (kmem)\n"
	                           "140000000-147ffffff : virtio2\n"
	                           "  140000000-147ffffff : System RAM (virtio_mem)\n"
	                           "148000000-14fffffff : System RAM\n"
	                           "150000000-15fffffff : System RAMDAC\n";
	static const struct phys_range expected[] = {
	    {0x1000, 0x9fbff},
	    {0x100000, 0x1ffdffff},
	    {0x104000000, 0x11bffffff},
	    {0x140000000, 0x14fffffff}, /* two that adjoin */
	};
	_cleanup_free_ struct phys_range *r = NULL;
	size_t n = 0;
	assert_int_equal(iomem_ram(text, sizeof(text) - 1, &r, &n, NULL), 0);
	assert_int_equal(n, ARRAY_SIZE(expected));
	assert_memory_equal(r, expected, sizeof(expected));
}

static void what_is_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
	    {"00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n", -EACCES},
	    {"00001000-0009fbff : System RAM\ngarbage\n", -EBADMSG},
	    {"00001000-0009fbff: System RAM\n", -EBADMSG},
	    {"1000-fff : System RAM\n", -EBADMSG},
	    {"00000000000001000-00000000000001fff : System RAM\n", -EBADMSG},
	    {"00001000-0009fbff : Reserved\n", -ENOENT},
	    {"", -ENOENT},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct phys_range *r = NULL;
		struct err e = {0};
		size_t n = 0;
		assert_int_equal(iomem_ram(cases[i].text, strlen(cases[i].text), &r, &n, &e),
		                 cases[i].code);
		assert_null(r);
		assert_true(*e.text);
	}
}

static void too_many_ranges(void **state)
{
	size_t max = 64 * (IOMEM_RANGES_MAX + 1), len = 0, n;
	_cleanup_free_ char *text = malloc(max);
	struct phys_range *r = NULL;
	assert_non_null(text);
	for (unsigned i = 0; i <= IOMEM_RANGES_MAX; i++)
		len += (size_t)snprintf(text + len, max - len, "%x000-%x0ff : System RAM\n", i + 1,
		                        i + 1);
	assert_int_equal(iomem_ram(text, len, &r, &n, NULL), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_machine_with_memory_at_all_depths),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(too_many_ranges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
