/* Posts: staged until the doorbell, then placed when they are due, in order or not. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stub.h"

static void append(struct operation ***end, struct operation *operation)
{
	operation->next = NULL;
	**end = operation;
	*end = &operation->next;
}

static uint64_t due_after(struct endpoint *endpoint, const struct operation *operation)
{
	uint64_t due = now_ns();
	if (!operation->completes_late)
		due += settings.hold_us * UINT64_C(1000);
	if (settings.delay_us)
		due += next_random(&endpoint->random) % (settings.delay_us * UINT64_C(1000));
	if (keeps_order() && due < endpoint->last_due_ns)
		due = endpoint->last_due_ns;
	return endpoint->last_due_ns = due;
}

static void release(struct endpoint *endpoint, struct operation *operation)
{
	operation->next = endpoint->unused;
	endpoint->unused = operation;
}

static void ring(struct endpoint *endpoint)
{
	while (endpoint->staged) {
		struct operation *operation = endpoint->staged;
		endpoint->staged = operation->next;
		operation->due_ns = due_after(endpoint, operation);
		append(&endpoint->rung_end, operation);
		if (!operation->completes_late && !operation->is_lost && !operation->fails) {
			endpoint->outstanding--;
			complete(endpoint->transmit, operation);
		}
	}
	endpoint->staged_end = &endpoint->staged;
	pthread_cond_signal(&endpoint->has_rung);
}

/* Unlinks an operation that is due; the first, or any of the first few. */
static struct operation *take_due(struct endpoint *endpoint)
{
	uint64_t now = now_ns(), skip = settings.reorder && !keeps_order() ? next_random(&endpoint->random) % 8 : 0;
	struct operation **chosen = NULL;
	for (struct operation **at = &endpoint->rung; *at; at = &(*at)->next) {
		if ((*at)->due_ns <= now) {
			chosen = at;
			if (!skip--)
				break;
		}
		if (keeps_order())
			break;
	}
	if (!chosen)
		return NULL;
	struct operation *operation = *chosen;
	*chosen = operation->next;
	if (endpoint->rung_end == &operation->next)
		endpoint->rung_end = chosen;
	return operation;
}

static void put_back(struct endpoint *endpoint, struct operation *operation)
{
	operation->due_ns = now_ns() + 200000;
	operation->next = endpoint->rung;
	if (!endpoint->rung)
		endpoint->rung_end = &operation->next;
	endpoint->rung = operation;
}

void move_due(struct endpoint *endpoint)
{
	struct operation *operation;
	pthread_mutex_lock(&endpoint->lock);
	while ((operation = take_due(endpoint))) {
		pthread_mutex_unlock(&endpoint->lock);
		enum outcome outcome = operation->fails ? GONE : place(endpoint, operation);
		pthread_mutex_lock(&endpoint->lock);
		if (outcome == LATER) {
			put_back(endpoint, operation);
			break;
		}
		if (operation->fails)
			fail(endpoint->transmit, operation, FI_EIO, 1);
		else if (outcome != PLACED)
			fail(endpoint->transmit, operation, FI_EACCES, (int) outcome);
		else if (operation->completes_late && !operation->is_lost) {
			endpoint->outstanding--;
			complete(endpoint->transmit, operation);
		}
		release(endpoint, operation);
	}
	pthread_mutex_unlock(&endpoint->lock);
}

void *keep_moving(void *argument)
{
	struct endpoint *endpoint = argument;
	const struct timespec pause = {.tv_nsec = 20000};
	for (;;) {
		pthread_mutex_lock(&endpoint->lock);
		while (!endpoint->rung && !endpoint->is_closing)
			pthread_cond_wait(&endpoint->has_rung, &endpoint->lock);
		bool ends = endpoint->is_closing;
		pthread_mutex_unlock(&endpoint->lock);
		if (ends)
			return NULL;
		move_due(endpoint);
		nanosleep(&pause, NULL);
	}
}

static ssize_t refuse_or_take(struct endpoint *endpoint, const struct fi_msg_rma *msg, uint64_t flags, bool is_read)
{
	uint64_t bytes = 0;
	if (msg->iov_count > settings.iov || msg->rma_iov_count > (is_efa() ? 1 : settings.iov))
		return -FI_EINVAL;
	for (size_t i = 0; i < msg->iov_count; i++) {
		bytes += msg->msg_iov[i].iov_len;
		if (endpoint->is_direct && (!msg->desc || !msg->desc[i]))
			return -FI_EINVAL;
	}
	if (bytes > settings.max_rma)
		return -FI_EMSGSIZE;
	if (msg->addr >= endpoint->table->count || (endpoint->is_direct && !msg->context))
		return -FI_EINVAL;
	if (endpoint->outstanding >= settings.depth)
		return -FI_EAGAIN;
	if (settings.eagain_ppm && next_random(&endpoint->random) % 1000000 < settings.eagain_ppm)
		return -FI_EAGAIN;
	struct operation *operation = endpoint->unused;
	if (operation)
		endpoint->unused = operation->next;
	else
		operation = malloc(sizeof *operation);
	*operation = (struct operation){
		.is_read = is_read,
		.has_data = flags & FI_REMOTE_CQ_DATA,
		.completes_late = is_read || flags & FI_DELIVERY_COMPLETE,
		.context = msg->context,
		.data = msg->data,
		.bytes = bytes,
		.local_count = msg->iov_count,
		.remote_count = msg->rma_iov_count,
		.peer = &endpoint->table->peers[msg->addr],
	};
	memcpy(operation->local, msg->msg_iov, msg->iov_count * sizeof *msg->msg_iov);
	memcpy(operation->remote, msg->rma_iov, msg->rma_iov_count * sizeof *msg->rma_iov);
	endpoint->outstanding++;
	endpoint->posted++;
	operation->fails = endpoint->posted == settings.fail_at;
	operation->is_lost = endpoint->posted == settings.drop_at;
	/* Notices carry immediate data, and always arrive. */
	operation->is_idle = settings.moves && endpoint->posted > settings.moves && !operation->has_data;
	append(&endpoint->staged_end, operation);
	if (!(flags & FI_MORE) || !settings.doorbell)
		ring(endpoint);
	return 0;
}

static ssize_t post(struct fid_ep *ep, const struct fi_msg_rma *msg, uint64_t flags, bool is_read)
{
	struct endpoint *endpoint = (struct endpoint *) ep;
	pthread_mutex_lock(&endpoint->lock);
	ssize_t result = refuse_or_take(endpoint, msg, flags, is_read);
	pthread_mutex_unlock(&endpoint->lock);
	return result;
}

static ssize_t post_read(struct fid_ep *ep, const struct fi_msg_rma *msg, uint64_t flags)
{
	return post(ep, msg, flags, true);
}

static ssize_t post_write(struct fid_ep *ep, const struct fi_msg_rma *msg, uint64_t flags)
{
	return post(ep, msg, flags, false);
}

struct fi_ops_rma moving_operations = {
	.size = sizeof(struct fi_ops_rma), .readmsg = post_read, .writemsg = post_write,
};
