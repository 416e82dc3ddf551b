/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The child's side of roles: giving up every right before a byte of foreign data is read.
 *
 * Order matters: limits and the bounding set need rights that the ids take away, Landlock and
 * seccomp need no_new_privs, and seccomp comes last since it forbids all the rest. Ids,
 * capabilities and seccomp are fatal when they fail; Landlock's absence is told by role_limits.
 */
#include "priv/role.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/table.h"

#define NOBODY     65534
#define MEMORY_MAX (UINT64_C(1) << 30)

/* The kernel's interface by number, as the distribution's headers may be older than the kernel. */
#define LL_CREATE_VERSION 1u
static const uint64_t ll_fs_by_abi[] = {0, 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff};
struct ll_ruleset {
	uint64_t fs, net, scoped;
};

static const char *limits = "Landlock: not tried";

const char *role_limits(void)
{
	return limits;
}

static bool drop_bounding(void)
{
	for (int cap = 0; cap <= 63; cap++)
		if (prctl(PR_CAPBSET_READ, cap) == 1 && prctl(PR_CAPBSET_DROP, cap) < 0)
			return false;
	return true;
}

static bool drop_ids(void)
{
	gid_t g[3];
	uid_t u[3];

	if (geteuid() != 0)
		return true;
	if (!drop_bounding() || setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return false;
	if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (u[i] != NOBODY || g[i] != NOBODY)
			return false;
	return setuid(0) < 0;
}

static bool drop_caps(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &h, d) < 0)
		return false;
	memset(d, 0xff, sizeof(d));
	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	return !(d[0].effective | d[0].permitted | d[0].inheritable | d[1].effective |
	         d[1].permitted | d[1].inheritable);
}

static bool limit(int what, rlim_t n)
{
	struct rlimit r = {n, n};
	return setrlimit(what, &r) == 0;
}

static bool set_limits(const struct role *r)
{
#if !defined(__SANITIZE_ADDRESS__) /* its shadow alone is larger */
	if (!limit(RLIMIT_AS, MEMORY_MAX))
		return false;
#endif
	return limit(RLIMIT_CORE, 0) &&
	       limit(RLIMIT_NOFILE, r->stays ? ROLE_STAY_FDS : ROLE_FD_FIRST + ROLE_FDS_MAX) &&
	       limit(RLIMIT_FSIZE, 0) && prctl(PR_SET_DUMPABLE, 0) == 0 &&
	       prctl(PR_SET_PDEATHSIG, r->stays ? 0 : SIGKILL) == 0;
}

struct ll_beneath {
	uint64_t allowed;
	int fd;
} __attribute__((packed));

#define LL_RULE_PATH_BENEATH 1
#define LL_READ              UINT64_C(0xc) /* READ_FILE, READ_DIR */
#define LL_LIST              UINT64_C(0x8)

static uint64_t handled_by(long abi)
{
	long last = (long)ARRAY_SIZE(ll_fs_by_abi) - 1;
	return ll_fs_by_abi[abi < last ? abi : last];
}

/* A path that is not there needs no rule. */
static void allow_paths(int ruleset, const char *const *path, uint64_t rights)
{
	for (; ruleset >= 0 && path && *path; path++) {
		struct ll_beneath b = {.allowed = rights, .fd = open(*path, O_PATH | O_CLOEXEC)};
		if (b.fd < 0)
			continue;
		(void)syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH_BENEATH, &b, 0);
		close(b.fd);
	}
}

/* No path but these, and on newer kernels no TCP, abstract sockets or signals to others either. */
static void landlock(const char *const *read, const char *const *write)
{
	static const char *const root[] = {"/", NULL};
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_VERSION);
	struct ll_ruleset r = {0};
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	int fd;

	if (abi < 1) {
		limits = errno == EOPNOTSUPP ? "Landlock: switched off in this kernel"
		                             : "Landlock: not in this kernel";
		return;
	}
	r.fs = handled_by(abi);
	r.net = abi >= 4 ? 3 : 0;
	r.scoped = abi >= 6 ? 3 : 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	/* libbpf opens "/" to have a number that it can put another descriptor at. */
	if (read)
		allow_paths(fd, root, LL_LIST);
	allow_paths(fd, read, LL_READ);
	allow_paths(fd, write, r.fs & ~UINT64_C(1));
	limits = fd >= 0 && !syscall(SYS_landlock_restrict_self, fd, 0)
	             ? ""
	             : "Landlock: this kernel refused the rules";
	if (fd >= 0)
		close(fd);
}

