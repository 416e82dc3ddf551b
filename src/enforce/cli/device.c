/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/cli/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/devices.h"

const struct device_key device_keys[] = {
    {"session.prompt", DEVICE_REGEX, false, true},
    {"session.unprivileged", DEVICE_REGEX, false, false},
    {"session.enable", DEVICE_LINE, false, false},
    {"session.enable_prompt", DEVICE_REGEX, false, false},
    {"session.more", DEVICE_REGEX, false, false},
    {"session.setup", DEVICE_LINE, true, false},
    {"session.error", DEVICE_REGEX, false, true},
    {"session.configure", DEVICE_LINE, false, false},
    {"session.leave", DEVICE_LINE, false, false},
    {"lists.show", DEVICE_LINE, false, false},
    {"lists.at", DEVICE_REGEX, false, false},
    {"lists.bound", DEVICE_REGEX, false, false},
    {"lists.unset", DEVICE_TEXT, false, false},
    {"lists.list", DEVICE_NUMBER, false, false},
    {"lists.interface", DEVICE_NUMBER, false, false},
    {"lists.fixed", DEVICE_TEXT, false, false},
    {"entries.show", DEVICE_LINE, false, true},
    {"entries.entry", DEVICE_REGEX, false, false},
    {"entries.matches", DEVICE_REGEX, false, false},
    {"entries.begin", DEVICE_REGEX, false, false},
    {"entries.end", DEVICE_REGEX, false, false},
    {"entries.ignore", DEVICE_REGEX, false, false},
    {"entries.number", DEVICE_NUMBER, false, false},
    {"entries.text", DEVICE_NUMBER, false, false},
    {"object.create", DEVICE_LINE, true, false},
    {"object.remove", DEVICE_LINE, true, false},
    {"insert.before", DEVICE_LINE, true, false},
    {"insert.line", DEVICE_LINE, true, true},
    {"insert.after", DEVICE_LINE, true, false},
    {"remove.before", DEVICE_LINE, true, false},
    {"remove.line", DEVICE_LINE, true, true},
    {"remove.after", DEVICE_LINE, true, false},
    {"entry.families", DEVICE_NUMBER, false, true},
    {"entry.host", DEVICE_PART, false, true},
    {"entry.net4", DEVICE_PART, false, true},
    {"entry.net6", DEVICE_PART, false, false},
    {"entry.any", DEVICE_PART, false, true},
    {"entry.port", DEVICE_PART, false, false},
    {"entry.deny", DEVICE_PART, false, true},
    {"entry.permit", DEVICE_PART, false, false},
    {"sessions.show", DEVICE_LINE, false, false},
    {"sessions.clear", DEVICE_LINE, false, false},
    {"sessions.range", DEVICE_PART, false, false},
    {"sessions.protocol", DEVICE_REGEX, false, false},
    {"sessions.entry", DEVICE_REGEX, false, false},
    {"sessions.shown", DEVICE_REGEX, false, false},
    {NULL},
};

void device_free(struct device *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i].regex)
			regfree(d->v[i].regex);
		free(d->v[i].regex);
		free(d->v[i].text);
	}
	free(d);
}

static const struct device_value *value_at(const struct device *d, const char *key, size_t i)
{
	for (size_t k = 0; k < d->n; k++)
		if (!strcmp(d->v[k].key->name, key) && i-- == 0)
			return &d->v[k];
	return NULL;
}

const char *device_get(const struct device *d, const char *key, size_t i)
{
	const struct device_value *v = value_at(d, key, i);
	return v ? v->text : NULL;
}

long device_number(const struct device *d, const char *key)
{
	const char *text = device_get(d, key, 0);
	return text ? strtol(text, NULL, 10) : 0;
}

