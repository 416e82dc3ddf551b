/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. Links first, systemd reads them, then the stops, triggers before what they trigger: what is
 *     stopped cannot start again, and none of the unit's own commands (ExecStop=) runs.
 *  2. Only links to /dev/null at exactly these names are made and taken away; anything else that
 *     stands there is somebody's and is told.
 */
#include "enforce/service/service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/parts.h"

#define CONTROL "/run/systemd/system.control"
#define NOWHERE "/dev/null"
#define KIND    "service.mask"

struct service {
	char point[STEP_POINT_MAX];
};

static int service_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct service *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(c->point, sizeof c->point, "%s", p->name);
	*ret_ctx = c;
	return 0;
}

static void service_close(void *ctx)
{
	free(ctx);
}

static int service_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct err why = {0};
	struct systemd *m = NULL;
	struct capabilities c = {.n = 1};
	c.v[0].name = "systemd";
	c.v[0].available = systemd_open(&m, &why) == 0;
	if (!c.v[0].available)
		snprintf(c.v[0].why_not, sizeof c.v[0].why_not, "%.150s", why.text);
	systemd_close(m);
	*ret = c;
	return 0;
}

/* ---- links ---- */

enum standing { LINK_NONE, LINK_OURS, LINK_OTHER };

static enum standing link_at(const char *name)
{
	char path[sizeof CONTROL + SERVICE_NAME_MAX + 1], to[sizeof NOWHERE + 1];
	snprintf(path, sizeof path, CONTROL "/%s", name);
	ssize_t n = readlink(path, to, sizeof to);
	if (n < 0)
		return errno == ENOENT ? LINK_NONE : LINK_OTHER;
	return (size_t)n == strlen(NOWHERE) && !memcmp(to, NOWHERE, (size_t)n) ? LINK_OURS
	                                                                       : LINK_OTHER;
}

static int put_link(const char *name, struct err *e)
{
	char path[sizeof CONTROL + SERVICE_NAME_MAX + 1];
	snprintf(path, sizeof path, CONTROL "/%s", name);
	if (sys->mkdir(CONTROL, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "making " CONTROL ": %s", strerror(errno));
	if (link_at(name) == LINK_OURS || symlink(NOWHERE, path) == 0)
		return 0;
	return err_set(e, -errno, "making the link %s: %s", path, strerror(errno));
}

/* -ESTALE: something else stands there. */
static int take_link(const char *name, struct err *e)
{
	char path[sizeof CONTROL + SERVICE_NAME_MAX + 1];
	snprintf(path, sizeof path, CONTROL "/%s", name);
	enum standing is = link_at(name);
	if (is == LINK_OTHER)
		return err_set(e, -ESTALE, "%s is no link of ours any more: left alone", path);
	if (is == LINK_OURS && sys->unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "removing %s: %s", path, strerror(errno));
	return 0;
}

/* ---- plan ---- */

static void unit_name(const char *given, char dst[static SERVICE_NAME_MAX])
{
	snprintf(dst, SERVICE_NAME_MAX, "%s%s", given, strchr(given, '.') ? "" : ".service");
}

static void list_units(const struct service_units *u, struct buf *out)
{
	for (size_t i = 0; i < u->n; i++)
		buf_addf(out, "%s%s%s", i ? ", " : "", u->v[i].name,
		         u->v[i].active ? " (active)" : "");
}

static int refuse(const struct order *o, const struct service_units *u, struct err *e)
{
	static const char *const needed[] = {
	    "dbus.service",           "dbus.socket",           "systemd-journald.service",
	    "systemd-logind.service", "systemd-udevd.service", "init.scope"};
	for (size_t i = 0; i < u->n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(needed); k++)
			if (!strcmp(u->v[i].name, needed[k]))
				return err_set(e, -EPERM, "this host cannot do without %s",
				               needed[k]);
		if (link_at(u->v[i].name) != LINK_NONE)
			return err_set(e, -EALREADY,
			               "%s is masked in " CONTROL
			               " already, by another order or by somebody else",
			               u->v[i].name);
	}
	return 0;
}

