/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/help.h"

#include <stdio.h>
#include <string.h>

#include "ui/args.h"

#define HELP_WIDTH 80

static void section(struct out *o, const char *title)
{
	fprintf(o->to, "\n%s%s%s\n", out_on(o, STYLE_STRONG), title, out_off(o, STYLE_STRONG));
}

void help_now(struct out *o)
{
	static const char *const steps[][2] = {
	    {"What is this host sending?", "stanch rates        stanch watch"},
	    {"Cut this host off, keep my way in:", "stanch isolate self"},
	    {"Cut one bad address:", "stanch block 203.0.113.5"},
	    {"Look first, change nothing:", "stanch isolate self --dry-run"},
	    {"What holds now, and which clock runs:", "stanch status"},
	    {"Keep it (from a new SSH session):", "stanch confirm o1"},
	    {"Take it back:", "stanch undo o1"},
	};
	fprintf(o->to, "%sstanch: stop the bleeding first%s\n\n", out_on(o, STYLE_STRONG),
	        out_off(o, STYLE_STRONG));
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		fprintf(o->to, "  %-38s %s\n", steps[i][0], steps[i][1]);
	fprintf(o->to, "\nIsolation lifts itself after 10 minutes unless you confirm it.\n"
	               "All verbs: stanch --help        One verb: stanch VERB --help\n");
}

void help_list(struct out *o, const struct verb_row *table)
{
	fprintf(o->to, "usage: stanch VERB [ARGUMENTS] [OPTIONS]\n");
	section(o, "Verbs");
	for (const struct verb_row *r = table; r->name; r++)
		fprintf(o->to, "  %-9s %s\n", r->name, r->summary);
	section(o, "Exit codes");
	fprintf(o->to, "  0 done and verified    1 findings or drift    2 usage or configuration\n"
	               "  3 refused, no change   4 failed, undone       5 partial, see the output\n"
	               "  6 journal or evidence does not match its hashes\n"
	               "\nOptions and examples: stanch VERB --help, man stanch-VERB\n");
}

struct printing {
	struct out *o;
	unsigned group;
	bool any;
};

static bool print_opt(void *arg, const struct opt *opt, unsigned group)
{
	static const char *const titles[] = {"Options", "Deadlines and what is let through",
	                                     "Options of every change", "Options of every command"};
	struct printing *p = arg;
	char left[80];
	if (!p->any || group != p->group)
		section(p->o, titles[group]);
	p->any = true;
	p->group = group;
	char letter[8] = "    ";
	if (opt->letter)
		snprintf(letter, sizeof letter, "-%c, ", opt->letter);
	snprintf(left, sizeof left, "%s--%s%s%s", letter, opt->name, opt->value ? " " : "",
	         opt->value ? opt->value : "");
	fprintf(p->o->to, "  %-32s %s\n", left, opt->help);
	return true;
}

void help_verb(struct out *o, const struct verb_row *row)
{
	int width = o->width && o->width < HELP_WIDTH ? o->width : HELP_WIDTH;
	char usage[64];
	fprintf(o->to, "stanch %s: %s\n\n", row->name, row->summary);
	int indent = snprintf(usage, sizeof usage, "usage: stanch %s ", row->name);
	out_wrap(o, usage, indent, width, STYLE_PLAIN, row->synopsis);
	fputc('\n', o->to);
	out_wrap(o, "", 0, width, STYLE_PLAIN, row->text);
	struct printing p = {.o = o};
	args_each_opt(row, print_opt, &p);
	if (!row->examples)
		return;
	section(o, "Examples");
	for (const char *s = row->examples; *s;) {
		size_t n = strcspn(s, "\n");
		fprintf(o->to, "  %.*s\n", (int)n, s);
		s += n + (s[n] == '\n');
	}
}
