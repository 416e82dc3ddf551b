/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A walk over the registries of the composition root. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "enforce/local/local.h"
#include "model/driver_ops.h"
#include "ui/args.h"
#include "ui/guard.h"

struct names {
	const char *v[64];
	bool letters[128];
	size_t n;
	const char *verb;
};

static bool check_opt(void *arg, const struct opt *o, unsigned group)
{
	struct names *all = arg;
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->v[i], o->name))
			fail_msg("%s: --%s stands twice", all->verb, o->name);
	all->v[all->n++] = o->name;
	if (o->letter) {
		if (all->letters[(int)o->letter])
			fail_msg("%s: -%c stands twice", all->verb, o->letter);
		all->letters[(int)o->letter] = true;
	}
	if ((o->type == OPT_FLAG) != (o->value == NULL))
		fail_msg("%s --%s: a flag has no placeholder, all else has one", all->verb,
		         o->name);
	assert_non_null(o->help);
	assert_true(o->help[0]);
	return true;
}

static void options_are_unique_and_told(void **state)
{
	for (const struct verb_row *r = verb_table; r->name; r++) {
		struct names all = {.verb = r->name};
		args_each_opt(r, check_opt, &all);
	}
}

static void every_row_is_whole(void **state)
{
	for (const struct verb_row *r = verb_table; r->name; r++) {
		if (!r->synopsis || !r->summary || !r->text || !r->run || !r->examples)
			fail_msg("%s lacks a part", r->name);
		assert_true(strlen(r->summary) <= 68);
		assert_null(strchr(r->summary, '\n'));
		assert_true(r->max_args < 0 || r->max_args >= r->min_args);
		assert_false(r->flags & VERB_CUTS && !(r->flags & VERB_CHANGES));
		for (const struct verb_row *q = r + 1; q->name; q++)
			assert_string_not_equal(r->name, q->name);
	}
}

struct wanted {
	const char *name;
	bool found;
};

static bool is_wanted(void *arg, const struct opt *o, unsigned group)
{
	struct wanted *w = arg;
	w->found |= !strcmp(w->name, o->name);
	return !w->found;
}

static bool takes(const struct verb_row *r, const char *name)
{
	struct wanted w = {.name = name};
	args_each_opt(r, is_wanted, &w);
	return w.found;
}

/* Each --option in text is one that the verb takes; names may end in "…" for a family. */
static void check_words(const struct verb_row *r, const char *text)
{
	for (const char *p = text; (p = strstr(p, "--"));) {
		char name[64];
		size_t n = 0;
		for (p += 2; n + 1 < sizeof name && (islower((unsigned char)*p) || *p == '-'); p++)
			name[n++] = *p;
		name[n] = 0;
		if (n && !takes(r, name))
			fail_msg("%s speaks of --%s and does not take it", r->name, name);
	}
}

static void synopsis_and_text_agree_with_options(void **state)
{
	for (const struct verb_row *r = verb_table; r->name; r++) {
		check_words(r, r->synopsis);
		check_words(r, r->text);
		for (const struct opt *o = r->opts; o && o->name; o++) {
			char word[80];
			snprintf(word, sizeof word, "--%s", o->name);
			if (!strstr(r->synopsis, word))
				fail_msg("the synopsis of %s does not have %s", r->name, word);
		}
	}
}

/* Each line of the examples is a command line that parses. */
static void examples_parse(void **state)
{
	for (const struct verb_row *r = verb_table; r->name; r++) {
		char *text = strdup(r->examples), *save = NULL;
		for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
			char *argv[32], *word = NULL;
			int argc = 0;
			struct args a;
			struct err e = {0};
			for (char *w = strtok_r(l, " ", &word); w; w = strtok_r(NULL, " ", &word))
				argv[argc++] = w;
			assert_string_equal(argv[0], "stanch");
			if (args_parse(argc, argv, verb_table, &a, &e) < 0)
				fail_msg("example of %s: %s", r->name, e.text);
			assert_ptr_equal(a.verb, r);
			args_free(&a);
		}
		free(text);
	}
}

static void check_slots(const struct driver_ops *d)
{
	assert_non_null(d->name);
	assert_true(d->open && d->close && d->probe && d->plan && d->prepare && d->apply);
	assert_true(d->verify && d->undo && d->rearm && d->describe && d->strays);
}

static void every_driver_slot_is_filled(void **state)
{
	for (size_t i = 0; i < point_table_n; i++) {
		check_slots(point_table[i].driver);
		assert_non_null(point_table[i].driver->own);
		assert_true(strlen(point_table[i].name) < STEP_POINT_MAX);
	}
	for (size_t i = 0; driver_table[i]; i++)
		check_slots(driver_table[i]);
}

/* A step finds its driver by what its kind begins with. */
static void drivers_of_this_host_have_names_of_their_own(void **state)
{
	size_t n = 0;
	for (; local_table[n].driver; n++) {
		check_slots(local_table[n].driver);
		assert_true(local_table[n].verbs && local_table[n].kinds);
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(local_table[i].driver->name,
			                        local_table[n].driver->name);
	}
	assert_true(n && n < LOCAL_DRIVERS_MAX);
}

static void guards_have_names_and_help(void **state)
{
	for (const struct guard *g = guards; g->name; g++) {
		assert_true(g->help && g->help[0]);
		assert_ptr_equal(guard_find(g->name), g);
	}
	assert_null(guard_find("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_are_unique_and_told),
	    cmocka_unit_test(every_row_is_whole),
	    cmocka_unit_test(synopsis_and_text_agree_with_options),
	    cmocka_unit_test(examples_parse),
	    cmocka_unit_test(every_driver_slot_is_filled),
	    cmocka_unit_test(drivers_of_this_host_have_names_of_their_own),
	    cmocka_unit_test(guards_have_names_and_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