bool device_fits(const struct device *d, const char *key, const char *line,
                 struct device_match *ret)
{
	const struct device_value *v = value_at(d, key, 0);
	regmatch_t m[DEVICE_GROUPS_MAX];
	if (!v || regexec(v->regex, line, DEVICE_GROUPS_MAX, m, 0) != 0)
		return false;
	for (size_t i = 0; ret && i < DEVICE_GROUPS_MAX; i++)
		snprintf(ret->group[i], sizeof ret->group[i], "%.*s",
		         m[i].rm_so < 0 ? 0 : (int)(m[i].rm_eo - m[i].rm_so),
		         m[i].rm_so < 0 ? "" : line + m[i].rm_so);
	return true;
}

/* --- templates --- */

static const struct {
	const char *name;
	size_t at;
} var_names[] = {
#define VAR(name)                                                                                  \
	{                                                                                          \
#name, offsetof(struct device_vars, name)                                          \
	}
    VAR(list),        VAR(entry),       VAR(position),
    VAR(number),      VAR(first),       VAR(address),
    VAR(last),        VAR(mask),        VAR(wildcard),
    VAR(length),      VAR(object),      VAR(tag),
    VAR(n),           VAR(protocol),    VAR(source),
    VAR(destination), VAR(source_port), VAR(destination_port),
    VAR(port),
#undef VAR
};

/* The value of {name}, n bytes long; *known tells whether there is such a name. */
static const char *var_value(const struct device_vars *v, const char *name, size_t n, bool *known)
{
	*known = false;
	for (size_t i = 0; i < ARRAY_SIZE(var_names); i++)
		if (strlen(var_names[i].name) == n && !memcmp(var_names[i].name, name, n)) {
			const char *value;
			*known = true;
			if (!v)
				return NULL;
			memcpy(&value, (const char *)v + var_names[i].at, sizeof value);
			return value;
		}
	return NULL;
}

static int check_template(const char *text, struct err *e)
{
	for (const char *p = text; (p = strchr(p, '{')); p++) {
		size_t n = strcspn(p + 1, "}");
		bool known;
		var_value(NULL, p + 1, n, &known);
		if (!p[n + 1] || !known)
			return err_set(e, -EINVAL, "there is no {%.*s}", n < 40 ? (int)n : 40,
			               p + 1);
	}
	return 0;
}

int device_expand(const char *template, const struct device_vars *v, struct buf *out, struct err *e)
{
	for (const char *p = template; *p;) {
		size_t plain = strcspn(p, "{");
		bool known;
		buf_add(out, p, plain);
		p += plain;
		if (!*p)
			break;
		size_t n = strcspn(p + 1, "}");
		const char *value = var_value(v, p + 1, n, &known);
		if (!value)
			return err_set(e, -EINVAL,
			               "the description of the device uses {%.*s} where it has no "
			               "value",
			               n < 40 ? (int)n : 40, p + 1);
		buf_add(out, value, strlen(value));
		p += n + 2;
	}
	return out->error ? err_set(e, out->error, "out of memory for a command") : 0;
}

/* --- parsing --- */

struct parsing {
	struct device *d;
	const char *name;
	unsigned line;
	char section[32];
};

static int fail(const struct parsing *p, struct err *e, const char *what, const char *which)
{
	return err_set(e, -EINVAL, "%s:%u: %s%.60s", p->name, p->line, what, which);
}

