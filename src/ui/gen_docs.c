/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * gen-docs: writes the man pages and shell completions from the verb table, at build time.
 *
 *   gen-docs man DIR VERB…         DIR/stanch.8, DIR/stanch-VERB.8, DIR/stanch.conf.5
 *   gen-docs completion DIR        DIR/stanch.bash, DIR/_stanch
 *
 * The build names the verbs that it expects; a table that has others is an error, so that no page
 * is made and then not installed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "model/config.h"
#include "ui/args.h"
#include "ui/guard.h"

#define DOC_DATE "November 24, 2026"

static const char *const exits[] = {
    "done and verified, or nothing found",
    "findings, drift, or a verification that does not hold",
    "usage or configuration error",
    "refused before any change; says which guard or right, and what would help",
    "failed; everything that was done has been undone",
    "partial: what is left as it is stands in the output",
    "evidence or journal does not match its hashes",
};

static FILE *create(const char *dir, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	if (!f) {
		perror(path);
		exit(1);
	}
	return f;
}

static void finish(FILE *f)
{
	if (fclose(f) != 0) {
		perror("gen-docs");
		exit(1);
	}
}

/* --- mdoc --- */

/* Code point at s; its length. The table is our own text, well-formed. */
static size_t code_point(const char *s, unsigned *ret)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	unsigned v = n == 1 ? c : c & (0x7fU >> n);
	for (size_t i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)s[i] & 0x3f);
	*ret = v;
	return n;
}

/* As running text: nothing in it is a macro, an escape or a hyphen. */
static void mdoc_text(FILE *f, const char *s, size_t n)
{
	const char *end = s + n;
	if (s < end && (*s == '.' || *s == '\''))
		fputs("\\&", f);
	while (s < end) {
		unsigned c;
		size_t len = code_point(s, &c);
		if (c == '\\')
			fputs("\\e", f);
		else if (c == '-' && s + 1 < end && s[1] == '-')
			fputs("\\-", f);
		else if (c >= 0x80)
			fprintf(f, "\\[u%04X]", c);
		else
			fputc((int)c, f);
		s += len;
	}
	fputc('\n', f);
}

static void mdoc_line(FILE *f, const char *s)
{
	mdoc_text(f, s, strlen(s));
}

/* Sentences start on new lines, paragraphs are set apart by an empty one. */
static void mdoc_paragraphs(FILE *f, const char *s)
{
	while (*s) {
		size_t n = 0;
		while (s[n] && s[n] != '\n' && !(s[n] == '.' && s[n + 1] == ' '))
			n++;
		bool sentence = s[n] == '.';
		mdoc_text(f, s, n + sentence);
		s += n + sentence;
		if (*s == '\n' && s[1] == '\n')
			fputs(".Pp\n", f);
		while (*s == ' ' || *s == '\n')
			s++;
	}
}

static void mdoc_head(FILE *f, const char *title, const char *section, const char *name,
                      const char *summary)
{
	fprintf(f, ".\\\" Made by gen-docs from the verb table; do not edit.\n");
	fprintf(f, ".Dd %s\n.Dt %s %s\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", DOC_DATE, title, section,
	        name);
	mdoc_line(f, summary);
}

/* An argument of a macro: one word for mdoc, whatever is in it. */
static void mdoc_argument(FILE *f, const char *s)
{
	fputs(" \"", f);
	for (; *s;) {
		unsigned c;
		size_t len = code_point(s, &c);
		if (c == '"')
			fputs("\"\"", f);
		else if (c == '\\')
			fputs("\\e", f);
		else if (c >= 0x80)
			fprintf(f, "\\[u%04X]", c);
		else
			fputc((int)c, f);
		s += len;
	}
	fputc('"', f);
}

struct listing {
	FILE *f;
	unsigned group;
	bool any;
};

static bool list_option(void *arg, const struct opt *o, unsigned group)
{
	static const char *const titles[] = {"Its own", "Deadlines and what is let through",
	                                     "Of every command that changes something",
	                                     "Of every command"};
	struct listing *l = arg;
	if (!l->any || group != l->group)
		fprintf(l->f, "%s.Ss %s\n.Bl -tag -width Ds\n", l->any ? ".El\n" : "",
		        titles[group]);
	l->any = true;
	l->group = group;
	fputs(".It", l->f);
	if (o->letter)
		fprintf(l->f, " Fl %c ,", o->letter);
	fprintf(l->f, " Fl Fl %s", o->name);
	if (o->value) {
		fputs(" Ar", l->f);
		mdoc_argument(l->f, o->value);
	}
	fputc('\n', l->f);
	mdoc_line(l->f, o->help);
	return true;
}

