/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What speaks against cutting this host off: a root file system that comes over the network dies
 * with the network; a directory login stops working.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "enforce/host/parts.h"

#define FILE_MAX (4u << 20)

static int read_file(const char *path, struct buf *out)
{
	char chunk[8192];
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = sys->read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		int r = buf_add(out, chunk, (size_t)n);
		if (r < 0)
			return r;
	}
}

static bool remote_type(const char *type)
{
	static const char *const types[] = {
	    "nfs",        "nfs4", "cifs", "smb3",  "ceph", "glusterfs", "fuse.glusterfs",
	    "fuse.sshfs", "afs",  "9p",   "ocfs2", "gfs2", "lustre"};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i], type))
			return true;
	return false;
}

/* One line of mountinfo: "36 35 98:0 /root /mount options … - type source options". */
static bool line_root(const char *line, size_t n, char type[static 32], char source[static 96],
                      unsigned *ret_major, unsigned *ret_minor)
{
	char copy[1024], mount[256];
	if (n >= sizeof copy)
		return false;
	memcpy(copy, line, n);
	copy[n] = 0;
	if (sscanf(copy, "%*u %*u %u:%u %*255s %255s", ret_major, ret_minor, mount) != 3 ||
	    strcmp(mount, "/"))
		return false;
	const char *tail = strstr(copy, " - ");
	return tail && sscanf(tail + 3, "%31s %95s", type, source) == 2;
}

/* The last mount on / is the one that is seen. */
static bool find_root(const char *text, char type[static 32], char source[static 96],
                      unsigned *ret_major, unsigned *ret_minor)
{
	bool found = false;
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n");
		found |= line_root(p, n, type, source, ret_major, ret_minor);
		p += n + (p[n] == '\n');
	}
	return found;
}

bool mountinfo_root_is_remote(const char *mountinfo, char why[static 128])
{
	char type[32], source[96];
	unsigned major, minor;
	if (!find_root(mountinfo, type, source, &major, &minor))
		return false;
	bool nbd =
	    !strncmp(source, "/dev/nbd", 8) || !strncmp(source, "/dev/rbd", 8) || major == 43;
	if (!remote_type(type) && !nbd)
		return false;
	snprintf(why, 128, "it is %s from %.80s", nbd ? "a network block device" : type, source);
	return true;
}

/* iSCSI: the block device hangs below a session in sysfs. */
static bool device_is_iscsi(unsigned major, unsigned minor)
{
	char link[64], path[512];
	snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major, minor);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n <= 0)
		return false;
	path[n] = 0;
	return strstr(path, "/session") && strstr(path, "/host");
}

bool nsswitch_asks_network(const char *nsswitch, char service[static 32])
{
	static const char *const services[] = {"ldap", "sss", "winbind", "nis", "nisplus"};
	for (const char *p = nsswitch; *p;) {
		size_t n = strcspn(p, "\n");
		char line[512], *save = NULL;
		snprintf(line, sizeof line, "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
		line[strcspn(line, "#")] = 0;
		char *word = strtok_r(line, " \t:", &save);
		if (!word || strcmp(word, "passwd"))
			continue;
		while ((word = strtok_r(NULL, " \t", &save)))
			for (size_t i = 0; i < ARRAY_SIZE(services); i++)
				if (!strcmp(word, services[i])) {
					snprintf(service, 32, "%s", word);
					return true;
				}
	}
	return false;
}

static int guard_root(struct err *e)
{
	struct buf text = BUF_INIT(FILE_MAX);
	char why[128], type[32], source[96];
	unsigned major, minor;
	int r = read_file("/proc/self/mountinfo", &text);
	if (r < 0)
		r = err_set(e, r,
		            "whether the root file system comes over the network cannot be "
		            "told: /proc/self/mountinfo: %s",
		            strerror(-r));
	else if (mountinfo_root_is_remote(buf_str(&text), why))
		r = err_set(e, -EPERM,
		            "the root file system comes over the network (%s): a cut would stop "
		            "this host; cut it at the switch or firewall, or block addresses",
		            why);
	else if (find_root(buf_str(&text), type, source, &major, &minor) &&
	         device_is_iscsi(major, minor))
		r = err_set(e, -EPERM,
		            "the root file system is on an iSCSI disk (%s): a cut would stop this "
		            "host; cut it at the switch or firewall, or block addresses",
		            source);
	buf_free(&text);
	return r;
}

int snapshot_guards(struct plan *p, struct err *e)
{
	struct buf text = BUF_INIT(FILE_MAX);
	char service[32];
	int r = guard_root(e);
	if (r < 0)
		return r;
	if (read_file("/etc/nsswitch.conf", &text) == 0 &&
	    nsswitch_asks_network(buf_str(&text), service))
		r = plan_note(
		    p,
		    "warning: accounts here come from a directory (passwd: %s); logins that "
		    "need it will fail unless its servers are kept",
		    service);
	buf_free(&text);
	return r < 0 ? err_set(e, r, "out of memory for the plan") : 0;
}
