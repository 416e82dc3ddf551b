/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priv/seat.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys.h"

#define BACKLOG 8

/* By the namespace: two of them may share one file system. */
static int seat_path(struct sockaddr_un *ret, struct err *e)
{
	struct stat st;
	if (stat("/proc/thread-self/ns/net", &st) < 0)
		return err_set(e, -errno, "cannot tell which network namespace this is: %s",
		               strerror(errno));
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof ret->sun_path, SEAT_DIR "/guard-%llu",
	         (unsigned long long)st.st_ino);
	return 0;
}

static int packet_socket(int flags, struct err *e)
{
	int fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	return fd < 0 ? err_set(e, -errno, "a socket for the guard: %s", strerror(errno)) : fd;
}

int seat_peer(int fd, pid_t *ret_pid, uid_t *ret_uid)
{
	struct ucred c;
	socklen_t n = sizeof c;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0)
		return -errno;
	*ret_pid = c.pid;
	*ret_uid = c.uid;
	return 0;
}

int seat_send(int fd, enum seat_word w)
{
	struct seat_msg m = {.word = w};
	return send(fd, &m, sizeof m, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof m ? 0 : -EPIPE;
}

int seat_recv(int fd, struct seat_msg *ret)
{
	struct {
		struct seat_msg m;
		char more;
	} got;
	ssize_t n = recv(fd, &got, sizeof got, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
	if (n == 0)
		return 0;
	if (n != sizeof got.m || got.m.word >= _SEAT_WORD_MAX || got.m.value)
		return -EBADMSG;
	*ret = got.m;
	return 1;
}

/* A connection to whoever sits; -ENOENT: nobody does. */
static int reach(enum seat_word w, struct err *e)
{
	struct sockaddr_un at;
	pid_t pid;
	uid_t uid = (uid_t)-1;
	int r = seat_path(&at, e);
	int fd = r < 0 ? r : packet_socket(0, e);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
		r = errno == ENOENT || errno == ECONNREFUSED
		        ? err_set(e, -ENOENT, "no guard is running here")
		        : err_set(e, -errno, "reaching the guard: %s", strerror(errno));
	else if (seat_peer(fd, &pid, &uid) < 0 || (uid != 0 && uid != geteuid()))
		r = err_set(e, -EPERM, "what listens in the guard's place is not root's");
	else if (seat_send(fd, w) < 0)
		r = err_set(e, -EPIPE, "the guard hung up");
	if (r < 0)
		sys->close(fd);
	return r < 0 ? r : fd;
}

int seat_take(int *ret_listen, int *ret_other, struct err *e)
{
	struct sockaddr_un at;
	int other = reach(SEAT_WAIT, e);
	if (other >= 0) {
		*ret_other = other;
		return err_set(e, -EBUSY, "another guard holds the orders here");
	}
	if (other != -ENOENT)
		return other;
	int r = seat_path(&at, e);
	if (r == 0 && mkdir(SEAT_DIR, 0700) < 0 && errno != EEXIST)
		r = err_set(e, -errno, "cannot make " SEAT_DIR ": %s", strerror(errno));
	int fd = r < 0 ? r : packet_socket(SOCK_NONBLOCK, e);
	if (fd < 0)
		return fd;
	/* What a dead one left. Two that get here at once both listen, and the path is the last
	 * one's: both mend, and the kernel lets only one of them own. */
	(void)unlink(at.sun_path);
	mode_t mask = umask(077);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0)
		r = err_set(e, -errno, "listening at %s: %s", at.sun_path, strerror(errno));
	umask(mask);
	if (r < 0)
		sys->close(fd);
	else
		*ret_listen = fd;
	return r;
}

int seat_ask(int *ret_leave, struct err *e)
{
	struct seat_msg m;
	int fd = reach(SEAT_ASK, e);
	if (fd < 0)
		return fd;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n = sys->poll(&p, 1, SEAT_WAIT_MSEC);
	int r = n > 0 ? seat_recv(fd, &m) : -ETIMEDOUT;
	if (r == 1 && m.word == SEAT_GRANTED) {
		*ret_leave = fd;
		return 0;
	}
	pid_t pid = 0;
	uid_t uid;
	(void)seat_peer(fd, &pid, &uid);
	sys->close(fd);
	return err_set(e, -EBUSY,
	               "the guard (pid %d) holds these tables and does not let go of them; end it "
	               "(systemctl stop stanch-guard, or kill %d) and try again: what holds stays",
	               (int)pid, (int)pid);
}
