/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/rights.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <stddef.h>

#include "priv/role.h"
#include "priv/seat.h"

/* SYS_ADMIN: BPF programs by id, and the namespaces of containers. */
static const int caps[] = {CAP_NET_ADMIN, CAP_NET_RAW,         CAP_BPF,
                           CAP_PERFMON,   CAP_SYS_ADMIN,       CAP_SYS_PTRACE,
                           CAP_IPC_LOCK,  CAP_DAC_READ_SEARCH, -1};

/* No exec, no ptrace, no mount, no module, no kexec, no signal to others. */
static const int calls[] = {SCMP_SYS(readv),
                            SCMP_SYS(writev),
                            SCMP_SYS(pread64),
                            SCMP_SYS(pwrite64),
                            SCMP_SYS(open),
                            SCMP_SYS(openat),
                            SCMP_SYS(stat),
                            SCMP_SYS(lstat),
                            SCMP_SYS(newfstatat),
                            SCMP_SYS(statx),
                            SCMP_SYS(access),
                            SCMP_SYS(faccessat),
                            SCMP_SYS(faccessat2),
                            SCMP_SYS(fcntl),
                            SCMP_SYS(flock),
                            SCMP_SYS(fsync),
                            SCMP_SYS(fdatasync),
                            SCMP_SYS(ftruncate),
                            SCMP_SYS(fallocate),
                            SCMP_SYS(unlink),
                            SCMP_SYS(unlinkat),
                            SCMP_SYS(rename),
                            SCMP_SYS(renameat),
                            SCMP_SYS(renameat2),
                            SCMP_SYS(mkdir),
                            SCMP_SYS(mkdirat),
                            SCMP_SYS(rmdir),
                            SCMP_SYS(fchmod),
                            SCMP_SYS(chmod),
                            SCMP_SYS(fchown),
                            SCMP_SYS(umask),
                            SCMP_SYS(getcwd),
                            SCMP_SYS(getdents64),
                            SCMP_SYS(readlink),
                            SCMP_SYS(readlinkat),
                            SCMP_SYS(statfs),
                            SCMP_SYS(fstatfs),
                            SCMP_SYS(ioctl),
                            SCMP_SYS(dup),
                            SCMP_SYS(dup3),
                            SCMP_SYS(pipe2),
                            SCMP_SYS(socket),
                            SCMP_SYS(bind),
                            SCMP_SYS(connect),
                            SCMP_SYS(listen),
                            SCMP_SYS(accept4),
                            SCMP_SYS(sendto),
                            SCMP_SYS(recvfrom),
                            SCMP_SYS(setsockopt),
                            SCMP_SYS(getsockopt),
                            SCMP_SYS(getsockname),
                            SCMP_SYS(getpeername),
                            SCMP_SYS(bpf),
                            SCMP_SYS(setns),
                            SCMP_SYS(pidfd_open),
                            SCMP_SYS(clone),
                            SCMP_SYS(clone3),
                            SCMP_SYS(set_robust_list),
                            SCMP_SYS(rseq),
                            SCMP_SYS(sched_yield),
                            SCMP_SYS(sched_getaffinity),
                            SCMP_SYS(nanosleep),
                            SCMP_SYS(clock_nanosleep),
                            SCMP_SYS(rt_sigaction),
                            SCMP_SYS(sigaltstack),
                            SCMP_SYS(geteuid),
                            SCMP_SYS(getuid),
                            SCMP_SYS(getegid),
                            SCMP_SYS(getgid),
                            SCMP_SYS(capget),
                            SCMP_SYS(prlimit64),
                            SCMP_SYS(getrlimit),
                            SCMP_SYS(uname),
                            SCMP_SYS(sysinfo),
                            SCMP_SYS(mlock),
                            SCMP_SYS(munlock),
                            SCMP_SYS(msync),
                            SCMP_SYS(tgkill),
                            -1};

int rights_drop(const char *state_dir, struct err *e)
{
	static const char *const read[] = {"/proc", "/sys", "/etc", NULL};
	const char *const write[] = {state_dir, SEAT_DIR, "/sys/fs/bpf", NULL};
	const struct confinement c = {
	    .caps = caps, .read = read, .write = write, .syscalls = calls};
	return role_confine(&c, e);
}