static void man_options(FILE *f, const struct verb_row *row)
{
	struct listing l = {.f = f};
	fputs(".Sh OPTIONS\n", f);
	args_each_opt(row, list_option, &l);
	fputs(".El\n", f);
}

static void man_exit(FILE *f)
{
	fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		fprintf(f, ".It %zu\n", i);
		mdoc_line(f, exits[i]);
	}
	fputs(".El\n", f);
}

static void man_guards(FILE *f)
{
	fputs(".Sh GUARDS\nA guard refuses what must not be cut by mistake.\n"
	      ".Fl Fl force Ar GUARD\noverrules the one that is named.\n.Bl -tag -width Ds\n",
	      f);
	for (const struct guard *g = guards; g->name; g++) {
		fprintf(f, ".It Cm %s\n", g->name);
		mdoc_line(f, g->help);
	}
	fputs(".El\n", f);
}

static void man_examples(FILE *f, const char *s)
{
	if (!s)
		return;
	fputs(".Sh EXAMPLES\n", f);
	while (*s) {
		size_t n = strcspn(s, "\n");
		char line[256];
		snprintf(line, sizeof line, "%.*s", (int)n, s);
		fputs(".Dl", f);
		mdoc_argument(f, line);
		fputc('\n', f);
		s += n + (s[n] == '\n');
	}
}

static void man_verb(const char *dir, const struct verb_row *row)
{
	char name[64], title[64];
	snprintf(name, sizeof name, "stanch-%s.8", row->name);
	snprintf(title, sizeof title, "STANCH-%s", row->name);
	for (char *p = title; *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
	FILE *f = create(dir, name);
	name[strlen(name) - 2] = 0;
	mdoc_head(f, title, "8", name, row->summary);
	fprintf(f, ".Sh SYNOPSIS\n.Sy stanch %s\n", row->name);
	if (row->synopsis[0])
		mdoc_line(f, row->synopsis);
	fputs(".Sh DESCRIPTION\n", f);
	mdoc_paragraphs(f, row->text);
	man_options(f, row);
	if (row->flags & VERB_CUTS)
		man_guards(f);
	man_exit(f);
	man_examples(f, row->examples);
	fputs(".Sh SEE ALSO\n.Xr stanch.conf 5 ,\n.Xr stanch 8\n", f);
	finish(f);
}

static int by_name(const void *a, const void *b)
{
	const struct verb_row *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

static void man_see_verbs(FILE *f)
{
	const struct verb_row *rows[64];
	size_t n = 0;
	for (const struct verb_row *r = verb_table; r->name && n < ARRAY_SIZE(rows); r++)
		rows[n++] = r;
	qsort(rows, n, sizeof rows[0], by_name);
	fputs(".Sh SEE ALSO\n.Xr stanch.conf 5 ,\n", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, ".Xr stanch-%s 8%s\n", rows[i]->name, i + 1 < n ? " ," : "");
}

static void man_main(const char *dir)
{
	FILE *f = create(dir, "stanch.8");
	mdoc_head(f, "STANCH", "8", "stanch", "stop the bleeding of a breached host");
	fputs(".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar argument ...\n.Op Ar option ...\n"
	      ".Sh DESCRIPTION\n.Nm\nshows who sends what to whom, cuts it, proves that it is cut, "
	      "keeps the operator's way in, and undoes it exactly.\n.Pp\nThe verbs are:\n"
	      ".Bl -tag -width reassertXX\n",
	      f);
	for (const struct verb_row *r = verb_table; r->name; r++) {
		fprintf(f, ".It Xr stanch-%s 8\n", r->name);
		mdoc_line(f, r->summary);
	}
	fputs(".El\n.Pp\nDurations are written as 90s, 10m, 2h, 7d.\nTimes are RFC 3339 in UTC.\n",
	      f);
	man_options(f, NULL);
	fputs(".Sh ENVIRONMENT\n.Bl -tag -width NO_COLOR\n.It Ev NO_COLOR\nno colour, if it is not "
	      "empty\n.El\n.Pp\nEverything but a few names is dropped from the environment at "
	      "start.\n"
	      ".Sh FILES\n.Bl -tag -width Ds\n.It Pa " CONFIG_PATH_DEFAULT
	      "\nthe configuration, see\n"
	      ".Xr stanch.conf 5\n.It Pa " STATE_DIR_DEFAULT
	      "\njournal and key\n.It Pa /run/stanch\n"
	      "the journal where the disk is full or broken\n.El\n",
	      f);
	man_exit(f);
	man_examples(f, "stanch watch\nstanch isolate self --dry-run\nstanch isolate self\n"
	                "stanch confirm o1\nstanch undo o1");
	man_see_verbs(f);
	finish(f);
}

static void settings(FILE *f, const struct setting_key *keys)
{
	fputs(".Bl -tag -width Ds\n", f);
	for (; keys->name; keys++) {
		fprintf(f, ".It Cm %s No = Ar", keys->name);
		mdoc_argument(f, keys->value);
		fputc('\n', f);
		mdoc_paragraphs(f, keys->help);
		if (keys->list)
			fputs("A list.\n", f);
		if (keys->required)
			fputs("Must be set.\n", f);
	}
	fputs(".El\n", f);
}

/* Hosts that may be contained, and what contains them. */
static void sections(FILE *f)
{
	fputs(".Ss Assets\n.Li asset \"NAME\" { ... }\ndescribes a host that may be contained.\n",
	      f);
	settings(f, asset_keys);
	fputs(
	    ".Ss Points\n.Li point \"NAME\" { ... }\ndescribes what carries orders out beside this "
	    "host.\nNo setting holds a secret, only where one is to be found.\n",
	    f);
	settings(f, point_keys);
	for (size_t i = 0; driver_table[i]; i++) {
		fprintf(f, ".Pp\nWith driver\n.Cm %s :\n", driver_table[i]->name);
		settings(f, driver_table[i]->settings);
	}
}

static void man_config(const char *dir)
{
	struct config c;
	char text[CONFIG_STATE_MAX];
	FILE *f = create(dir, "stanch.conf.5");
	config_init(&c);
	mdoc_head(f, "STANCH.CONF", "5", "stanch.conf", "configuration of stanch");
	fputs(
	    ".Sh DESCRIPTION\nEach line is\n.Ar key No = Ar value ;\nlists stand in braces, values "
	    "in double quotes.\nUnknown keys are errors.\nA file that anyone may write to is "
	    "refused.\n.Xr stanch-config 8\nchecks it and prints its canonical form.\n"
	    ".Bl -tag -width Ds\n",
	    f);
	for (const struct config_key *k = config_keys; k->name; k++) {
		fprintf(f, ".It Cm %s No = Ar", k->name);
		mdoc_argument(f, k->value);
		fputc('\n', f);
		mdoc_paragraphs(f, k->help);
		if (k->type == CONFIG_LIST) {
			fputs("A list; none by default.\n", f);
		} else if (k->type != CONFIG_ENUM && k->get(&c, 0, text, sizeof text)) {
			fputs("Default:\n", f);
			mdoc_line(f, text);
		}
	}
	fputs(".El\n", f);
	sections(f);
	fputs(".Sh EXAMPLES\n.Bd -literal -offset indent\nkeep_in = {\"198.51.100.0/24@22\"}\n"
	      "break_glass = {\"198.51.100.7\"}\nprotect = {\"192.0.2.53\"}\nconfirm_within = "
	      "\"15m\"\n.Ed\n.Sh SEE ALSO\n.Xr stanch 8 ,\n.Xr stanch-config 8\n",
	      f);
	finish(f);
}

/* --- completions --- */

static bool bash_word(void *arg, const struct opt *o, unsigned group)
{
	fprintf((FILE *)arg, " --%s", o->name);
	return true;
}

static bool bash_valued(void *arg, const struct opt *o, unsigned group)
{
	const char *const known[] = {"on-expiry", "force", "config", "state", "html"};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i], o->name))
			return true;
	if (o->type != OPT_FLAG)
		fprintf((FILE *)arg, "|--%s", o->name);
	return true;
}

