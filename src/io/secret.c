/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "io/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sys.h"

#define ENV_MAX (128u << 10)

extern char **environ;

/* "NAME=VALUE", each ended by a NUL; set before the first thread, read afterwards. */
static struct secret saved;

/* No core, and nobody of the same user looks in. Once is enough, twice does no harm. */
static void close_the_shutters(void)
{
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int make(size_t n, struct secret *ret, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (n / page + 1) * page;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(e, -ENOMEM, "out of memory for a secret");
	if (mlock(p, size) < 0) {
		munmap(p, size);
		return err_set(e, -ENOMEM,
		               "memory for a secret cannot be locked (%s): raise the limit "
		               "(ulimit -l) or run as root",
		               strerror(errno));
	}
	madvise(p, size, MADV_DONTDUMP);
	madvise(p, size, MADV_WIPEONFORK);
	*ret = (struct secret){.text = p, .size = size};
	return 0;
}

void secret_free(struct secret *s)
{
	if (s->text) {
		explicit_bzero(s->text, s->size);
		munmap(s->text, s->size);
	}
	*s = (struct secret){0};
}

const char *secret_text(const struct secret *s)
{
	return s->text ? s->text : "";
}

int secret_copy(const char *text, size_t n, struct secret *ret, struct err *e)
{
	struct secret s;
	if (n > SECRET_MAX)
		return err_set(e, -E2BIG, "a secret of more than %u bytes", SECRET_MAX);
	int r = make(n, &s, e);
	if (r < 0)
		return r;
	close_the_shutters();
	memcpy(s.text, text, n);
	s.len = n;
	*ret = s;
	return 0;
}

/* --- files --- */

static int check_file(int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s cannot be looked at: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EACCES,
		               "%s is no regular file; a secret is read from nothing else", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, -EACCES,
		               "%s belongs to user %u, who could change it: chown it to the user "
		               "that runs stanch",
		               path, (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(
		    e, -EACCES,
		    "%s holds a secret and others may read or write it (mode %04o): chmod "
		    "600 %s",
		    path, (unsigned)st.st_mode & 07777, path);
	if (st.st_size > SECRET_MAX)
		return err_set(e, -E2BIG, "%s is larger than a secret may be (%u bytes)", path,
		               SECRET_MAX);
	return 0;
}

static int read_all(int fd, const char *path, struct secret *s, struct err *e)
{
	for (;;) {
		ssize_t got = sys->read(fd, s->text + s->len, SECRET_MAX + 1 - s->len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
		if (!got)
			break;
		s->len += (size_t)got;
		if (s->len > SECRET_MAX)
			return err_set(e, -E2BIG, "%s is larger than a secret may be (%u bytes)",
			               path, SECRET_MAX);
	}
	while (s->len && (s->text[s->len - 1] == '\n' || s->text[s->len - 1] == '\r'))
		s->len--;
	memset(s->text + s->len, 0, s->size - s->len);
	if (!s->len || memchr(s->text, 0, s->len))
		return err_set(e, -EINVAL, "%s %s", path,
		               s->len ? "holds NUL bytes: it is no text" : "is empty");
	return 0;
}

int secret_from_file(const char *path, struct secret *ret, struct err *e)
{
	struct secret s = {0};
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno));
	int r = check_file(fd, path, e);
	if (r == 0)
		r = make(SECRET_MAX + 1, &s, e);
	if (r == 0) {
		close_the_shutters();
		r = read_all(fd, path, &s, e);
	}
	if (r < 0)
		secret_free(&s);
	else
		*ret = s;
	return r;
}

/* --- the environment --- */

static bool is_named(const char *entry, const char *name)
{
	size_t n = strlen(name);
	return !strncmp(entry, name, n) && entry[n] == '=';
}

/* Without locked memory nothing is kept, and who asks is told. */
void secret_env_save(void)
{
	struct secret s = {0};
	bool room = make(ENV_MAX, &s, NULL) == 0;
	for (char **v = environ; v && *v; v++) {
		size_t n = strlen(*v) + 1;
		if (room && s.len + n <= ENV_MAX) {
			memcpy(s.text + s.len, *v, n);
			s.len += n;
		}
		explicit_bzero(*v, n - 1);
	}
	secret_free(&saved);
	saved = s;
}

void secret_env_only(const char *const *names, size_t n)
{
	size_t at = 0;
	for (char *p = saved.text; p && p < saved.text + saved.len;) {
		size_t len = strlen(p) + 1, i = 0;
		while (i < n && !is_named(p, names[i]))
			i++;
		if (i < n) {
			memmove(saved.text + at, p, len);
			at += len;
		}
		p += len;
	}
	if (!at)
		secret_free(&saved);
	else
		explicit_bzero(saved.text + at, saved.size - at);
	saved.len = at;
	if (at)
		close_the_shutters();
}

int secret_from_env(const char *name, struct secret *ret, struct err *e)
{
	for (const char *p = saved.text; p && p < saved.text + saved.len; p += strlen(p) + 1) {
		if (!is_named(p, name))
			continue;
		const char *value = p + strlen(name) + 1;
		if (!*value)
			break;
		return secret_copy(value, strlen(value), ret, e);
	}
	return err_set(e, -ENOENT, "the environment variable %.60s is not set", name);
}
