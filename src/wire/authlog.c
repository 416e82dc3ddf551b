/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/authlog.h"

#include "base/table.h"

static bool take(struct cursor *c, const char *literal)
{
	if (!span_starts(*c, literal))
		return false;
	c->p += strlen(literal);
	return true;
}

/* "for USER from ADDR port N …" */
static bool peer(struct cursor *c, struct authlog_entry *e)
{
	struct cursor w;
	return span_word(c, &w) && span_is(w, "for") && span_word(c, &e->user) &&
	       span_word(c, &w) && span_is(w, "from") && span_word(c, &e->from) &&
	       span_word(c, &w) && span_is(w, "port");
}

static enum authlog_kind of_sshd(struct cursor text, struct authlog_entry *e)
{
	struct cursor w;
	if (take(&text, "Accepted "))
		return span_word(&text, &w) && peer(&text, e) ? AUTHLOG_ACCEPTED : AUTHLOG_OTHER;
	if (!take(&text, "Starting session: ") ||
	    !(take(&text, "shell on ") || take(&text, "command on ")))
		return AUTHLOG_OTHER;
	return span_word(&text, &e->tty) && peer(&text, e) ? AUTHLOG_TERMINAL : AUTHLOG_OTHER;
}

/* "USER : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls"; a refusal has a sentence in front. */
static enum authlog_kind of_sudo(struct cursor text, struct authlog_entry *e)
{
	struct cursor w, part;
	const uint8_t *command = span_find(text, "; COMMAND=");
	if (!command || !span_word(&text, &e->user) || !span_word(&text, &w) || !span_is(w, ":"))
		return AUTHLOG_OTHER;
	if (text.p > command)
		return AUTHLOG_OTHER;
	e->command = (struct cursor){command + strlen("; COMMAND="), text.end};
	text.end = command;
	while (span_until(&text, ';', &part)) {
		part = span_trim(part);
		if (take(&part, "TTY=")) {
			if (!span_is(part, "unknown"))
				e->tty = part;
		} else if (take(&part, "USER=")) {
			e->target = part;
		} else if (part.p < part.end && !span_has(part, "=")) {
			return AUTHLOG_OTHER;
		}
	}
	return AUTHLOG_SUDO;
}

static const struct {
	const char *program;
	enum authlog_kind (*parse)(struct cursor text, struct authlog_entry *e);
} programs[] = {{"sshd", of_sshd}, {"sshd-session", of_sshd}, {"sudo", of_sudo}};

static bool entry(struct cursor c, struct fwlog_clock *k, struct authlog_entry *e)
{
	struct cursor host, tag, name;
	uint64_t nsec;
	k->zone_taken = false;
	if (!fwlog_stamp(&c, k, &nsec) || !span_word(&c, &host) || !span_word(&c, &tag) ||
	    !span_ends(tag, ":"))
		return false;
	e->time = (usec_t)(nsec / 1000);
	e->zoned = !k->zone_taken;
	tag.end--;
	span_until(&tag, '[', &name);
	c = span_trim(c);
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (span_is(name, programs[i].program))
			e->kind = programs[i].parse(c, e);
	return true;
}

bool authlog_next(struct lines *l, struct fwlog_clock *k, struct authlog_entry *ret)
{
	for (struct cursor c; lines_next(l, &c);) {
		*ret = (struct authlog_entry){.line = l->number};
		if (entry(c, k, ret))
			return true;
	}
	return false;
}
