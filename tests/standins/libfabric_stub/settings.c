/* The behaviour, from the file beside the library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stub.h"

struct settings settings = {
	.provider = "efa",
	.version = FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION),
	.devices = 1,
	.direct = 1,
	.unsolicited = 1,
	.depth = 256,
	.iov = 1,
	.max_rma = 1 << 20,
	.seed = 1,
	.doorbell = 1,
	.wait = 1,
	.sread = 1,
	.mover = 1,
	.dmabuf = 1,
};

static const struct {
	const char *key;
	unsigned *value;
} NUMBERS[] = {
	{"devices", &settings.devices},       {"direct", &settings.direct},
	{"unsolicited", &settings.unsolicited}, {"emulated", &settings.emulated},
	{"depth", &settings.depth},           {"told_depth", &settings.told_depth},
	{"iov", &settings.iov},               {"reorder", &settings.reorder},
	{"delay_us", &settings.delay_us},     {"hold_us", &settings.hold_us},
	{"doorbell", &settings.doorbell},     {"eagain_ppm", &settings.eagain_ppm},
	{"fail_at", &settings.fail_at},       {"drop_at", &settings.drop_at},
	{"moves", &settings.moves},           {"bad_domain", &settings.bad_domain},
	{"manual", &settings.manual},         {"wait", &settings.wait},
	{"mover", &settings.mover},           {"hang", &settings.hang},
	{"sread", &settings.sread},           {"hmem", &settings.hmem},
	{"dmabuf", &settings.dmabuf},
};

static void refuse(const char *line)
{
	fprintf(stderr, "libfabric stub: found the setting `%s`, expected a known key and its value\n", line);
	abort();
}

static void set(const char *line)
{
	char key[64], value[400];
	if (sscanf(line, "%63s %399s", key, value) != 2)
		refuse(line);
	if (!strcmp(key, "provider")) {
		snprintf(settings.provider, sizeof settings.provider, "%.31s", value);
		return;
	}
	if (!strcmp(key, "counters")) {
		snprintf(settings.counters, sizeof settings.counters, "%s", value);
		return;
	}
	if (!strcmp(key, "version")) {
		unsigned major, minor;
		if (sscanf(value, "%u.%u", &major, &minor) != 2)
			refuse(line);
		settings.version = FI_VERSION(major, minor);
		return;
	}
	if (!strcmp(key, "max_rma")) {
		settings.max_rma = strtoull(value, NULL, 10);
		return;
	}
	if (!strcmp(key, "seed")) {
		settings.seed = strtoull(value, NULL, 10);
		return;
	}
	for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
		if (!strcmp(key, NUMBERS[i].key)) {
			*NUMBERS[i].value = strtoul(value, NULL, 10);
			return;
		}
	refuse(line);
}

__attribute__((constructor)) static void read_settings(void)
{
	Dl_info found;
	char path[512], line[512];
	if (!dladdr((void *) read_settings, &found))
		return;
	snprintf(settings.folder, sizeof settings.folder, "%s", found.dli_fname);
	snprintf(path, sizeof path, "%s.conf", settings.folder);
	char *slash = strrchr(settings.folder, '/');
	if (slash)
		*slash = 0;
	FILE *file = fopen(path, "r");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			set(line);
	}
	fclose(file);
	if (settings.iov > MAX_PIECES)
		settings.iov = MAX_PIECES;
	if (settings.depth > MAX_DEPTH / 2)
		settings.depth = MAX_DEPTH / 2;
}

uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

uint64_t next_random(uint64_t *state)
{
	uint64_t value = *state += 0x9e3779b97f4a7c15u;
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}