static const struct device_key *find_key(const char *name)
{
	for (const struct device_key *k = device_keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static int compile(const struct parsing *p, struct device_value *v, struct err *e)
{
	char why[128];
	v->regex = calloc(1, sizeof *v->regex);
	if (!v->regex)
		return err_set(e, -ENOMEM, "out of memory reading %s", p->name);
	int x = regcomp(v->regex, v->text, REG_EXTENDED);
	if (x == 0)
		return 0;
	regerror(x, v->regex, why, sizeof why);
	free(v->regex);
	v->regex = NULL;
	return fail(p, e, "not an expression: ", why);
}

static int add_value(struct parsing *p, const struct device_key *k, const char *text, struct err *e)
{
	struct err why = {0};
	if (p->d->n >= DEVICE_VALUES_MAX)
		return fail(p, e, "too many values", "");
	if (!k->list && device_get(p->d, k->name, 0))
		return fail(p, e, "is set twice: ", k->name);
	struct device_value *v = &p->d->v[p->d->n];
	*v = (struct device_value){.key = k, .text = strdup(text)};
	if (!v->text)
		return err_set(e, -ENOMEM, "out of memory reading %s", p->name);
	p->d->n++;
	if (k->type == DEVICE_REGEX)
		return compile(p, v, e);
	if (k->type == DEVICE_NUMBER && (!isdigit((unsigned char)*text) || strlen(text) > 3))
		return fail(p, e, "not a number: ", text);
	if ((k->type == DEVICE_LINE || k->type == DEVICE_PART) && check_template(text, &why) < 0)
		return fail(p, e, why.text, "");
	return 0;
}

static int take_line(struct parsing *p, char *line, struct err *e)
{
	char name[80], *end;
	if (!*line || *line == '#')
		return 0;
	if (*line == '[' && (end = strchr(line, ']')) && !end[1]) {
		snprintf(p->section, sizeof p->section, "%.*s", (int)(end - line - 1), line + 1);
		return 0;
	}
	char *equals = strstr(line, " = ");
	if (!equals)
		return fail(p, e, "not \"key = value\": ", line);
	snprintf(name, sizeof name, "%s.%.*s", p->section, (int)(equals - line), line);
	const struct device_key *k = find_key(name);
	return k ? add_value(p, k, equals + 3, e) : fail(p, e, "there is no key ", name);
}

static int check_whole(const struct device *d, const char *name, struct err *e)
{
	for (const struct device_key *k = device_keys; k->name; k++)
		if (k->required && !device_get(d, k->name, 0))
			return err_set(e, -EINVAL, "%s does not say %s", name, k->name);
	if (!device_get(d, "lists.fixed", 0) && !device_get(d, "lists.bound", 0))
		return err_set(e, -EINVAL, "%s says neither lists.bound nor lists.fixed", name);
	if (!device_get(d, "entries.entry", 0) && !device_get(d, "entries.begin", 0))
		return err_set(e, -EINVAL, "%s says neither entries.entry nor entries.begin", name);
	if (!device_get(d, "sessions.entry", 0) != !device_get(d, "sessions.shown", 0) ||
	    (device_get(d, "sessions.clear", 0) && !device_get(d, "sessions.show", 0)))
		return err_set(e, -EINVAL,
		               "%s says sessions.entry without sessions.shown, or sessions.clear "
		               "without sessions.show",
		               name);
	return 0;
}

int device_parse(const char *name, const char *text, struct device **ret, struct err *e)
{
	struct parsing p = {.d = calloc(1, sizeof *p.d), .name = name};
	int r = p.d ? 0 : err_set(e, -ENOMEM, "out of memory reading %s", name);
	char line[1024];
	while (r == 0 && *text) {
		size_t n = strcspn(text, "\n");
		p.line++;
		if (n >= sizeof line) {
			r = fail(&p, e, "the line is too long", "");
			break;
		}
		memcpy(line, text, n);
		line[n] = 0;
		r = take_line(&p, line, e);
		text += n + (text[n] == '\n');
	}
	if (r == 0)
		r = check_whole(p.d, name, e);
	if (r < 0)
		device_free(p.d);
	else
		*ret = p.d;
	return r;
}

int device_builtin(const char *name, struct device **ret, struct err *e)
{
	char names[256] = "";
	for (size_t i = 0; i < ARRAY_SIZE(built_in); i++) {
		if (!strcmp(built_in[i].name, name))
			return device_parse(name, built_in[i].text, ret, e);
		snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
		         built_in[i].name);
	}
	return err_set(e, -ENOENT, "there is no description of a device \"%.40s\"; there are %s",
	               name, names);
}
