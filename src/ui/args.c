/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/args.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

const struct opt args_common[] = {
    {"json", 0, OPT_FLAG, NULL, "print one JSON object a line"},
    {"config", 0, OPT_TEXT, "FILE", "configuration (default /etc/stanch/stanch.conf)"},
    {"state", 0, OPT_TEXT, "DIR", "journal and keys (default /var/lib/stanch)"},
    {"incident", 0, OPT_TEXT, "ID", "work on this incident, not on the one in use"},
    {"verbose", 'v', OPT_FLAG, NULL, "show the exact calls of each step"},
    {"quiet", 'q', OPT_FLAG, NULL, "show results and problems only"},
    {"help", 'h', OPT_FLAG, NULL, "show help and do nothing"},
    {"version", 0, OPT_FLAG, NULL, "show the version and do nothing"},
    {NULL},
};

const struct opt args_changes[] = {
    {"dry-run", 'n', OPT_FLAG, NULL, "show the plan with its inverse; change nothing"},
    {"yes", 'y', OPT_FLAG, NULL, "answer the question with yes"},
    {"force", 0, OPT_LIST, "GUARD", "overrule one guard by its name"},
    {"reason", 0, OPT_TEXT, "TEXT", "why; goes to the journal"},
    {NULL},
};

const struct opt args_cuts[] = {
    {"confirm-within", 0, OPT_DURATION, "DUR", "dead man's switch: acts unless confirmed by then"},
    {"no-deadline", 0, OPT_FLAG, NULL, "no dead man's switch"},
    {"on-expiry", 0, OPT_TEXT, "open|widen", "what it does: lift the cut, or let break-glass in"},
    {"for", 0, OPT_DURATION, "DUR", "time-to-live: lifted after it, confirmed or not"},
    {"keep", 0, OPT_LIST, "ADDR[:PORT]", "let traffic with ADDR through, PORT on either side"},
    {"keep-in", 0, OPT_LIST, "PREFIX[@LOCALPORT]", "let PREFIX reach this host, at TCP LOCALPORT"},
    {"keep-out", 0, OPT_LIST, "ADDR[:PORT]", "let this host reach ADDR, at PORT"},
    {"all-or-nothing", 0, OPT_FLAG, NULL, "undo all if any step fails, not only a required one"},
    {NULL},
};