static int add_step(struct service *c, const struct order *o, const struct service_units *u,
                    struct plan *p, struct err *e)
{
	struct step *s = plan_add_step(p, c->point, KIND);
	struct buf effect = BUF_INIT(32768);
	if (!s)
		return err_set(e, -ENOMEM, "out of memory for the plan");
	buf_addf(&effect, "links to /dev/null in " CONTROL " for ");
	list_units(u, &effect);
	buf_addf(&effect, "; systemd reads its units anew; %s",
	         u->stop ? "what triggers it is stopped, then it" : "what triggers it is stopped");
	s->required = true;
	s->effect = buf_steal(&effect);
	buf_free(&effect);
	s->undo_effect = strdup(u->stop ? "removes exactly these links, and starts again what was "
	                                  "active"
	                                : "removes exactly these links, and starts again what "
	                                  "triggered it; what was killed stays down");
	if (!s->effect || !s->undo_effect)
		return err_set(e, -ENOMEM, "out of memory for the plan");
	int r = service_to_json(u, &s->forward, e);
	return r < 0 ? r : inverse_to_json(KIND, &s->inverse, e);
}

static int note(struct plan *p, const struct order *o)
{
	int r = plan_set_dim(p, DIM_SERVICES, DIM_CONTAINED, NULL);
	if (r == 0)
		r = plan_note(p, "the links are in /run: they go at a reboot, and come back when "
		                 "stanch-reassert.service runs");
	if (r == 0)
		r = plan_note(p, "its program can still be started by hand, from a user's own "
		                 "manager, or from /etc/init.d");
	return r;
}

/* A service that is to be killed and that systemd does not know is a cgroup alone: no matter of
 * ours. */
static int plan_unit(struct service *c, struct systemd *m, const struct order *o,
                     const struct target *t, struct plan *p, struct err *e)
{
	char name[SERVICE_NAME_MAX];
	struct systemd_state state;
	struct service_units *u = calloc(1, sizeof *u);
	if (!u)
		return err_set(e, -ENOMEM, "out of memory for the plan");
	unit_name(t->name, name);
	u->stop = o->verb == VERB_DISABLE;
	int r = systemd_closure(m, name, u, e);
	bool template = strstr(name, "@.") != NULL;
	if (r == 0 && !template)
		r = systemd_state(m, name, &state, e);
	if (r == 0 && !template && !strcmp(state.load, "not-found") &&
	    !strcmp(state.active, "inactive"))
		r = err_set(e, -ENOENT, "systemd knows no unit %s (look: systemctl list-units)",
		            name);
	/* Masked already, by disable for one: there is nothing to do before the kill. */
	bool done = r == 0 && !u->stop && link_at(name) == LINK_OURS;
	if (r == 0 && !done)
		r = refuse(o, u, e);
	if (r == 0 && !done)
		r = add_step(c, o, u, p, e);
	free(u);
	return r;
}

/* systemd keeps the span of a running service whatever its files say later: nothing holds it off.
 */
static int refuse_watched(const struct order *o, struct err *e)
{
	char name[SERVICE_NAME_MAX];
	struct systemd_state st = {0};
	struct systemd *m = NULL;
	unit_name(o->targets[0].name, name);
	if (!service_name_ok(name) || systemd_open(&m, NULL) < 0)
		return 0; /* a scope, a slice, a path; or nobody is there who would watch */
	int r = systemd_state(m, name, &st, e);
	systemd_close(m);
	if (r == 0 && st.watchdog_usec)
		r = err_set(e, -EOPNOTSUPP,
		            "%s has a watchdog of %u s: systemd kills it when it is frozen for "
		            "longer, and may start it anew. Kill it (it is captured first), or "
		            "disable it",
		            name, (unsigned)((st.watchdog_usec + 999999) / 1000000));
	return r;
}

