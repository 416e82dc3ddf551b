/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which daemons a host cannot do without. A name alone protects nobody: the file that it runs from
 * has to lie where only root puts files, and process 1 has to have started it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/process/process.h"

static const struct {
	const char *name, *what;
} daemons[] = {
    {"dbus-daemon", "the system bus"},
    {"dbus-broker", "the system bus"},
    {"dbus-broker-launch", "the system bus"},
    {"systemd-journald", "the journal"},
    {"systemd-logind", "logins"},
    {"systemd-udevd", "devices"},
    {"udevadm", "devices"}, /* what systemd-udevd is a link to */
    {"sshd", "the way in by SSH"},
    {"dmeventd", "storage"},
    {"multipathd", "storage"},
    {"iscsid", "storage"},
    {"mdadm", "storage"},
    {"lvmpolld", "storage"},
    {"zed", "storage"},
    {"rpc.statd", "storage"},
    {"ceph-osd", "storage"},
};

static bool is_of_system(const char *exe)
{
	static const char *const places[] = {"/usr/bin/", "/usr/sbin/", "/usr/lib/",
	                                     "/bin/",     "/sbin/",     "/lib/"};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!strncmp(exe, places[i], strlen(places[i])))
			return true;
	return false;
}

static const char *daemon_of(const struct proc_id *p)
{
	const char *name = strrchr(p->exe, '/');
	if (p->ppid != 1 || !name || !is_of_system(p->exe))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(daemons); i++)
		if (!strcmp(daemons[i].name, name + 1))
			return daemons[i].what;
	return NULL;
}

int process_protected(const struct target *t, bool *ret, char why[static GROUP_WHY_MAX],
                      struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	int r = group_find(t, g, e);
	bool found = false;
	for (size_t i = 0; r == 0 && !found && i < g->n_members; i++) {
		struct proc_id p;
		const char *what = proc_read(g->members[i].pid, &p) == 0 ? daemon_of(&p) : NULL;
		if (!what)
			continue;
		found = true;
		snprintf(why, GROUP_WHY_MAX, "%s (%d), %s", p.comm, p.pid, what);
	}
	if (r == 0)
		*ret = found;
	group_drop(g);
	return r;
}