const struct verb_row *verb_find(const struct verb_row *table, const char *name)
{
	for (const struct verb_row *r = table; r->name; r++)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

void args_each_opt(const struct verb_row *row,
                   bool (*cb)(void *arg, const struct opt *o, unsigned group), void *arg)
{
	const struct opt *const groups[] = {
	    row ? row->opts : NULL,
	    row && row->flags & VERB_CUTS ? args_cuts : NULL,
	    row && row->flags & VERB_CHANGES ? args_changes : NULL,
	    args_common,
	};
	for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
		for (const struct opt *o = groups[g]; o && o->name; o++)
			if (!cb(arg, o, g))
				return;
}

/* Edits that turn a into b, at most 9; for hints only. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[33];
	size_t n = strlen(b);
	if (n > 32 || strlen(a) > 32)
		return 9;
	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1]; i++) {
		unsigned diagonal = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

struct nearest {
	const char *typed, *name;
	unsigned edits;
};

static void nearer(struct nearest *n, const char *name)
{
	unsigned d = distance(n->typed, name);
	if (d < n->edits) {
		n->edits = d;
		n->name = name;
	}
}

struct search {
	const char *name;
	size_t len;
	char letter;
	const struct opt *found;
	struct nearest near;
};

static bool search_opt(void *arg, const struct opt *o, unsigned group)
{
	struct search *s = arg;
	if (s->letter ? o->letter == s->letter
	              : strlen(o->name) == s->len && !strncmp(o->name, s->name, s->len))
		s->found = o;
	else if (!s->letter)
		nearer(&s->near, o->name);
	return !s->found;
}

struct parser {
	int argc, at;
	char **argv;
	const struct verb_row *table;
	struct args *args;
	bool only_pos;
	struct err *e;
};

static const char *where(const struct parser *p)
{
	return p->args->verb ? p->args->verb->name : "stanch";
}

static int unknown_opt(struct parser *p, const char *typed, const struct nearest *near)
{
	const char *v = p->args->verb ? p->args->verb->name : "";
	const char *gap = *v ? " " : "";
	if (near->name)
		return err_set(p->e, -EINVAL, "%s has no option %.60s; did you mean --%s?",
		               where(p), typed, near->name);
	return err_set(p->e, -EINVAL, "%s has no option %.60s; see stanch %s%s--help", where(p),
	               typed, v, gap);
}

static int read_number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;
	errno = 0;
	uintmax_t n = strtoumax(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int check_value(struct parser *p, struct arg_value *v)
{
	struct err why = {0};
	switch (v->opt->type) {
	case OPT_FLAG:
	case OPT_TEXT:
	case OPT_LIST:
		return 0;
	case OPT_DURATION:
		if (duration_parse(v->text, &v->number, &why) < 0)
			return err_set(p->e, -EINVAL, "--%s: %s", v->opt->name, why.text);
		return 0;
	case OPT_TIME:
		if (time_parse(v->text, &v->number, &why) < 0)
			return err_set(p->e, -EINVAL, "--%s: %s", v->opt->name, why.text);
		return 0;
	case OPT_PORT:
		if (read_number(v->text, 65535, &v->number) < 0 || v->number == 0)
			return err_set(p->e, -EINVAL,
			               "--%s: \"%.40s\" is not a port from 1 to 65535",
			               v->opt->name, v->text);
		return 0;
	case OPT_COUNT:
		if (read_number(v->text, INT32_MAX, &v->number) < 0)
			return err_set(p->e, -EINVAL, "--%s: \"%.40s\" is not a whole number",
			               v->opt->name, v->text);
		return 0;
	}
	return -EINVAL;
}

static int add_value(struct parser *p, const struct opt *o, const char *text)
{
	/* OPT_PORT and OPT_LIST repeat; a second value of the others would hide the first. */
	if (o->type != OPT_FLAG && o->type != OPT_LIST && o->type != OPT_PORT &&
	    args_has(p->args, o->name))
		return err_set(p->e, -EINVAL, "--%s was given twice; give it once", o->name);
	struct arg_value *v = &p->args->values[p->args->n_values];
	*v = (struct arg_value){.opt = o, .text = text};
	int r = check_value(p, v);
	if (r == 0)
		p->args->n_values++;
	return r;
}

/* The value of o: what stands behind '=' or the letter, else the next word. */
static int take_value(struct parser *p, const struct opt *o, const char *attached)
{
	if (o->type == OPT_FLAG)
		return add_value(p, o, NULL);
	if (!attached && p->at + 1 < p->argc)
		attached = p->argv[++p->at];
	if (!attached)
		return err_set(p->e, -EINVAL, "--%s needs a value: --%s %s", o->name, o->name,
		               o->value);
	return add_value(p, o, attached);
}

static int parse_long(struct parser *p, const char *word)
{
	const char *name = word + 2, *eq = strchr(name, '=');
	size_t len = eq ? (size_t)(eq - name) : strlen(name);
	char typed[64];
	snprintf(typed, sizeof typed, "%.*s", (int)(len < 60 ? len : 60), name);
	struct search s = {.name = name, .len = len, .near = {typed, NULL, 4}};
	args_each_opt(p->args->verb, search_opt, &s);
	if (!s.found)
		return unknown_opt(p, word, &s.near);
	if (eq && s.found->type == OPT_FLAG)
		return err_set(p->e, -EINVAL, "--%s takes no value", s.found->name);
	return take_value(p, s.found, eq ? eq + 1 : NULL);
}

