/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs every file of a corpus directory through a fuzz target once. It must not crash. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1u << 20)

static int replay(const char *dir, const char *name)
{
	char path[4096];
	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
		return -1;
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = malloc(INPUT_MAX);
	int r = f && bytes ? 0 : -1;
	if (r == 0) {
		size_t n = fread(bytes, 1, INPUT_MAX, f);
		LLVMFuzzerTestOneInput(bytes, n);
	} else {
		perror(path);
	}
	free(bytes);
	if (f)
		fclose(f);
	return r;
}

int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	unsigned n = 0;
	int r = 0;
	if (!d) {
		fprintf(stderr, "usage: replay DIRECTORY\n");
		return 2;
	}
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		r = replay(argv[1], e->d_name);
		n++;
	}
	closedir(d);
	printf("%u inputs\n", n);
	return r < 0 || !n;
}
