/* Endpoints: options, bindings, addresses, receives. */
#include <stdlib.h>
#include <string.h>

#include "stub.h"

static struct endpoint *of(struct fid *fid)
{
	return (struct endpoint *) fid;
}

static int close_endpoint(struct fid *fid)
{
	struct endpoint *endpoint = of(fid);
	if (endpoint->has_mover) {
		pthread_mutex_lock(&endpoint->lock);
		endpoint->is_closing = true;
		pthread_cond_signal(&endpoint->has_rung);
		pthread_mutex_unlock(&endpoint->lock);
		pthread_join(endpoint->mover, NULL);
	}
	if (endpoint->transmit)
		endpoint->transmit->receiver = NULL;
	endpoint->domain->endpoint = NULL;
	drop_segment(endpoint);
	free(endpoint);
	return 0;
}

static int bind_endpoint(struct fid *fid, struct fid *other, uint64_t flags)
{
	struct endpoint *endpoint = of(fid);
	(void) flags;
	switch (other->fclass) {
	case FI_CLASS_CQ:
		endpoint->transmit = (struct queue *) other;
		endpoint->transmit->receiver = endpoint;
		return 0;
	case FI_CLASS_AV:
		endpoint->table = (struct table *) other;
		endpoint->table->endpoint = endpoint;
		return 0;
	default:
		return -FI_EINVAL;
	}
}

static int enable(struct endpoint *endpoint)
{
	if (!endpoint->transmit || !endpoint->table)
		return -FI_ENOCQ;
	for (int i = 0; i < MAX_REGIONS; i++)
		if (endpoint->domain->regions[i].key)
			publish(endpoint->segment, &endpoint->domain->regions[i]);
	endpoint->is_enabled = true;
	if (settings.mover)
		endpoint->has_mover = !pthread_create(&endpoint->mover, NULL, keep_moving, endpoint);
	return 0;
}

static int control_endpoint(struct fid *fid, int command, void *argument)
{
	(void) argument;
	return command == FI_ENABLE ? enable(of(fid)) : -FI_ENOSYS;
}

static struct fi_ops operations = {
	.size = sizeof(struct fi_ops),
	.close = close_endpoint,
	.bind = bind_endpoint,
	.control = control_endpoint,
};

static int getopt_endpoint(struct fid *fid, int level, int name, void *value, size_t *bytes)
{
	struct endpoint *endpoint = of(fid);
	size_t size = 0;
	bool flag = false;
	if (level != FI_OPT_ENDPOINT)
		return -FI_ENOPROTOOPT;
	switch (name) {
	case STUB_OPT_MAX_RMA_SIZE:
		size = settings.max_rma;
		break;
	case STUB_OPT_MAX_MSG_SIZE:
		size = endpoint->is_direct ? 8760 : settings.max_rma;
		break;
	case STUB_OPT_EFA_EMULATED_READ:
	case STUB_OPT_EFA_EMULATED_WRITE:
		if (!is_efa() || *bytes < sizeof flag)
			return -FI_ENOPROTOOPT;
		flag = settings.emulated;
		memcpy(value, &flag, *bytes = sizeof flag);
		return 0;
	default:
		return -FI_ENOPROTOOPT;
	}
	if (*bytes < sizeof size)
		return -FI_ETOOSMALL;
	memcpy(value, &size, *bytes = sizeof size);
	return 0;
}

static int setopt_endpoint(struct fid *fid, int level, int name, const void *value, size_t bytes)
{
	struct endpoint *endpoint = of(fid);
	if (level != FI_OPT_ENDPOINT || !is_efa())
		return -FI_ENOPROTOOPT;
	switch (name) {
	case STUB_OPT_EFA_RNR_RETRY:
		return bytes != sizeof(size_t) || endpoint->is_enabled ? -FI_EINVAL : 0;
	case STUB_OPT_CUDA_API_PERMITTED:
	case STUB_OPT_SHARED_MEMORY_PERMITTED:
	case STUB_OPT_EFA_HOMOGENEOUS_PEERS:
		return bytes != sizeof(bool) ? -FI_EINVAL : 0;
	case STUB_OPT_EFA_USE_UNSOLICITED_WRITE_RECV:
		if (bytes != sizeof(bool))
			return -FI_EINVAL;
		return endpoint->is_direct && !endpoint->segment->wants_receives && !*(const bool *) value
			       ? -FI_EOPNOTSUPP
			       : 0;
	default:
		return -FI_ENOPROTOOPT;
	}
}

static struct fi_ops_ep endpoint_operations = {
	.size = sizeof(struct fi_ops_ep), .getopt = getopt_endpoint, .setopt = setopt_endpoint,
};

static int getname_endpoint(struct fid *fid, void *address, size_t *bytes)
{
	struct endpoint *endpoint = of(fid);
	if (!endpoint->is_enabled)
		return -FI_EOPBADSTATE;
	size_t room = *bytes;
	*bytes = NAME_BYTES;
	if (room < NAME_BYTES)
		return -FI_ETOOSMALL;
	memcpy(address, endpoint->name, NAME_BYTES);
	return 0;
}

static struct fi_ops_cm name_operations = {.size = sizeof(struct fi_ops_cm), .getname = getname_endpoint};

static ssize_t receive(struct fid_ep *ep, void *buffer, size_t bytes, void *desc, fi_addr_t from, void *context)
{
	struct endpoint *endpoint = of(&ep->fid);
	(void) buffer, (void) bytes, (void) from;
	if (endpoint->is_direct && (!desc || !context))
		return -FI_EINVAL;
	if (endpoint->receive_count == MAX_RECEIVES)
		return -FI_EAGAIN;
	endpoint->receives[(endpoint->first_receive + endpoint->receive_count++) % MAX_RECEIVES] = context;
	endpoint->segment->receives++;
	return 0;
}

/* The context of the receive that immediate data used. */
void *take_receive(struct endpoint *endpoint)
{
	if (!endpoint->receive_count)
		return NULL;
	endpoint->receive_count--;
	return endpoint->receives[endpoint->first_receive++ % MAX_RECEIVES];
}

static struct fi_ops_msg message_operations = {.size = sizeof(struct fi_ops_msg), .recv = receive};

int open_endpoint(struct fid_domain *fid, struct fi_info *info, struct fid_ep **made, void *context)
{
	struct endpoint *endpoint = calloc(1, sizeof *endpoint);
	endpoint->fid.fid = (struct fid){FI_CLASS_EP, context, &operations};
	endpoint->fid.ops = &endpoint_operations;
	endpoint->fid.cm = &name_operations;
	endpoint->fid.msg = &message_operations;
	endpoint->fid.rma = &moving_operations;
	endpoint->domain = (struct domain *) fid;
	endpoint->is_direct = endpoint->domain->is_direct;
	endpoint->staged_end = &endpoint->staged;
	endpoint->rung_end = &endpoint->rung;
	endpoint->random = settings.seed;
	pthread_mutex_init(&endpoint->lock, NULL);
	pthread_cond_init(&endpoint->has_rung, NULL);
	endpoint->segment = make_segment(endpoint);
	if (!endpoint->segment) {
		free(endpoint);
		return -FI_ENOMEM;
	}
	endpoint->segment->wants_receives = endpoint->is_direct && info->mode & FI_RX_CQ_DATA ? 1 : 0;
	endpoint->domain->endpoint = endpoint;
	*made = &endpoint->fid;
	return 0;
}
