/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/lime_module.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "acquire/hostfile.h"
#include "base/sys.h"

#define MODULE_MAX (16u << 20)
#define BLOCK      (256u << 10)
#define PIPE_SIZE  (1 << 20)

struct loading {
	int module, out; /* descriptors; out: the pipe's end that the module writes to */
	int result;      /* of finit_module: 0 or -errno */
};

static void *load(void *arg)
{
	struct loading *l = arg;
	char args[128];
	/* The path is opened by the module in this very process. timeout=0: no page is given up
	 * for being slow. */
	snprintf(args, sizeof(args), "path=/proc/%d/fd/%d format=lime timeout=0", (int)getpid(),
	         l->out);
	l->result = syscall(SYS_finit_module, l->module, args, 0) < 0 ? -errno : 0;
	close(l->out);
	return NULL;
}

/* The name in the module's .modinfo. */
static bool name_of(const struct buf *file, char *dst, size_t n)
{
	static const char key[] = "\0name=";
	const char *p = memmem(file->data, file->len, key, sizeof(key) - 1);
	if (!p)
		return false;
	p += sizeof(key) - 1;
	size_t left = file->len - (size_t)(p - (const char *)file->data), len = strnlen(p, left);
	if (len == left || len >= n || !len ||
	    strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != len)
		return false;
	snprintf(dst, n, "%s", p);
	return true;
}

/* Follows the records of the stream: n bytes more have come. Headers may be cut by reads. */
struct follow {
	struct lime_walk walk;
	uint64_t at;
	uint8_t header[LIME_HEADER_LEN];
	size_t have;
	int error;
};

static void follow(struct follow *w, const uint8_t *p, size_t n, struct err *e)
{
	while (n && !w->error) {
		size_t k = n;
		if (w->at < w->walk.offset) {
			if (k > w->walk.offset - w->at)
				k = (size_t)(w->walk.offset - w->at);
		} else {
			if (k > LIME_HEADER_LEN - w->have)
				k = LIME_HEADER_LEN - w->have;
			memcpy(w->header + w->have, p, k);
			w->have += k;
		}
		w->at += k;
		p += k;
		n -= k;
		if (w->have == LIME_HEADER_LEN) {
			w->error = lime_next(&w->walk, w->header, e);
			w->have = 0;
		}
	}
}

static int drain(int fd, struct capture_sink *s, struct capture_file *f, struct follow *w,
                 uint64_t total, struct err *e)
{
	_cleanup_free_ uint8_t *block = malloc(BLOCK);
	if (!block)
		return err_set(e, -ENOMEM, "out of memory");
	for (;;) {
		ssize_t n = sys->read(fd, block, BLOCK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "the module's pipe: %s", strerror(errno));
		if (!n)
			return w->error;
		follow(w, block, (size_t)n, e);
		int r = s->ops->write(f, block, (size_t)n, e);
		if (r < 0)
			return r;
		s->ops->progress(s, "reading memory by LiME", w->at, total);
	}
}

static const char *hint(int code)
{
	switch (-code) {
	case EPERM:
		return "needs root (CAP_SYS_MODULE) and a kernel that is not locked down";
	case EKEYREJECTED:
	case ENOKEY:
		return "this kernel (Secure Boot, or module.sig_enforce) takes signed modules "
		       "alone";
	case ENOEXEC:
		return "it was built for another kernel: uname -r must be the same";
	case EEXIST:
		return "it is loaded already: by whom?";
	default:
		return "see the kernel's log";
	}
}

static int transfer(struct loading *l, int in, struct capture_sink *s, struct capture_file *f,
                    struct follow *w, uint64_t total, struct err *e)
{
	pthread_t thread;
	int k = pthread_create(&thread, NULL, load, l);
	if (k) {
		close(l->out);
		return err_set(e, -k, "no thread to load the module with: %s", strerror(k));
	}
	int r = drain(in, s, f, w, total, e);
	/* Whoever does not read on lets the module's writes fail instead of wait. */
	close(in);
	pthread_join(thread, NULL);
	return r;
}

static int run(const char *ko, struct loading *l, struct capture_sink *s, struct capture_file *f,
               struct follow *w, uint64_t total, struct lime_result *ret, struct err *e)
{
	int ends[2];
	struct sigaction ignore = {.sa_handler = SIG_IGN}, was;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(e, -errno, "no pipe: %s", strerror(errno));
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	l->out = ends[1];
	sigaction(SIGPIPE, &ignore, &was);
	int r = transfer(l, ends[0], s, f, w, total, e);
	sigaction(SIGPIPE, &was, NULL);
	if (l->result < 0)
		return err_set(e, l->result, "%s cannot be loaded: %s; %s", ko,
		               strerror(-l->result), hint(l->result));
	ret->left_loaded = syscall(SYS_delete_module, ret->name, O_NONBLOCK) < 0 && errno != ENOENT;
	return r;
}

int lime_module_run(const char *ko, const struct phys_range *ram, size_t n_ram,
                    struct capture_sink *s, struct capture_file *f, struct lime_result *ret,
                    struct err *e)
{
	struct buf file = BUF_INIT(MODULE_MAX);
	struct lime_result result = {0};
	struct follow w = {0};
	uint64_t total = 0;
	for (size_t i = 0; i < n_ram; i++)
		total += phys_range_len(&ram[i]);
	int r = hostfile_read(AT_FDCWD, ko, &file);
	if (r < 0)
		r = err_set(e, r, "%s cannot be read: %s", ko, strerror(-r));
	else if (!name_of(&file, result.name, sizeof(result.name)))
		r = err_set(e, -EINVAL, "%s is no kernel module: it has no name", ko);
	buf_free(&file);
	if (r < 0)
		return r;
	_cleanup_close_ int module = hostfile_open(AT_FDCWD, ko, false);
	struct loading l = {.module = module};
	r = run(ko, &l, s, f, &w, total, &result, e);
	if (r < 0)
		return r;
	result.ranges = w.walk.n;
	result.bytes = w.at - (uint64_t)w.walk.n * LIME_HEADER_LEN - w.have;
	result.missing = total > result.bytes ? total - result.bytes : 0;
	*ret = result;
	return 0;
}
