/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parent: runs the readings, gives up what hangs, writes. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "acquire/state/relay.h"
#include "base/sys.h"
#include "priv/msg.h"

#define UNIT_LIMIT   (3 * USEC_PER_SEC)
#define DIE_LIMIT    USEC_PER_SEC
#define RESTARTS_MAX 64
#define POLL_MS      100

struct taking {
	const struct item *item;
	const struct state_limits *limits;
	struct capture_sink *s;
	struct state_totals *totals;
	struct capture_file *rows, *file; /* file: the one that the child writes now */
	pid_t child;
	uint64_t unit;
	char unit_name[256];
	usec_t heard_at, item_begun, begun; /* heard_at: the last sign of life */
	bool done;
	const char *cut; /* why the item is not whole */
};

static int row(struct taking *t, const void *text, size_t n, struct err *e)
{
	int r = 0;
	if (!t->rows) {
		char name[64];
		snprintf(name, sizeof(name), "%s.jsonl", t->item->name);
		r = t->s->ops->begin(t->s, name, &t->rows, e);
	}
	if (r == 0)
		r = t->s->ops->write(t->rows, text, n, e);
	if (r == 0)
		r = t->s->ops->write(t->rows, "\n", 1, e);
	t->totals->rows++;
	t->totals->bytes += n + 1;
	return r;
}

static int close_file(struct taking *t, struct err *e)
{
	struct capture_file *f = t->file;
	t->file = NULL;
	return f ? t->s->ops->end(f, e) : 0;
}

/* A name that stands already, or that no bundle takes, is told and its content left out. */
static int begin_file(struct taking *t, const struct msg *m, struct err *e)
{
	char name[CAPTURE_NAME_MAX];
	struct err own = {0};
	if (t->file || m->len >= sizeof(name))
		return err_set(e, -EBADMSG, "a reading does not keep to its language");
	memcpy(name, m->body, m->len);
	name[m->len] = 0;
	int r = t->s->ops->begin(t->s, name, &t->file, &own);
	t->totals->files += r == 0;
	if (r == -EINVAL || r == -EEXIST) {
		json_t *j = json_pack("{s:s, s:s}", "kind", "not_copied", "why", own.text);
		char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
		t->file = NULL;
		r = text ? row(t, text, strlen(text), e) : 0;
		free(text);
		json_decref(j);
		return r;
	}
	return r < 0 ? err_set(e, r, "%s", own.text) : 0;
}

static int heard(struct taking *t, const struct msg *m, struct err *e)
{
	t->heard_at = boot_now();
	switch ((enum relay)m->type) {
	case RELAY_UNIT:
		if (m->len < 8)
			return err_set(e, -EBADMSG, "a reading does not keep to its language");
		memcpy(&t->unit, m->body, 8);
		snprintf(t->unit_name, sizeof(t->unit_name), "%.*s", (int)(m->len - 8),
		         (const char *)m->body + 8);
		return 0;
	case RELAY_ROW:
		return row(t, m->body, m->len, e);
	case RELAY_BEGIN:
		return begin_file(t, m, e);
	case RELAY_DATA:
		t->totals->bytes += m->len;
		return t->file ? t->s->ops->write(t->file, m->body, m->len, e) : 0;
	case RELAY_END:
		return close_file(t, e);
	case RELAY_DONE:
		t->done = true;
		return 0;
	}
	return err_set(e, -EBADMSG, "a reading does not keep to its language");
}

static bool over(struct taking *t)
{
	usec_t now = boot_now();
	usec_t item = t->item->item_limit ? t->item->item_limit : t->limits->item;
	if (item > t->limits->item)
		item = t->limits->item;
	t->cut = now - t->begun > t->limits->all       ? "the time of all items is up"
	         : now - t->item_begun > item          ? "its time is up"
	         : t->totals->bytes > t->limits->bytes ? "--max-size is reached"
	         : t->s->stop && *t->s->stop           ? "stopped as asked"
	                                               : NULL;
	return t->cut != NULL;
}