static int parse_letters(struct parser *p, const char *word)
{
	for (const char *c = word + 1; *c; c++) {
		struct search s = {.letter = *c};
		args_each_opt(p->args->verb, search_opt, &s);
		if (!s.found) {
			const char letter[3] = {'-', *c};
			return unknown_opt(p, letter, &s.near);
		}
		if (s.found->type != OPT_FLAG)
			return take_value(p, s.found, c[1] ? c + 1 : NULL);
		int r = add_value(p, s.found, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_verb(struct parser *p, const char *word)
{
	p->args->verb = verb_find(p->table, word);
	if (p->args->verb)
		return 0;
	struct nearest near = {word, NULL, 4};
	for (const struct verb_row *r = p->table; r->name; r++)
		nearer(&near, r->name);
	if (near.name)
		return err_set(p->e, -EINVAL, "there is no verb \"%.40s\"; did you mean %s?", word,
		               near.name);
	return err_set(p->e, -EINVAL, "there is no verb \"%.40s\"; see stanch --help", word);
}

static int parse_word(struct parser *p, const char *word)
{
	if (!p->only_pos && !strcmp(word, "--")) {
		p->only_pos = true;
		return 0;
	}
	/* "-" alone is standard input. */
	if (!p->only_pos && word[0] == '-' && word[1])
		return word[1] == '-' ? parse_long(p, word) : parse_letters(p, word);
	if (!p->args->verb)
		return parse_verb(p, word);
	p->args->pos[p->args->n_pos++] = word;
	return 0;
}

static int check_counts(const struct args *a, struct err *e)
{
	const struct verb_row *v = a->verb;
	if (!v || args_has(a, "help") || args_has(a, "version"))
		return 0;
	if (v->min_args >= 0 && a->n_pos < (size_t)v->min_args)
		return err_set(e, -EINVAL, "%s needs %s; usage: stanch %s %s", v->name,
		               a->n_pos ? "more arguments" : "an argument", v->name, v->synopsis);
	if (v->max_args >= 0 && a->n_pos > (size_t)v->max_args)
		return err_set(e, -EINVAL, "%s does not take \"%.60s\"; usage: stanch %s %s",
		               v->name, a->pos[v->max_args], v->name, v->synopsis);
	return 0;
}

/* Letters in one word and words are each at most one value. */
static size_t most_values(int argc, char **argv)
{
	size_t n = 1;
	for (int i = 1; i < argc; i++)
		n += argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 1;
	return n;
}

int args_parse(int argc, char **argv, const struct verb_row *table, struct args *ret, struct err *e)
{
	struct parser p = {argc, 1, argv, table, ret, false, e};
	memset(ret, 0, sizeof *ret);
	ret->pos = calloc((size_t)argc + 1, sizeof *ret->pos);
	ret->values = calloc(most_values(argc, argv), sizeof *ret->values);
	int r = ret->pos && ret->values ? 0 : err_set(e, -ENOMEM, "out of memory");
	for (; r == 0 && p.at < argc; p.at++)
		r = parse_word(&p, argv[p.at]);
	if (r == 0)
		r = check_counts(ret, e);
	if (r < 0) {
		const struct verb_row *verb = ret->verb;
		args_free(ret);
		ret->verb = verb;
	}
	return r;
}

void args_free(struct args *a)
{
	if (!a)
		return;
	free(a->pos);
	free(a->values);
	memset(a, 0, sizeof *a);
}

static const struct arg_value *last(const struct args *a, const char *name)
{
	for (size_t i = a->n_values; i-- > 0;)
		if (!strcmp(a->values[i].opt->name, name))
			return &a->values[i];
	return NULL;
}

bool args_has(const struct args *a, const char *name)
{
	return last(a, name) != NULL;
}

const char *args_text(const struct args *a, const char *name, const char *otherwise)
{
	const struct arg_value *v = last(a, name);
	return v ? v->text : otherwise;
}

uint64_t args_count(const struct args *a, const char *name, uint64_t otherwise)
{
	const struct arg_value *v = last(a, name);
	return v ? v->number : otherwise;
}

usec_t args_duration(const struct args *a, const char *name, usec_t otherwise)
{
	return args_count(a, name, otherwise);
}

usec_t args_time(const struct args *a, const char *name, usec_t otherwise)
{
	return args_count(a, name, otherwise);
}

uint16_t args_port(const struct args *a, const char *name, uint16_t otherwise)
{
	return (uint16_t)args_count(a, name, otherwise);
}

const struct arg_value *args_nth(const struct args *a, const char *name, size_t i)
{
	for (size_t k = 0; k < a->n_values; k++)
		if (!strcmp(a->values[k].opt->name, name) && i-- == 0)
			return &a->values[k];
	return NULL;
}