static const struct {
	const char *verb, *words;
} positional[] = {
    {"isolate", "self"},
    {"verify", "journal"},
    {"incident", "new list show use close report"},
    {"config", "check show"},
};

static void bash_verb(FILE *f, const struct verb_row *row)
{
	fprintf(f, "\t%s)\n\t\topts='", row->name);
	args_each_opt(row, bash_word, f);
	fputs("'\n\t\tcase $prev in --", f);
	args_each_opt(row, bash_valued, f);
	fputs(") return ;; esac\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(positional); i++)
		if (!strcmp(positional[i].verb, row->name))
			fprintf(f, "\t\twords='%s'\n", positional[i].words);
	fputs("\t\t;;\n", f);
}

static void bash(const char *dir)
{
	FILE *f = create(dir, "stanch.bash");
	fputs(
	    "# Made by gen-docs from the verb table; do not edit.\n_stanch() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tlocal verb='' word opts='' words=''\n\tCOMPREPLY=()\n"
	    "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	    "\t\tcase $word in -*) ;; *) verb=$word; break ;; esac\n\tdone\n"
	    "\tcase $prev in\n"
	    "\t--on-expiry) mapfile -t COMPREPLY < <(compgen -W 'open widen' -- \"$cur\"); return "
	    ";;\n\t--force) mapfile -t COMPREPLY < <(compgen -W '",
	    f);
	for (const struct guard *g = guards; g->name; g++)
		fprintf(f, "%s%s", g == guards ? "" : " ", g->name);
	fputs("' -- \"$cur\"); return ;;\n"
	      "\t--config|--state|--html|--file|--write|--log) mapfile -t COMPREPLY < <(compgen -f "
	      "-- "
	      "\"$cur\"); return ;;\n\tesac\n\tcase $verb in\n\t'') words='",
	      f);
	for (const struct verb_row *r = verb_table; r->name; r++)
		fprintf(f, "%s%s", r == verb_table ? "" : " ", r->name);
	fputs("'; opts='--help --version' ;;\n", f);
	for (const struct verb_row *r = verb_table; r->name; r++)
		bash_verb(f, r);
	fputs("\tesac\n\tcase $cur in\n\t-*) mapfile -t COMPREPLY < <(compgen -W \"$opts\" -- "
	      "\"$cur\") "
	      ";;\n\t*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n\tesac\n}\n"
	      "complete -F _stanch stanch\n",
	      f);
	finish(f);
}

