/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/pwlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/proc.h"

#define PWD_LOCK  ".pwd.lock"
#define NAME_SIZE 64
#define PID_TEXT  32
#define POLL_MSEC 20
#define WHO_MAX   64

static const struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

static const char *who(pid_t pid, char dst[static WHO_MAX])
{
	struct proc_id p;
	if (pid > 0 && proc_read(pid, &p) == 0)
		snprintf(dst, WHO_MAX, "process %d (%s)", (int)pid, p.comm);
	else
		snprintf(dst, WHO_MAX, "a process that is not seen from here");
	return dst;
}

static int fail(struct err *e, const char *name)
{
	int code = -errno;
	return err_set(e, code, "/etc/%s cannot be made: %s", name, strerror(-code));
}

/* --- .pwd.lock --- */

static int open_pwd(int etc, bool make, struct err *e)
{
	int flags = (make ? O_WRONLY | O_CREAT : O_WRONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
	int fd = sys->openat(etc, PWD_LOCK, flags, 0600);
	return fd < 0 ? fail(e, PWD_LOCK) : fd;
}

static int look_pwd(int fd, struct err *e)
{
	struct flock l = whole_file;
	char name[WHO_MAX];
	if (fcntl(fd, F_GETLK, &l) < 0)
		return fail(e, PWD_LOCK);
	if (l.l_type == F_UNLCK)
		return 0;
	return err_set(e, -EBUSY,
	               "the account files are locked: %s holds the lock on /etc/" PWD_LOCK
	               "; if it is no tool at work, end it and try again",
	               who(l.l_pid, name));
}

static int try_pwd(int fd, struct err *e)
{
	struct flock l = whole_file;
	if (sys->setlk(fd, &l) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES)
		return fail(e, PWD_LOCK);
	int r = look_pwd(fd, e);
	return r ? r : err_set(e, -EBUSY, "the lock on /etc/" PWD_LOCK " changes hands; try again");
}

/* --- FILE.lock --- */

static int read_pid(int etc, const char *lock, pid_t *ret, struct err *e)
{
	char text[PID_TEXT];
	int fd = sys->openat(etc, lock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, -errno, "/etc/%s cannot be opened: %s", lock, strerror(errno));
	ssize_t n = sys->read(fd, text, sizeof text - 1);
	sys->close(fd);
	text[n > 0 ? n : 0] = '\0';
	char *end = text;
	unsigned long pid = strtoul(text, &end, 10);
	if (end == text || (*end && *end != '\n') || pid == 0 || pid > INT_MAX)
		return err_set(e, -EBUSY,
		               "/etc/%s stands and names no process: every tool takes it for a "
		               "lock; remove it and try again",
		               lock);
	*ret = (pid_t)pid;
	return 0;
}

/* 0: free, or held by a process that is dead; *ret_stale tells which. */
static int look_file(int etc, const char *file, bool *ret_stale, struct err *e)
{
	char lock[NAME_SIZE], name[WHO_MAX];
	pid_t pid = 0;
	snprintf(lock, sizeof lock, "%s.lock", file);
	int r = read_pid(etc, lock, &pid, e);
	*ret_stale = r == 0;
	if (r == -ENOENT)
		return 0;
	if (r == 0 && (kill(pid, 0) == 0 || errno != ESRCH))
		r = err_set(e, -EBUSY,
		            "/etc/%s names %s, which lives: every tool takes the file for locked; "
		            "if that is no tool at work, remove /etc/%s and try again",
		            lock, who(pid, name), lock);
	return r;
}

static int make_lock(int etc, const char *lock, const char *temp)
{
	char text[PID_TEXT];
	struct stat st;
	int n = snprintf(text, sizeof text, "%d", (int)getpid());
	if (sys->unlinkat(etc, temp, 0) < 0 && errno != ENOENT)
		return -1;
	int fd = sys->openat(etc, temp, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	/* With its NUL, as these tools write it. */
	bool good = sys->write(fd, text, (size_t)n + 1) == n + 1;
	good = good && sys->linkat(etc, temp, etc, lock, 0) == 0;
	int code = errno;
	good = good && fstat(fd, &st) == 0 && st.st_nlink == 2;
	sys->close(fd);
	sys->unlinkat(etc, temp, 0);
	errno = code;
	return good ? 0 : -1;
}

static int try_file(int etc, const char *file, struct err *e)
{
	char lock[NAME_SIZE], temp[NAME_SIZE];
	bool stale = false;
	int r = look_file(etc, file, &stale, e);
	if (r < 0)
		return r;
	snprintf(lock, sizeof lock, "%s.lock", file);
	snprintf(temp, sizeof temp, ".%s.stanch-lock", file);
	if (stale && sys->unlinkat(etc, lock, 0) < 0 && errno != ENOENT)
		return fail(e, lock);
	errno = EIO;
	if (make_lock(etc, lock, temp) == 0)
		return 0;
	return errno == EEXIST
	           ? err_set(e, -EBUSY, "/etc/%s was made by somebody else just now", lock)
	           : fail(e, lock);
}

/* --- both --- */

void pwlock_drop(struct pwlock *l)
{
	char lock[NAME_SIZE];
	while (l->n) {
		snprintf(lock, sizeof lock, "%s.lock", l->files[--l->n]);
		sys->unlinkat(l->etc, lock, 0);
	}
	if (l->pwd >= 0)
		sys->close(l->pwd);
	l->pwd = -1;
}

static int try_all(struct pwlock *l, const char *const *files, struct err *e)
{
	int r = try_pwd(l->pwd, e);
	for (size_t i = 0; r == 0 && files[i]; i++) {
		r = l->n < PWLOCK_FILES_MAX ? try_file(l->etc, files[i], e)
		                            : err_set(e, -E2BIG, "too many files to lock");
		if (r == 0)
			l->files[l->n++] = files[i];
	}
	return r;
}

static void nap(void)
{
	sys->poll(NULL, 0, POLL_MSEC);
}

int pwlock_take(int etc, const char *const *files, usec_t patience, struct pwlock *ret,
                struct err *e)
{
	usec_t until = boot_now() + patience;
	for (;;) {
		struct err why = {0};
		struct pwlock l = {.etc = etc, .pwd = open_pwd(etc, true, &why)};
		int r = l.pwd < 0 ? l.pwd : try_all(&l, files, &why);
		if (r == 0) {
			*ret = l;
			return 0;
		}
		pwlock_drop(&l);
		if (r != -EBUSY || boot_now() >= until)
			return err_set(e, r, "%s", why.text);
		nap();
	}
}

static int look_once(int etc, const char *const *files, struct err *e)
{
	struct err why = {0};
	bool stale;
	int fd = open_pwd(etc, false, &why);
	if (fd < 0 && fd != -ENOENT)
		return err_set(e, fd, "%s", why.text);
	int r = fd < 0 ? 0 : look_pwd(fd, e);
	if (fd >= 0)
		sys->close(fd);
	for (size_t i = 0; r == 0 && files[i]; i++)
		r = look_file(etc, files[i], &stale, e);
	return r;
}

int pwlock_look(int etc, const char *const *files, usec_t patience, struct err *e)
{
	usec_t until = boot_now() + patience;
	for (;;) {
		struct err why = {0};
		int r = look_once(etc, files, &why);
		if (r == 0)
			return 0;
		if (r != -EBUSY || boot_now() >= until)
			return err_set(e, r, "%s", why.text);
		nap();
	}
}
