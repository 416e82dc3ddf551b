/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/sys.h"

struct notify notify_open(const char *socket_name, const char *usec)
{
	struct notify n = {.fd = -1};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = socket_name ? strlen(socket_name) : 0;
	if (len < 2 || len >= sizeof at.sun_path || !strchr("/@", socket_name[0]))
		return n;
	memcpy(at.sun_path, socket_name, len);
	if (at.sun_path[0] == '@')
		at.sun_path[0] = '\0';
	int fd = sys->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return n;
	if (connect(fd, (struct sockaddr *)&at,
	            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		sys->close(fd);
		return n;
	}
	n.fd = fd;
	n.watchdog = usec ? strtoull(usec, NULL, 10) : 0;
	return n;
}

void notify_say(const struct notify *n, const char *text)
{
	if (n->fd >= 0)
		(void)send(n->fd, text, strlen(text), MSG_NOSIGNAL);
}