/* What any C program with a heap and a socket needs. */
static const int common_calls[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(munmap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(mremap),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(fstat),
#if defined(__SANITIZE_ADDRESS__)
    SCMP_SYS(sigaltstack),
    SCMP_SYS(sched_yield),
    SCMP_SYS(readlink),
#endif
};

/* Memory yes, code no. */
static bool allow_memory(scmp_filter_ctx f)
{
	static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 1,
		                     SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) < 0)
			return false;
	return true;
}

static bool load_seccomp(uint32_t otherwise, const int *more, const int *answered)
{
	scmp_filter_ctx f = seccomp_init(otherwise);
	bool ok = f && allow_memory(f);

	for (size_t i = 0; ok && i < ARRAY_SIZE(common_calls); i++)
		ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, common_calls[i], 0) == 0;
	for (; ok && more && *more != -1; more++)
		ok = seccomp_rule_add(f, SCMP_ACT_ALLOW, *more, 0) == 0;
	for (; ok && answered && *answered != -1; answered++)
		ok = seccomp_rule_add(f, SCMP_ACT_ERRNO(0), *answered, 0) == 0;
	ok = ok && seccomp_load(f) == 0;
	if (f)
		seccomp_release(f);
	return ok;
}

static bool confine(const struct role *r)
{
	if (!set_limits(r) || !drop_ids() || !drop_caps() ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return false;
	/* setresuid has reset these two. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, r->stays ? 0 : SIGKILL) < 0)
		return false;
	landlock(NULL, NULL);
	return load_seccomp(SCMP_ACT_KILL_PROCESS, r->syscalls, r->answered);
}

static size_t count_fds(int *fds)
{
	size_t n = 0;

	while (n < ROLE_FDS_MAX && fcntl(ROLE_FD_FIRST + (int)n, F_GETFD) >= 0) {
		fds[n] = ROLE_FD_FIRST + (int)n;
		n++;
	}
	return n;
}

int role_main(const struct role *roles, const char *name)
{
	int fds[ROLE_FDS_MAX];

	for (; roles->name; roles++) {
		if (strcmp(roles->name, name))
			continue;
		size_t n = count_fds(fds);
		if (!confine(roles))
			_exit(ROLE_EXIT_SANDBOX);
		/* No exit handlers: they may do what is forbidden here. */
		_exit(roles->run(ROLE_FD_CHANNEL, fds, n));
	}
	return ROLE_EXIT_SANDBOX;
}

/* ---- a process that goes on as root with few rights ---- */

/* Everything but what is asked for leaves all sets, and the bounding set first. */
static bool keep_caps(const int *caps)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct had[2] = {0}, d[2] = {0};
	uint64_t keep = 0, have;

	for (; *caps != -1; caps++)
		keep |= UINT64_C(1) << *caps;
	if (syscall(SYS_capget, &h, had) < 0)
		return false;
	have = had[0].permitted | (uint64_t)had[1].permitted << 32;
	for (int cap = 0; cap <= 63; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap) == 1 &&
		    prctl(PR_CAPBSET_DROP, cap) < 0)
			return false;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	keep &= have;
	d[0].effective = d[0].permitted = (uint32_t)keep;
	d[1].effective = d[1].permitted = (uint32_t)(keep >> 32);
	return syscall(SYS_capset, &h, d) == 0;
}

int role_confine(const struct confinement *c, struct err *e)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	/* What is not in memory when it is needed may be on a disk that an enemy slows down.
	 * Without the right to raise the limit the capability to lock does as well. */
	(void)setrlimit(RLIMIT_MEMLOCK, &all);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		return err_set(e, -errno, "memory cannot be locked: %s", strerror(errno));
	if (!limit(RLIMIT_CORE, 0) || prctl(PR_SET_DUMPABLE, 0) < 0 || !keep_caps(c->caps) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, -EPERM, "rights that are not needed cannot be given up: %s",
		               strerror(errno));
	if (c->read)
		landlock(c->read, c->write);
	/* Refused and not killed: what dies of a call that is new to it guards nothing. */
	if (!load_seccomp(SCMP_ACT_ERRNO(EPERM), c->syscalls, NULL))
		return err_set(e, -EPERM, "seccomp cannot be set up");
	return 0;
}