/* Until the child is done, hangs, or has had enough. 1: its unit hangs. */
static int attend(struct taking *t, struct msg_reader *in, struct err *e)
{
	usec_t limit = t->item->unit_limit ? t->item->unit_limit : UNIT_LIMIT;
	t->heard_at = boot_now();
	for (;;) {
		struct msg m;
		int r = msg_next(in, POLL_MS, &m);
		if (r == 1) {
			r = heard(t, &m, e);
			if (r < 0)
				return r;
		} else if (r == 0 || r == -EBADMSG) {
			return t->done ? 0 : 1;
		} else if (boot_now() - t->heard_at > limit) {
			return 1;
		}
		if (!t->done && over(t))
			return 0;
	}
}

/* Killed and gone, or left behind where even that takes no effect: it waits in the kernel. */
static bool end_child(struct taking *t)
{
	usec_t until = boot_now() + DIE_LIMIT;
	kill(t->child, SIGKILL);
	while (boot_now() < until) {
		if (waitpid(t->child, NULL, WNOHANG) != 0)
			return true;
		usleep(5000);
	}
	return false;
}

static int start(struct taking *t, uint64_t from, int *ret_fd, struct err *e)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(e, -errno, "no pair of sockets: %s", strerror(errno));
	t->child = fork();
	if (t->child == 0) {
		close(ends[0]);
		relay_child(t->item, ends[1], from);
	}
	close(ends[1]);
	if (t->child < 0) {
		close(ends[0]);
		return err_set(e, -errno, "no process to read with: %s", strerror(errno));
	}
	*ret_fd = ends[0];
	return 0;
}

static int tell_hung(struct taking *t, bool left, struct err *e)
{
	t->totals->hung++;
	return t->s->ops->log(t->s, "does not answer, given up",
	                      json_pack("{s:s, s:s, s:b, s:i}", "item", t->item->name, "unit",
	                                t->unit_name, "process_left_behind", left, "pid",
	                                (int)t->child),
	                      e);
}

static int take_item(struct taking *t, struct err *e)
{
	uint64_t from = 0;
	int r = 0;
	for (unsigned n = 0; r == 0 && !t->done && !t->cut; n++) {
		struct msg_reader *in = NULL;
		_cleanup_close_ int fd = -1;
		if (over(t))
			break;
		if (n == RESTARTS_MAX) {
			t->cut = "too much of it hangs";
			break;
		}
		t->unit = from;
		snprintf(t->unit_name, sizeof(t->unit_name), "(first)");
		r = start(t, from, &fd, e);
		if (r < 0 || (r = msg_reader_new(fd, &in)) < 0)
			break;
		r = attend(t, in, e);
		msg_reader_free(in);
		bool gone = end_child(t);
		if (r == 1) {
			from = t->unit + 1;
			r = tell_hung(t, !gone, e);
		}
		int k = close_file(t, r < 0 ? NULL : e);
		r = r < 0 ? r : k;
	}
	if (t->rows) {
		int k = t->s->ops->end(t->rows, r < 0 ? NULL : e);
		r = r < 0 ? r : k;
	}
	return r;
}

int state_take(const struct item *v, size_t n, const struct state_limits *limits,
               struct capture_sink *s, struct capture_report *rep, struct state_totals *ret,
               struct err *e)
{
	const usec_t begun = boot_now();
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct taking t = {.item = &v[i],
		                   .limits = limits,
		                   .s = s,
		                   .totals = ret,
		                   .begun = begun,
		                   .item_begun = boot_now()};
		uint64_t hung = ret->hung;
		s->ops->progress(s, v[i].name, i, n);
		r = take_item(&t, e);
		if (t.cut) {
			ret->cut++;
			buf_addf(&rep->notes, "%s is not whole: %s\n", v[i].name, t.cut);
		}
		if (ret->hung != hung)
			buf_addf(&rep->notes,
			         "%s: %u units do not answer and were given up; see log.jsonl\n",
			         v[i].name, (unsigned)(ret->hung - hung));
		if (r == 0)
			r = s->ops->log(s, "item read",
			                json_pack("{s:s, s:I, s:b, s:i}", "item", v[i].name, "usec",
			                          (json_int_t)(boot_now() - t.item_begun), "whole",
			                          !t.cut && ret->hung == hung, "by_pid",
			                          (int)t.child),
			                e);
		if (s->stop && *s->stop && r == 0)
			r = err_set(e, -EINTR, "stopped as asked");
	}
	return r;
}
