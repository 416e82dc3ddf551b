/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver `service`: a unit of systemd cannot start any more.
 *
 *   service.mask   links to /dev/null in /run/systemd/system.control, which systemd reads before
 * all other places, for the unit, its other names and instances, and all that triggers it (sockets,
 * timers, paths); systemd reads its units anew; triggers are stopped, then (disable) the unit.
 * Undone: exactly these links away, read anew, what was active is started again.
 */
#ifndef STANCH_ENFORCE_SERVICE_H
#define STANCH_ENFORCE_SERVICE_H

#include "model/driver_ops.h"

#define SERVICE_UNITS_MAX 64
#define SERVICE_NAME_MAX  264 /* a target's name and ".service" */

extern const struct driver_ops service_driver;

/* What a step is about. */
struct service_units {
	bool stop; /* the units themselves, and not only what triggers them */
	struct service_unit {
		char name[SERVICE_NAME_MAX];
		bool trigger; /* it starts others of these */
		bool active;  /* when the plan was made */
	} v[SERVICE_UNITS_MAX];
	size_t n;
};

/* Is it such a name, and no path? Pure. */
bool service_name_ok(const char *name);
int service_to_json(const struct service_units *u, char **ret, struct err *e);
int service_from_json(const char *json, struct service_units *ret, struct err *e);

/* ---- systemd, asked over its own socket, never longer than some seconds (systemd.c) ---- */

struct systemd;
/* The manager of the system. -EHOSTDOWN with the reason: it does not answer. */
int systemd_open(struct systemd **ret, struct err *e);
void systemd_close(struct systemd *m); /* takes NULL */

struct systemd_state {
	char load[32], active[32]; /* "masked", "active" */
	uint64_t watchdog_usec;    /* 0: none */
};
/* Of a unit that need not exist: load is "not-found" then. */
int systemd_state(struct systemd *m, const char *unit, struct systemd_state *ret, struct err *e);
/* Adds the unit, its other names, its instances ("x@.service") and what triggers any of them. */
int systemd_closure(struct systemd *m, const char *unit, struct service_units *ret, struct err *e);
int systemd_reload(struct systemd *m, struct err *e);
/* Waits until it is so. A stop that takes longer than ten seconds becomes SIGKILL. */
int systemd_stop(struct systemd *m, const char *unit, struct err *e);
int systemd_start(struct systemd *m, const char *unit, struct err *e);

#endif