static int service_plan(void *ctx, const struct order *o, const struct holds *others,
                        struct plan *ret, struct err *e)
{
	struct plan p = {0};
	struct systemd *m = NULL;
	int r = 0;
	if (o->verb == VERB_FREEZE) {
		r = refuse_watched(o, e);
		if (r == 0)
			*ret = p;
		return r;
	}
	if (o->verb == VERB_KILL &&
	    (o->targets[0].name[0] == '/' || strstr(o->targets[0].name, ".slice") ||
	     strstr(o->targets[0].name, ".scope"))) {
		*ret = p; /* nothing starts a scope or a slice again */
		return 0;
	}
	r = systemd_open(&m, e);
	if (r < 0 && o->verb == VERB_KILL) {
		r = plan_note(&p, "systemd does not answer: what starts it again is not stopped");
		if (r == 0)
			*ret = p;
		return r;
	}
	for (size_t i = 0; r == 0 && i < o->n_targets; i++)
		r = plan_unit(ctx, m, o, &o->targets[i], &p, e);
	systemd_close(m);
	if (r == 0 && note(&p, o) < 0)
		r = err_set(e, -ENOMEM, "out of memory for the plan");
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

/* ---- steps ---- */

static int service_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	return 0;
}

/* A socket before all else: systemd starts none whose service runs already. */
enum turn { TURN_SOCKETS, TURN_TRIGGERS, TURN_UNITS };

static enum turn turn_of(const struct service_unit *v)
{
	const char *end = strrchr(v->name, '.');
	return !v->trigger ? TURN_UNITS : !strcmp(end, ".socket") ? TURN_SOCKETS : TURN_TRIGGERS;
}

/* Calls it for each, those of an earlier turn first; the first failure is told when all had theirs.
 */
static int each(struct systemd *m, const struct service_units *u, enum turn last, bool only_active,
                int (*what)(struct systemd *, const char *, struct err *), struct err *e)
{
	int first = 0;
	for (int turn = TURN_SOCKETS; turn <= (int)last; turn++) {
		for (size_t i = 0; i < u->n; i++) {
			struct err why = {0};
			const struct service_unit *v = &u->v[i];
			bool skip = (int)turn_of(v) != turn || (only_active && !v->active) ||
			            strstr(v->name, "@.");
			int r = skip ? 0 : what(m, v->name, &why);
			if (r < 0 && first == 0)
				first = err_set(e, r, "%s", why.text);
		}
	}
	return first;
}

static int take_links(const struct service_units *u, struct err *e)
{
	int first = 0;
	for (size_t i = u->n; i-- > 0;) {
		struct err why = {0};
		int r = take_link(u->v[i].name, &why);
		if (r < 0 && first == 0)
			first = err_set(e, r, "%s", why.text);
	}
	(void)rmdir(CONTROL); /* somebody's else stays in it, or it was ours alone */
	return first;
}

static int mask(struct systemd *m, const struct service_units *u, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < u->n; i++)
		r = put_link(u->v[i].name, e);
	if (r == 0)
		r = systemd_reload(m, e);
	if (r == 0)
		r = each(m, u, u->stop ? TURN_UNITS : TURN_TRIGGERS, false, systemd_stop, e);
	return r;
}

/* What does not start again is told, and not tried for ever: nothing of ours is in its way. */
static int unmask(struct systemd *m, const struct service_units *u, struct err *e)
{
	struct err why = {0};
	int gone = take_links(u, e), r = systemd_reload(m, &why);
	if (r < 0)
		return err_set(e, r, "%s", why.text);
	r = each(m, u, u->stop ? TURN_UNITS : TURN_TRIGGERS, true, systemd_start, &why);
	if (gone == 0 && r < 0)
		return err_set(e, -ESTALE, "the links are away, but not all is as before: %s",
		               why.text);
	return gone;
}

