/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every text of /proc through every reader: what comes out is bounded and terminated, and a number
 * that was read prints back to digits that stand in the input. */
#include <stdlib.h>
#include <string.h>

#include "wire/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ends(const char *s, size_t n)
{
	if (!memchr(s, 0, n))
		abort();
}

static void one_line(const char *line, size_t n)
{
	struct procfs_inet inet;
	struct procfs_packet packet;
	char point[PROCFS_POINT_MAX], text[ENDPOINT_STR_MAX];
	uint64_t id = 1;

	if (procfs_inet(line, n, &inet)) {
		ends(endpoint_str(&inet.local, text), sizeof(text));
		if (!inet.local.addr.family || !inet.peer.addr.family)
			abort();
	}
	if (procfs_packet(line, n, &packet) && packet.ifindex < 0)
		abort();
	if (procfs_mount_point(line, n, point))
		ends(point, sizeof(point));
	(void)procfs_mount_is(line, n, "proc");
	if (procfs_fd(line, n, &id) == PROCFS_FD_OTHER && id)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size ? size : 1); /* exact, so that a read past it is seen */
	const char *at = copy, *line;
	struct procfs_status status;
	struct procfs_stat st;
	size_t left = size, n, sum = 0;
	uint64_t index;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (procfs_stat(copy, size, &st)) {
		ends(st.comm, sizeof(st.comm));
		if (st.pid <= 0)
			abort();
	}
	(void)procfs_status(copy, size, &status);
	(void)procfs_tty_index(copy, size, &index);
	while (procfs_line(&at, &left, &line, &n)) {
		sum += n;
		one_line(line, n);
	}
	if (sum > size)
		abort();
	free(copy);
	return 0;
}
