/* Completion queues: local completions in any order if so set, then what arrived from peers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stub.h"

static struct queue *of(struct fid_cq *cq)
{
	return (struct queue *) cq;
}

static void wake(struct queue *queue)
{
	uint64_t one = 1;
	if (queue->descriptor >= 0 && write(queue->descriptor, &one, sizeof one) < 0)
		return; /* It is readable already. */
}

/* Whether a thread may sleep on the descriptor, which is not readable any more. */
bool is_empty(struct queue *queue)
{
	uint64_t count;
	if (queue->descriptor >= 0 && read(queue->descriptor, &count, sizeof count) < 0)
		count = 0;
	pthread_mutex_lock(&queue->lock);
	bool empty = !queue->count && !queue->error.err;
	pthread_mutex_unlock(&queue->lock);
	struct segment *segment = queue->receiver ? queue->receiver->segment : NULL;
	return empty && (!segment || segment->taken == segment->arrived);
}

void complete(struct queue *queue, struct operation *operation)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->count == MAX_DEPTH)
		abort();
	queue->entries[(queue->first + queue->count++) % MAX_DEPTH] = (struct fi_cq_data_entry){
		.op_context = operation->context,
		.flags = FI_RMA | (operation->is_read ? FI_READ : FI_WRITE),
		.len = operation->bytes,
	};
	pthread_mutex_unlock(&queue->lock);
	wake(queue);
}

void fail(struct queue *queue, struct operation *operation, int error, int provider_error)
{
	pthread_mutex_lock(&queue->lock);
	if (!queue->error.err) {
		queue->error.op_context = operation->context;
		queue->error.err = error;
		queue->error.prov_errno = provider_error;
	}
	pthread_mutex_unlock(&queue->lock);
	wake(queue);
}

static void take(struct queue *queue, struct fi_cq_data_entry *entry)
{
	if (settings.reorder) {
		size_t other = (queue->first + next_random(&queue->random) % queue->count) % MAX_DEPTH;
		struct fi_cq_data_entry held = queue->entries[queue->first];
		queue->entries[queue->first] = queue->entries[other];
		queue->entries[other] = held;
	}
	*entry = queue->entries[queue->first];
	queue->first = (queue->first + 1) % MAX_DEPTH;
	queue->count--;
}

static ssize_t read_queue(struct fid_cq *cq, void *buffer, size_t count)
{
	struct queue *queue = of(cq);
	struct fi_cq_data_entry *entries = buffer;
	struct endpoint *receiver = queue->receiver;
	struct arrival arrival;
	size_t taken = 0;
	if (receiver && receiver->segment)
		receiver->segment->read_at_ns = now_ns();
	if (receiver && !settings.mover)
		move_due(receiver);
	pthread_mutex_lock(&queue->lock);
	if (queue->error.err) {
		pthread_mutex_unlock(&queue->lock);
		return -FI_EAVAIL;
	}
	while (taken < count && queue->count)
		take(queue, &entries[taken++]);
	pthread_mutex_unlock(&queue->lock);
	while (taken < count && receiver && receiver->segment && take_arrival(receiver->segment, &arrival))
		entries[taken++] = (struct fi_cq_data_entry){
			.op_context = receiver->segment->wants_receives ? take_receive(receiver) : NULL,
			.flags = FI_RMA | FI_REMOTE_WRITE | FI_REMOTE_CQ_DATA,
			.len = arrival.bytes,
			.data = arrival.data,
		};
	return taken ? (ssize_t) taken : -FI_EAGAIN;
}

static ssize_t read_waiting(struct fid_cq *cq, void *buffer, size_t count, const void *condition, int timeout)
{
	(void) condition;
	if (!settings.sread || of(cq)->descriptor < 0)
		return -FI_ENOSYS;
	uint64_t end = now_ns() + (uint64_t) timeout * 1000000u;
	for (;;) {
		ssize_t found = read_queue(cq, buffer, count);
		if (found != -FI_EAGAIN || now_ns() >= end)
			return found;
		usleep(20);
	}
}

static ssize_t read_error(struct fid_cq *cq, struct fi_cq_err_entry *entry, uint64_t flags)
{
	struct queue *queue = of(cq);
	(void) flags;
	pthread_mutex_lock(&queue->lock);
	bool has_failed = queue->error.err;
	*entry = queue->error;
	memset(&queue->error, 0, sizeof queue->error);
	pthread_mutex_unlock(&queue->lock);
	return has_failed ? 1 : -FI_EAGAIN;
}

static const char *describe_error(struct fid_cq *cq, int provider_error, const void *data, char *buffer, size_t bytes)
{
	static const char *const WORDS[] = {
		"no error", "told to fail", "the target does not know the initiator",
		"the target has no such key or range", "the target is gone",
	};
	(void) cq, (void) data, (void) buffer, (void) bytes;
	return provider_error >= 0 && provider_error < (int) (sizeof WORDS / sizeof *WORDS) ? WORDS[provider_error]
											     : "unknown";
}

struct fi_ops_cq queue_operations = {
	.size = sizeof(struct fi_ops_cq),
	.read = read_queue,
	.readerr = read_error,
	.sread = read_waiting,
	.strerror = describe_error,
};