static int service_apply(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	struct service_units *u = calloc(1, sizeof *u);
	struct systemd *m = NULL;
	int r = u ? service_from_json(s->forward, u, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = systemd_open(&m, e);
	if (r == 0) {
		r = mask(m, u, e);
		if (r < 0)
			(void)unmask(m, u, NULL);
	}
	systemd_close(m);
	free(u);
	return r;
}

static int look_at(struct systemd *m, const struct service_units *u, size_t i, struct buf *drift,
                   struct err *e)
{
	struct systemd_state st;
	const struct service_unit *v = &u->v[i];
	int r = 0;
	if (strstr(v->name, "@."))
		return 0;
	r = systemd_state(m, v->name, &st, e);
	if (r == 0 && strcmp(st.load, "masked") != 0)
		buf_addf(drift, "%s is %s, not masked\n", v->name, st.load);
	bool down = !strcmp(st.active, "inactive") || !strcmp(st.active, "failed");
	if (r == 0 && !down && (u->stop || v->trigger))
		buf_addf(drift, "%s is %s\n", v->name, st.active);
	return r;
}

/* How many of the links stand. */
static size_t look_at_links(const struct service_units *u, struct buf *drift)
{
	size_t n = 0;
	for (size_t i = 0; i < u->n; i++) {
		bool is = link_at(u->v[i].name) == LINK_OURS;
		n += is;
		if (!is)
			buf_addf(drift, "the link of %s is gone\n", u->v[i].name);
	}
	return n;
}

static int look(const struct service_units *u, struct readback *rb, struct err *e)
{
	struct buf drift = BUF_INIT(16384);
	struct systemd *m = NULL;
	if (!look_at_links(u, &drift)) {
		rb->verdict = VERDICT_ABSENT;
		rb->dims[DIM_SERVICES] = DIM_RELEASED;
		buf_free(&drift);
		return 0;
	}
	int r = systemd_open(&m, e);
	for (size_t i = 0; r == 0 && i < u->n; i++)
		r = look_at(m, u, i, &drift, e);
	if (r == 0) {
		rb->verdict = drift.len ? VERDICT_DRIFTED : VERDICT_HOLDS;
		rb->dims[DIM_SERVICES] = drift.len ? DIM_PARTIAL : DIM_CONTAINED;
		rb->drift = drift.len ? buf_steal(&drift) : NULL;
	}
	systemd_close(m);
	buf_free(&drift);
	return r;
}

static int service_verify(void *ctx, const struct order *o, const struct step *s,
                          const struct holds *others, struct readback *ret, struct err *e)
{
	struct readback rb = {0};
	struct service_units *u = calloc(1, sizeof *u);
	int r = u ? service_from_json(s->forward, u, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = look(u, &rb, e);
	if (r == 0)
		*ret = rb;
	free(u);
	return r;
}

static int service_undo(void *ctx, const struct order *o, struct step *s,
                        const struct holds *others, struct err *e)
{
	struct service_units *u = calloc(1, sizeof *u);
	struct systemd *m = NULL;
	int r = u ? inverse_check(KIND, s->inverse, e) : err_set(e, -ENOMEM, "out of memory");
	if (r == 0)
		r = service_from_json(s->forward, u, e);
	if (r == 0)
		r = systemd_open(&m, e);
	if (r == 0)
		r = unmask(m, u, e);
	systemd_close(m);
	free(u);
	return r;
}

static int service_rearm(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	return 0; /* the clock is the journal's alone */
}

static int service_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                            struct err *e)
{
	struct service_units *u = calloc(1, sizeof *u);
	int r = u ? service_from_json(s->forward, u, e) : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < u->n; i++)
		buf_addf(out, "ln -s /dev/null " CONTROL "/%s\n", u->v[i].name);
	if (r == 0)
		buf_addf(out, "systemctl daemon-reload\n");
	for (size_t i = 0; r == 0 && i < u->n; i++)
		if (u->v[i].trigger || u->stop)
			buf_addf(out, "systemctl stop %s\n", u->v[i].name);
	free(u);
	return r < 0 ? r : out->error;
}

/* A link to /dev/null carries no name of ours: what no order claims may be anybody's. */
static int service_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                          struct err *e)
{
	return 0;
}

static const struct setting_key no_settings[] = {{NULL}};

const struct driver_ops service_driver = {
    .name = "service",
    .settings = no_settings,
    .open = service_open,
    .close = service_close,
    .probe = service_probe,
    .plan = service_plan,
    .prepare = service_prepare,
    .apply = service_apply,
    .verify = service_verify,
    .undo = service_undo,
    .rearm = service_rearm,
    .describe = service_describe,
    .strays = service_strays,
};