/* Within '…[…]…' of zsh: brackets, colons and quotes mean something. */
static void zsh_text(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\'')
			fputs("'\\''", f);
		else if (strchr("[]:\\", *s))
			fprintf(f, "\\%c", *s);
		else
			fputc(*s, f);
	}
}

static void zsh_action(FILE *f, const struct opt *o)
{
	const char *const files[] = {"config", "html", "file", "write", "log"};
	if (!strcmp(o->name, "on-expiry")) {
		fputs(":(open widen)", f);
		return;
	}
	if (!strcmp(o->name, "force")) {
		fputs(":(", f);
		for (const struct guard *g = guards; g->name; g++)
			fprintf(f, "%s%s", g == guards ? "" : " ", g->name);
		fputc(')', f);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (!strcmp(files[i], o->name)) {
			fputs(":_files", f);
			return;
		}
	fputs(!strcmp(o->name, "state") ? ":_files -/" : ": ", f);
}

static bool zsh_opt(void *arg, const struct opt *o, unsigned group)
{
	FILE *f = arg;
	bool repeats = o->type == OPT_LIST || o->type == OPT_PORT;
	fprintf(f, " \\\n\t\t\t'%s--%s%s[", repeats ? "*" : "", o->name, o->value ? "=" : "");
	zsh_text(f, o->help);
	fputc(']', f);
	if (o->value) {
		fputc(':', f);
		zsh_text(f, o->value);
		zsh_action(f, o);
	}
	fputc('\'', f);
	return true;
}

static void zsh(const char *dir)
{
	FILE *f = create(dir, "_stanch");
	fputs("#compdef stanch\n# Made by gen-docs from the verb table; do not edit.\n_stanch() {\n"
	      "\tlocal -a verbs=(\n",
	      f);
	for (const struct verb_row *r = verb_table; r->name; r++) {
		fprintf(f, "\t\t'%s:", r->name);
		zsh_text(f, r->summary);
		fputs("'\n", f);
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe verb verbs\n\t\treturn\n\tfi\n"
	      "\tlocal verb=$words[2]\n\t(( CURRENT-- ))\n\tshift words\n\tcase $verb in\n",
	      f);
	for (const struct verb_row *r = verb_table; r->name; r++) {
		const char *words = "";
		for (size_t i = 0; i < ARRAY_SIZE(positional); i++)
			if (!strcmp(positional[i].verb, r->name))
				words = positional[i].words;
		fprintf(f, "\t%s)\n\t\t_arguments", r->name);
		args_each_opt(r, zsh_opt, f);
		fprintf(f, " \\\n\t\t\t'*:argument:(%s)' ;;\n", words);
	}
	fputs("\tesac\n}\n_stanch \"$@\"\n", f);
	finish(f);
}

/* --- main --- */

static int check_verbs(int n, char **names)
{
	int have = 0;
	for (const struct verb_row *r = verb_table; r->name; r++, have++) {
		bool listed = false;
		for (int i = 0; i < n; i++)
			listed |= !strcmp(names[i], r->name);
		if (!listed) {
			fprintf(stderr,
			        "gen-docs: verb %s is not in the list of verbs of meson.build\n",
			        r->name);
			return 1;
		}
	}
	if (have != n)
		fprintf(stderr, "gen-docs: meson.build lists %d verbs, the table has %d\n", n,
		        have);
	return have != n;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "man")) {
		if (check_verbs(argc - 3, argv + 3))
			return 1;
		for (const struct verb_row *r = verb_table; r->name; r++)
			man_verb(argv[2], r);
		man_main(argv[2]);
		man_config(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "completion")) {
		bash(argv[2]);
		zsh(argv[2]);
		return 0;
	}
	fprintf(stderr, "usage: gen-docs man DIR VERB... | completion DIR\n");
	return 2;
}
