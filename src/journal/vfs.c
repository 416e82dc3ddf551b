/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"

/* SQLite shortens a wal-index to exactly three bytes to say "nobody trusts this". */
#define SHM_RESET_SIZE 3
#define SHM_KEEP_MAX   (1 << 20)

static _Thread_local int opened_last = -1;

static int hook_open(const char *path, int flags, int mode)
{
	opened_last = sys->open(path, flags, (mode_t)mode);
	return opened_last;
}

/* Zeroing says the same as shortening, and does not give back the blocks that a full disk would
 * not lend again. */
static int shm_zero(int fd)
{
	static const uint8_t zero[4096];
	struct stat st;
	if (fstat(fd, &st))
		return -1;
	if (st.st_size <= SHM_RESET_SIZE || st.st_size > SHM_KEEP_MAX)
		return sys->ftruncate(fd, SHM_RESET_SIZE);
	for (off_t at = 0; at < st.st_size; at += (off_t)sizeof zero) {
		off_t left = st.st_size - at;
		size_t n = left < (off_t)sizeof zero ? (size_t)left : sizeof zero;
		if (sys->pwrite(fd, zero, n, at) != (ssize_t)n)
			return -1;
	}
	return 0;
}

static int hook_ftruncate(int fd, off_t n)
{
	return n == SHM_RESET_SIZE ? shm_zero(fd) : sys->ftruncate(fd, n);
}

static ssize_t hook_read(int fd, void *p, size_t n)
{
	return sys->read(fd, p, n);
}

static ssize_t hook_pread(int fd, void *p, size_t n, off_t at)
{
	return sys->pread(fd, p, n, at);
}

static ssize_t hook_write(int fd, const void *p, size_t n)
{
	return sys->write(fd, p, n);
}

static ssize_t hook_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return sys->pwrite(fd, p, n, at);
}

/* The shape of posix_fallocate: returns errno. EINVAL tells SQLite to do without. */
static int hook_fallocate(int fd, off_t at, off_t n)
{
	if (sys->fallocate(fd, 0, at, n) == 0)
		return 0;
	return errno == EOPNOTSUPP ? EINVAL : errno;
}

static int hook_unlink(const char *path)
{
	return sys->unlink(path);
}

static const struct {
	const char *name;
	sqlite3_syscall_ptr call;
} hooks[] = {
    {"open", (sqlite3_syscall_ptr)hook_open},
    {"ftruncate", (sqlite3_syscall_ptr)hook_ftruncate},
    {"read", (sqlite3_syscall_ptr)hook_read},
    {"pread", (sqlite3_syscall_ptr)hook_pread},
    {"pread64", (sqlite3_syscall_ptr)hook_pread},
    {"write", (sqlite3_syscall_ptr)hook_write},
    {"pwrite", (sqlite3_syscall_ptr)hook_pwrite},
    {"pwrite64", (sqlite3_syscall_ptr)hook_pwrite},
    {"fallocate", (sqlite3_syscall_ptr)hook_fallocate},
    {"unlink", (sqlite3_syscall_ptr)hook_unlink},
};

/* Stands behind SQLite's own file object. */
struct tail {
	int fd;
	bool new_log; /* held nothing when it was opened, and was not synced since */
	int (*sync)(sqlite3_file *, int);
	sqlite3_io_methods methods; /* SQLite's, with our xSync */
};

struct shim {
	sqlite3_vfs vfs;
	sqlite3_vfs *base;
};

static struct shim shims[2];

static struct tail *tail_of(sqlite3_file *f, const sqlite3_vfs *base)
{
	size_t n = ((size_t)base->szOsFile + 15) & ~(size_t)15;
	return (struct tail *)(void *)((char *)f + n);
}

/* Both shims stand on the same family of files, so one size fits. The directory is not synced: see
 * "a journal's birth" in db.c. */
static int shim_sync(sqlite3_file *f, int flags)
{
	struct tail *t = tail_of(f, shims[0].base);
	if (t->fd < 0)
		return t->sync(f, flags);
	/* SQLite syncs the head of a log before the frames behind it, lest old frames be taken for
	 * its own. A new log has no old frames: the sync of its first commit does for both. */
	if (t->new_log) {
		t->new_log = false;
		return SQLITE_OK;
	}
	return sys->fdatasync(t->fd) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

/* A log begins with a magic number; one that was only preallocated begins with zeros. */
static bool has_no_head(int fd)
{
	uint8_t head[4] = {0};
	static const uint8_t zero[sizeof head];
	return fd >= 0 && sys->pread(fd, head, sizeof head, 0) >= 0 &&
	       !memcmp(head, zero, sizeof head);
}

static int shim_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	const struct shim *s = (const struct shim *)(const void *)v;
	struct tail *t = tail_of(f, shims[0].base);
	opened_last = -1;
	int rc = s->base->xOpen(s->base, name, f, flags, ret_flags);
	if (rc != SQLITE_OK || !f->pMethods)
		return rc;
	t->fd = opened_last;
	t->new_log = (flags & SQLITE_OPEN_WAL) && has_no_head(t->fd);
	t->sync = f->pMethods->xSync;
	t->methods = *f->pMethods;
	t->methods.xSync = shim_sync;
	f->pMethods = &t->methods;
	return rc;
}

static int shim_install(struct shim *s, const char *base, const char *name)
{
	s->base = sqlite3_vfs_find(base);
	if (!s->base)
		return -ENOSYS;
	s->vfs = *s->base;
	s->vfs.zName = name;
	s->vfs.pNext = NULL;
	s->vfs.szOsFile = ((s->base->szOsFile + 15) & ~15) + (int)sizeof(struct tail);
	s->vfs.xOpen = shim_open;
	return sqlite3_vfs_register(&s->vfs, 0) == SQLITE_OK ? 0 : -ENOMEM;
}

int vfs_install(struct err *e)
{
	static bool done;
	if (done)
		return 0;
	if (sqlite3_initialize() != SQLITE_OK)
		return err_set(e, -ENOMEM, "out of memory while starting SQLite");
	sqlite3_vfs *unix_vfs = sqlite3_vfs_find("unix");
	if (!unix_vfs || unix_vfs->iVersion < 3)
		return err_set(e, -ENOSYS, "this SQLite has no \"unix\" files");
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		unix_vfs->xSetSystemCall(unix_vfs, hooks[i].name, hooks[i].call);
	int r = shim_install(&shims[0], "unix", VFS_NAME);
	if (!r)
		r = shim_install(&shims[1], "unix-none", VFS_NAME_LOOK);
	if (r)
		return err_set(e, r, "cannot register the journal's files with SQLite");
	done = true;
	return 0;
}
