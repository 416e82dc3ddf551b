/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/args.h"

static const struct opt own[] = {
    {"every", 'e', OPT_DURATION, "DUR", "how often"}, {"port", 'p', OPT_PORT, "P", "port"},
    {"count", 'n', OPT_COUNT, "N", "how many"},       {"since", 0, OPT_TIME, "TIME", "since"},
    {"name", 0, OPT_LIST, "TEXT", "repeats"},         {"file", 0, OPT_TEXT, "FILE", "once"},
    {"all", 'a', OPT_FLAG, NULL, "all of it"},        {NULL},
};

static const struct verb_row table[] = {
    {.name = "look", .synopsis = "[X…]", .opts = own, .max_args = 2},
    {.name = "cut",
     .synopsis = "X",
     .flags = VERB_CHANGES | VERB_CUTS,
     .min_args = 1,
     .max_args = 1},
    {NULL},
};

/* The command line as words; the last is NULL. */
static int parse(struct args *a, struct err *e, ...)
{
	char *argv[32] = {(char *)(uintptr_t) "stanch"};
	int argc = 1;
	va_list ap;
	va_start(ap, e);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	*e = (struct err){0};
	return args_parse(argc, argv, table, a, e);
}

static void every_type_is_read(void **state)
{
	struct args a;
	struct err e;
	assert_int_equal(parse(&a, &e, "look", "-e", "10m", "--port=22", "-p", "443", "-n7",
	                       "--since", "2026-11-24T04:07:00Z", "--name", "x", "--name=y", "-a",
	                       "eth0", NULL),
	                 0);
	assert_string_equal(a.verb->name, "look");
	assert_int_equal(args_duration(&a, "every", 0), 600 * USEC_PER_SEC);
	assert_int_equal(args_port(&a, "port", 0), 443);
	assert_int_equal(args_nth(&a, "port", 0)->number, 22);
	assert_int_equal(args_count(&a, "count", 0), 7);
	assert_int_equal(args_time(&a, "since", 0), 1795493220 * USEC_PER_SEC);
	assert_string_equal(args_nth(&a, "name", 1)->text, "y");
	assert_null(args_nth(&a, "name", 2));
	assert_true(args_has(&a, "all"));
	assert_false(args_has(&a, "file"));
	assert_string_equal(args_text(&a, "file", "none"), "none");
	assert_int_equal(a.n_pos, 1);
	assert_string_equal(a.pos[0], "eth0");
	args_free(&a);
}

static void words_and_options_mix(void **state)
{
	struct args a;
	struct err e;
	assert_int_equal(parse(&a, &e, "--json", "look", "-", "--", "--port", NULL), 0);
	assert_true(args_has(&a, "json"));
	assert_int_equal(a.n_pos, 2);
	assert_string_equal(a.pos[0], "-");
	assert_string_equal(a.pos[1], "--port");
	args_free(&a);

	assert_int_equal(parse(&a, &e, "look", "-qav", NULL), 0);
	assert_true(args_has(&a, "quiet") && args_has(&a, "verbose") && args_has(&a, "all"));
	args_free(&a);

	assert_int_equal(parse(&a, &e, NULL), 0);
	assert_null(a.verb);
	args_free(&a);

	/* Help is given whatever else is missing. */
	assert_int_equal(parse(&a, &e, "cut", "--help", NULL), 0);
	args_free(&a);
}

static void mistakes_say_what_to_do(void **state)
{
	static const struct {
		const char *words[5], *says;
	} cases[] = {
	    {{"loook"}, "did you mean look?"},
	    {{"zzzzzzzz"}, "see stanch --help"},
	    {{"look", "--evry", "1s"}, "did you mean --every?"},
	    {{"look", "-z"}, "no option -z"},
	    {{"look", "--every"}, "--every DUR"},
	    {{"look", "--every", "5"}, "needs a unit"},
	    {{"look", "--port", "0"}, "port from 1 to 65535"},
	    {{"look", "--port", "65536"}, "port from 1 to 65535"},
	    {{"look", "--port", "+1"}, "port from 1 to 65535"},
	    {{"look", "--count", "-1"}, "whole number"},
	    {{"look", "--count", "2x"}, "whole number"},
	    {{"look", "--since", "now"}, "not a time"},
	    {{"look", "--all=1"}, "takes no value"},
	    {{"look", "--file=a", "--file=b"}, "given twice"},
	    {{"look", "a", "b", "c"}, "does not take \"c\""},
	    {{"look", "--yes"}, "no option --yes"},
	    {{"cut"}, "needs an argument"},
	    {{"--port", "1", "look"}, "no option --port"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct args a;
		struct err e;
		const char *const *w = cases[i].words;
		assert_int_equal(parse(&a, &e, w[0], w[1], w[2], w[3], w[4], NULL), -EINVAL);
		if (!strstr(e.text, cases[i].says))
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.text, cases[i].says);
		assert_null(a.pos);
		assert_null(a.values);
	}
}

static bool count_groups(void *arg, const struct opt *o, unsigned group)
{
	((unsigned *)arg)[group]++;
	return true;
}

static void shared_tables_go_by_flags(void **state)
{
	unsigned plain[4] = {0}, cuts[4] = {0};
	args_each_opt(&table[0], count_groups, plain);
	args_each_opt(&table[1], count_groups, cuts);
	assert_int_equal(plain[0], 7);
	assert_int_equal(plain[1] + plain[2], 0);
	assert_int_equal(cuts[0], 0);
	assert_true(cuts[1] && cuts[2]);
	assert_int_equal(plain[3], cuts[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_type_is_read),
	    cmocka_unit_test(words_and_options_mix),
	    cmocka_unit_test(mistakes_say_what_to_do),
	    cmocka_unit_test(shared_tables_go_by_flags),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
