/* What an endpoint shows its peers: a file in the library's folder, mapped by both. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stub.h"

static struct segment *map(const char *path, int flags)
{
	int file = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (file < 0)
		return NULL;
	void *mapped = MAP_FAILED;
	if (!(flags & O_CREAT) || !ftruncate(file, sizeof(struct segment)))
		mapped = mmap(NULL, sizeof(struct segment), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	return mapped == MAP_FAILED ? NULL : mapped;
}

struct segment *make_segment(struct endpoint *endpoint)
{
	static _Atomic unsigned number;
	snprintf(endpoint->name, sizeof endpoint->name, "segment.%d.%u", getpid(), number++);
	snprintf(endpoint->path, sizeof endpoint->path, "%s/%s", settings.folder, endpoint->name);
	struct segment *segment = map(endpoint->path, O_CREAT | O_EXCL);
	if (segment) {
		segment->pid = getpid();
		segment->is_open = 1;
	}
	return segment;
}

struct segment *map_segment(const char *name)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%.31s", settings.folder, name);
	return map(path, 0);
}

void drop_segment(struct endpoint *endpoint)
{
	if (!endpoint->segment)
		return;
	endpoint->segment->is_open = 0;
	unlink(endpoint->path);
	munmap(endpoint->segment, sizeof *endpoint->segment);
	endpoint->segment = NULL;
}

bool knows(struct segment *segment, const char *name)
{
	for (unsigned i = 0; i < segment->peer_count; i++)
		if (!strcmp(segment->peers[i], name))
			return true;
	return false;
}

void publish(struct segment *segment, const struct region *region)
{
	for (int i = 0; i < MAX_REGIONS; i++)
		if (!segment->regions[i].key) {
			segment->regions[i].address = region->address;
			segment->regions[i].bytes = region->bytes;
			segment->regions[i].access = region->access;
			segment->regions[i].key = region->key;
			return;
		}
}

void withdraw(struct segment *segment, uint64_t key)
{
	for (int i = 0; i < MAX_REGIONS; i++)
		if (segment->regions[i].key == key)
			segment->regions[i].key = 0;
}

/* The region that holds all of a remote piece and permits the access, or nothing. */
const struct region *look_up(struct segment *segment, const struct fi_rma_iov *piece, uint64_t access)
{
	for (int i = 0; i < MAX_REGIONS; i++) {
		const struct region *region = &segment->regions[i];
		uint64_t offset = is_efa() ? piece->addr - region->address : piece->addr;
		if (region->key == piece->key && region->access & access && offset <= region->bytes &&
		    piece->len <= region->bytes - offset)
			return region;
	}
	return NULL;
}

void arrive(struct segment *segment, uint64_t data, uint64_t bytes)
{
	while (atomic_flag_test_and_set(&segment->lock))
		;
	segment->arrivals[segment->arrived % MAX_ARRIVALS] = (struct arrival){data, bytes};
	segment->arrived++;
	atomic_flag_clear(&segment->lock);
}

bool take_arrival(struct segment *segment, struct arrival *arrival)
{
	if (segment->taken == segment->arrived)
		return false;
	*arrival = segment->arrivals[segment->taken % MAX_ARRIVALS];
	segment->taken++;
	return true;
}
