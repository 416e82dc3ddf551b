/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/clock.h"
#include "base/sys.h"
#include "enforce/service/service.h"

#define ADDRESS   "unix:path=/run/systemd/private" /* no dbus-daemon in between */
#define NAME      "org.freedesktop.systemd1"
#define PATH      "/org/freedesktop/systemd1"
#define MANAGER   NAME ".Manager"
#define UNIT      NAME ".Unit"
#define CALL_USEC (10 * USEC_PER_SEC)
#define STOP_MS   10000
#define POLL_MS   50

struct systemd {
	sd_bus *bus;
};

static void drop_message(sd_bus_message **m)
{
	sd_bus_message_unref(*m);
}
#define _cleanup_message_ _cleanup_(drop_message)

int systemd_open(struct systemd **ret, struct err *e)
{
	struct systemd *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	int r = sd_bus_new(&m->bus);
	if (r >= 0)
		r = sd_bus_set_address(m->bus, ADDRESS);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(m->bus, CALL_USEC);
	if (r >= 0)
		r = sd_bus_start(m->bus);
	if (r < 0) {
		systemd_close(m);
		return err_set(e, -EHOSTDOWN,
		               "systemd does not answer at /run/systemd/private (%s): nothing can "
		               "be disabled; freeze it instead",
		               strerror(-r));
	}
	*ret = m;
	return 0;
}

void systemd_close(struct systemd *m)
{
	if (m)
		sd_bus_close_unref(m->bus);
	free(m);
}

/* arg NULL: a call without one; mode may be NULL. */
static int call(struct systemd *m, const char *member, const char *arg, const char *mode,
                sd_bus_message **ret, struct err *e)
{
	sd_bus_error why = SD_BUS_ERROR_NULL;
	int r = mode ? sd_bus_call_method(m->bus, NAME, PATH, MANAGER, member, &why, ret, "ss", arg,
	                                  mode)
	        : arg ? sd_bus_call_method(m->bus, NAME, PATH, MANAGER, member, &why, ret, "s", arg)
	              : sd_bus_call_method(m->bus, NAME, PATH, MANAGER, member, &why, ret, "");
	if (r < 0)
		err_set(e, r == -ENOMEM ? r : -EREMOTEIO, "systemd, %s %s: %.200s", member,
		        arg ? arg : "", why.message ? why.message : strerror(-r));
	sd_bus_error_free(&why);
	return r < 0 ? (r == -ENOMEM ? r : -EREMOTEIO) : 0;
}

/* The object of a unit; valid as long as *ret_reply. */
static int load(struct systemd *m, const char *unit, sd_bus_message **ret_reply, const char **ret,
                struct err *e)
{
	int r = call(m, "LoadUnit", unit, NULL, ret_reply, e);
	if (r == 0 && sd_bus_message_read(*ret_reply, "o", ret) < 0)
		r = err_set(e, -EBADMSG, "systemd's answer about %s is none", unit);
	return r;
}

static void get_text(struct systemd *m, const char *path, const char *iface, const char *name,
                     char dst[static 32])
{
	char *text = NULL;
	dst[0] = 0;
	if (sd_bus_get_property_string(m->bus, NAME, path, iface, name, NULL, &text) >= 0)
		snprintf(dst, 32, "%s", text);
	free(text);
}

static uint64_t get_number(struct systemd *m, const char *path, const char *name)
{
	uint64_t v = 0;
	if (sd_bus_get_property_trivial(m->bus, NAME, path, NAME ".Service", name, NULL, 't', &v) <
	    0)
		return 0;
	return v == UINT64_MAX ? 0 : v;
}

int systemd_state(struct systemd *m, const char *unit, struct systemd_state *ret, struct err *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *path = NULL;
	struct systemd_state s = {0};
	int r = load(m, unit, &reply, &path, e);
	if (r < 0)
		return r;
	get_text(m, path, UNIT, "LoadState", s.load);
	get_text(m, path, UNIT, "ActiveState", s.active);
	s.watchdog_usec = get_number(m, path, "WatchdogUSec");
	if (!s.load[0] || !s.active[0])
		return err_set(e, -EREMOTEIO, "systemd does not tell the state of %s", unit);
	*ret = s;
	return 0;
}

/* ---- what belongs to it ---- */

static int add(struct systemd *m, const char *name, bool trigger, struct service_units *u,
               struct err *e)
{
	struct systemd_state s;
	for (size_t i = 0; i < u->n; i++)
		if (!strcmp(u->v[i].name, name)) {
			u->v[i].trigger = u->v[i].trigger || trigger;
			return 0;
		}
	if (!service_name_ok(name))
		return err_set(e, -EINVAL, "\"%.60s\" is no name of a unit", name);
	if (u->n == SERVICE_UNITS_MAX)
		return err_set(e, -E2BIG, "more than %d units belong to it", SERVICE_UNITS_MAX);
	bool template = strstr(name, "@.") != NULL;
	int r = template ? 0 : systemd_state(m, name, &s, e);
	if (r < 0)
		return r;
	struct service_unit *v = &u->v[u->n++];
	snprintf(v->name, sizeof v->name, "%s", name);
	v->trigger = trigger;
	v->active = !template && (!strcmp(s.active, "active") || !strcmp(s.active, "reloading") ||
	                          !strcmp(s.active, "activating"));
	return 0;
}

