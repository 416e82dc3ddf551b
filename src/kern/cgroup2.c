/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cgroup2.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"

#define ROOT_INODE 1 /* of kernfs: no directory but the true root has it */

/* "\040" is a blank, as mountinfo writes it. */
static bool unescape(const char *s, size_t len, char *dst, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned octal;
		if (out + 1 >= n)
			return false;
		if (s[i] == '\\' && len - i >= 4 && sscanf(s + i + 1, "%3o", &octal) == 1) {
			dst[out++] = (char)octal;
			i += 3;
		} else {
			dst[out++] = s[i];
		}
	}
	dst[out] = '\0';
	return out > 0;
}

bool cgroup2_mount_of(const char *line, char *dst, size_t n)
{
	const char *type = strstr(line, " - ");
	int root = 0, root_end = 0, place = 0, place_end = 0;

	if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
		return false;
	sscanf(line, "%*s %*s %*s %n%*s%n %n%*s%n", &root, &root_end, &place, &place_end);
	if (!place_end || root_end - root != 1 || line[root] != '/')
		return false;
	return unescape(line + place, (size_t)(place_end - place), dst, n);
}

static bool is_root(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_ino == ROOT_INODE;
}

/* The whole system's root if any mount shows it, else the last other one; -1: none. */
static int open_mounted(bool *ret_whole)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char path[PATH_MAX];
	char *line = NULL;
	size_t room = 0;
	int best = -1;

	*ret_whole = false;
	while (f && !*ret_whole && getline(&line, &room, f) > 0) {
		if (!cgroup2_mount_of(line, path, sizeof(path)))
			continue;
		int fd = sys->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		if (fd < 0)
			continue;
		*ret_whole = is_root(fd);
		sys_closep(&best);
		best = fd;
	}
	free(line);
	if (f)
		fclose(f);
	return best;
}

static int open_own_mount(void)
{
	_cleanup_close_ int fs = (int)syscall(SYS_fsopen, "cgroup2", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	_cleanup_close_ int mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	return mount < 0 ? -1 : sys->openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

int cgroup2_open(int *ret_fd, bool *ret_whole, struct err *e)
{
	int fd = open_mounted(ret_whole);

	if (fd < 0) {
		fd = open_own_mount();
		*ret_whole = fd >= 0 && is_root(fd);
	}
	if (fd < 0)
		return err_set(e, -ENOENT,
		               "no cgroup2 hierarchy is mounted here and none can be mounted (%s)",
		               strerror(errno));
	*ret_fd = fd;
	return 0;
}
