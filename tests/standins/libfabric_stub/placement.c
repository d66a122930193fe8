/* Putting one operation's bytes into their place, in this process or another. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "stub.h"

/* How long ago the target may have read its queue, where only that makes progress. */
#define PROGRESS_NS 5000000u

/* Adds to a counter as the driver shows it. */
static void count_bytes(const char *device, const char *counter, uint64_t bytes)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char path[1024];
	unsigned long long value = 0;
	if (!*settings.counters)
		return;
	snprintf(path, sizeof path, "%s/%s/ports/1/hw_counters/%s", settings.counters, device, counter);
	pthread_mutex_lock(&lock);
	FILE *file = fopen(path, "r+");
	if (file) {
		if (fscanf(file, "%llu", &value) != 1)
			value = 0;
		rewind(file);
		fprintf(file, "%llu\n", value + bytes);
		fclose(file);
	}
	pthread_mutex_unlock(&lock);
}

static bool copy(struct operation *operation, pid_t pid, const struct iovec *remote)
{
	ssize_t copied = operation->is_read
				 ? process_vm_readv(pid, operation->local, operation->local_count, remote,
						    operation->remote_count, 0)
				 : process_vm_writev(pid, operation->local, operation->local_count, remote,
						     operation->remote_count, 0);
	return copied == (ssize_t) operation->bytes;
}

enum outcome place(struct endpoint *endpoint, struct operation *operation)
{
	struct segment *target = operation->peer->segment;
	struct iovec remote[MAX_PIECES];
	if (!target->is_open)
		return GONE;
	if (settings.manual && now_ns() - target->read_at_ns > PROGRESS_NS)
		return LATER;
	if (operation->has_data && target->wants_receives && target->receives <= 0)
		return LATER;
	if (endpoint->is_direct && !knows(target, endpoint->name))
		return REFUSED_ADDRESS;
	for (size_t i = 0; i < operation->remote_count; i++) {
		const struct fi_rma_iov *piece = &operation->remote[i];
		const struct region *region =
			look_up(target, piece, operation->is_read ? FI_REMOTE_READ : FI_REMOTE_WRITE);
		if (!region)
			return REFUSED_KEY;
		uint64_t address = is_efa() ? piece->addr : region->address + piece->addr;
		remote[i] = (struct iovec){(void *) address, piece->len};
	}
	if (!operation->is_idle && !copy(operation, target->pid, remote))
		return GONE;
	const char *counter = settings.emulated ? (operation->is_read ? "rx_bytes" : "tx_bytes")
						: (operation->is_read ? "rdma_read_bytes" : "rdma_write_bytes");
	count_bytes(endpoint->domain->device, counter, operation->bytes);
	if (operation->has_data) {
		if (target->wants_receives)
			target->receives--;
		arrive(target, operation->data, operation->bytes);
	}
	return PLACED;
}