static int add_list(struct systemd *m, const char *path, const char *property, bool trigger,
                    struct service_units *u, struct err *e)
{
	char **v = NULL;
	int r = sd_bus_get_property_strv(m->bus, NAME, path, UNIT, property, NULL, &v);
	if (r < 0)
		return err_set(e, -EREMOTEIO, "systemd does not tell %s: %s", property,
		               strerror(-r));
	r = 0;
	for (size_t i = 0; v && v[i]; i++) {
		if (r == 0)
			r = add(m, v[i], trigger, u, e);
		free(v[i]);
	}
	free(v);
	return r;
}

static int add_unit(struct systemd *m, const char *unit, struct service_units *u, struct err *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *path = NULL;
	int r = load(m, unit, &reply, &path, e);
	if (r == 0)
		r = add(m, unit, false, u, e);
	if (r == 0)
		r = add_list(m, path, "TriggeredBy", true, u, e);
	return r < 0 ? r : add_list(m, path, "Names", false, u, e);
}

/* Those of a template that systemd knows now; others are kept away by the template's own link. */
static int add_instances(struct systemd *m, const char *template, struct service_units *u,
                         struct err *e)
{
	char pattern[SERVICE_NAME_MAX + 2];
	const char *at = strchr(template, '@'), *name;
	_cleanup_message_ sd_bus_message *reply = NULL;
	snprintf(pattern, sizeof pattern, "%.*s*%s", (int)(at + 1 - template), template, at + 1);
	int r = sd_bus_call_method(m->bus, NAME, PATH, MANAGER, "ListUnitsByPatterns", NULL, &reply,
	                           "asas", 0, 1, pattern);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(ssssssouso)");
	while (r >= 0 && sd_bus_message_enter_container(reply, 'r', "ssssssouso") > 0) {
		r = sd_bus_message_read(reply, "s", &name);
		if (r >= 0)
			r = add_unit(m, name, u, e);
		if (r < 0)
			return r;
		sd_bus_message_skip(reply, "sssssouso");
		sd_bus_message_exit_container(reply);
	}
	return r < 0 ? err_set(e, -EREMOTEIO, "systemd does not list the instances of %s: %s",
	                       template, strerror(-r))
	             : 0;
}

int systemd_closure(struct systemd *m, const char *unit, struct service_units *ret, struct err *e)
{
	int r;
	if (!service_name_ok(unit))
		return err_set(e, -EINVAL, "\"%.60s\" is no name of a unit", unit);
	if (!strstr(unit, "@."))
		return add_unit(m, unit, ret, e);
	r = add(m, unit, false, ret, e);
	return r < 0 ? r : add_instances(m, unit, ret, e);
}

/* ---- changes ---- */

int systemd_reload(struct systemd *m, struct err *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	return call(m, "Reload", NULL, NULL, &reply, e);
}

static bool is_down(const struct systemd_state *s)
{
	return !strcmp(s->active, "inactive") || !strcmp(s->active, "failed");
}

/* 0: it is; -ETIME. */
static int wait_until(struct systemd *m, const char *unit, bool down, unsigned wait_ms,
                      struct err *e)
{
	for (unsigned waited = 0;; waited += POLL_MS) {
		struct systemd_state s;
		int r = systemd_state(m, unit, &s, e);
		if (r < 0 || (down ? is_down(&s) : !strcmp(s.active, "active")))
			return r;
		if (waited >= wait_ms)
			return err_set(e, -ETIME, "%s is %s after %u s", unit, s.active,
			               wait_ms / 1000);
		(void)sys->poll(NULL, 0, POLL_MS);
	}
}

int systemd_stop(struct systemd *m, const char *unit, struct err *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL, *killed = NULL;
	int r = call(m, "StopUnit", unit, "replace", &reply, e);
	if (r == 0)
		r = wait_until(m, unit, true, STOP_MS, e);
	if (r != -ETIME)
		return r;
	r = sd_bus_call_method(m->bus, NAME, PATH, MANAGER, "KillUnit", NULL, &killed, "ssi", unit,
	                       "all", SIGKILL);
	return r < 0 ? err_set(e, -EREMOTEIO, "systemd cannot kill %s: %s", unit, strerror(-r))
	             : wait_until(m, unit, true, STOP_MS, e);
}

int systemd_start(struct systemd *m, const char *unit, struct err *e)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r = call(m, "StartUnit", unit, "replace", &reply, e);
	return r < 0 ? r : wait_until(m, unit, false, STOP_MS, e);
}
