/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Can a group send or hear frames by packet sockets? Those pass no hook of a cgroup. */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"

/* A field of proc_pid_status(5); false: it is not there. */
static bool field(const char *status, const char *name, int base, uint64_t *ret)
{
	const char *at = strstr(status, name);
	char *end = NULL;
	if (!at)
		return false;
	at += strlen(name);
	*ret = strtoull(at, &end, base);
	return end != at;
}

bool group_status_can_raw(const char *status)
{
	uint64_t has = 0, may = 0, frozen = 0;
	if (!field(status, "\nCapPrm:", 16, &has) || !field(status, "\nCapBnd:", 16, &may) ||
	    !field(status, "\nNoNewPrivs:", 10, &frozen))
		return true;
	/* What is in the bounding set comes by a setuid program, unless no new rights may. */
	return has >> CAP_NET_RAW & 1 || (!frozen && may >> CAP_NET_RAW & 1);
}

static bool can_raw(int pid)
{
	char path[40], text[4096];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? 0 : sys->read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	return n > 0 && group_status_can_raw(text);
}

bool group_can_raw(const struct group *g)
{
	struct group_socket_counts c = {0};
	bool can = g->kind == TARGET_ACCOUNT || g->n_unnamed || group_count_socks(g, &c, NULL) < 0;
	for (size_t i = 0; !can && i < g->n_members; i++)
		can = can_raw(g->members[i].pid);
	return can || c.packet;
}
