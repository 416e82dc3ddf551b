/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/ctx.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ui/show.h"

int ctx_fail(struct ctx *c, enum exit_code code, const struct err *e)
{
	out_error(&c->out, "%s", e->text[0] ? e->text : "failed without a reason");
	return code;
}

enum exit_code ctx_exit_of(int code)
{
	switch (code) {
	case -EINVAL:
		return EXIT_USAGE;
	case -EBADMSG:
		return EXIT_MISMATCH;
	case -EPERM:
	case -EACCES:
	case -EBUSY:
	case -ENOENT:
	case -ENODEV:
	case -EOPNOTSUPP:
	case -EALREADY:
		return EXIT_REFUSED;
	default:
		return EXIT_FAILED;
	}
}

static int start_engine(struct ctx *c, struct session *s, bool recover, struct err *e)
{
	struct report rep = {0};
	int r = engine_new(s->journal, c->points, c->n_points, &s->engine, e);
	if (r == 0 && recover)
		r = engine_recover(s->engine, &rep, e);
	if (r == 0 && rep.text && rep.text[0])
		show_lines(&c->out, "recovered", rep.text);
	report_free(&rep);
	return r;
}

static void tell_journal(struct ctx *c, const struct journal *j)
{
	const char *notes = journal_notes(j), *degraded = journal_degraded(j);
	if (notes)
		show_lines(&c->out, "journal", notes);
	if (degraded)
		show_lines(&c->out, "journal", degraded);
}

int session_open(struct ctx *c, enum journal_mode mode, struct session *ret, struct err *e)
{
	struct session s = {0};
	char in_use[INCIDENT_ID_MAX];
	int r = journal_open(c->state_dir, mode, &s.journal, e);
	if (r == 0)
		tell_journal(c, s.journal);
	if (r == 0 && c->incident && mode != JOURNAL_READ)
		r = journal_incident(s.journal, c->incident, in_use, e);
	if (r == 0)
		r = start_engine(c, &s, mode != JOURNAL_READ, e);
	if (r < 0) {
		session_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int session_open_read(struct ctx *c, struct session *ret, struct err *e)
{
	struct session s = {0};
	int r = journal_open(c->state_dir, JOURNAL_READ, &s.journal, e);
	if (r == 0)
		tell_journal(c, s.journal);
	else if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = start_engine(c, &s, false, e);
	if (r < 0) {
		session_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void session_close(struct session *s)
{
	engine_free(s->engine);
	journal_close(s->journal);
	*s = (struct session){0};
}

int order_id_parse(const char *s, unsigned *ret, struct err *e)
{
	const char *digits = *s == 'o' ? s + 1 : s;
	char *end;
	errno = 0;
	unsigned long v = strtoul(digits, &end, 10);
	if (*digits < '1' || *digits > '9' || *end || errno || v > INT32_MAX)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is not an order; they are called o1, o2, … (see stanch "
		               "status)",
		               s);
	*ret = (unsigned)v;
	return 0;
}

bool may_change_network(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};
	return syscall(SYS_capget, &h, d) == 0 && d[0].effective & 1U << CAP_NET_ADMIN;
}

int ctx_need_rights(struct ctx *c, const char *verb)
{
	if (may_change_network())
		return EXIT_DONE;
	out_error(
	    &c->out,
	    "%s needs the right to change the network (CAP_NET_ADMIN); nothing was changed. Run "
	    "it as root: sudo stanch %s …",
	    verb, verb);
	return EXIT_REFUSED;
}

int ctx_need_rights_for(struct ctx *c, const char *verb, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++)
		for (size_t k = 0; k < c->n_points; k++)
			if (!c->points[k].config && !strcmp(c->points[k].name, p->steps[i].point))
				return ctx_need_rights(c, verb);
	return EXIT_DONE;
}

/* The terminal itself, so that a redirected standard input or output keeps the question visible. */
static FILE *open_terminal(void)
{
	if (!isatty(STDIN_FILENO))
		return NULL;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	FILE *f = fd >= 0 ? fdopen(fd, "r+") : NULL;
	if (!f && fd >= 0)
		close(fd);
	return f;
}

int ctx_can_ask(struct ctx *c, const struct args *a, const char *question)
{
	FILE *tty = args_has(a, "yes") ? NULL : open_terminal();
	if (!tty && !args_has(a, "yes")) {
		out_error(&c->out,
		          "%s There is no terminal to ask on; add --yes, or --dry-run to only look",
		          question);
		return EXIT_USAGE;
	}
	if (tty)
		fclose(tty);
	return EXIT_DONE;
}

int ctx_ask(struct ctx *c, const struct args *a, const char *fmt, ...)
{
	char question[1024], answer[16] = "";
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(question, sizeof question, fmt, ap);
	va_end(ap);
	if (args_has(a, "yes"))
		return EXIT_DONE;
	fflush(c->out.to);
	FILE *tty = open_terminal();
	if (!tty)
		return ctx_can_ask(c, a, question);
	fprintf(tty, "%s [y/N] ", question);
	fflush(tty);
	bool read = fgets(answer, sizeof answer, tty) != NULL;
	fclose(tty);
	if (read && (answer[0] == 'y' || answer[0] == 'Y'))
		return EXIT_DONE;
	out_error(&c->out, "not done, nothing was changed");
	return EXIT_REFUSED;
}
