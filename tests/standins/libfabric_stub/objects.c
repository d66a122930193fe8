/* Fabric, domain, registrations, queues and tables: made, closed. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "stub.h"

static int close_plain(struct fid *fid)
{
	free(fid);
	return 0;
}

int no_bind(struct fid *fid, struct fid *other, uint64_t flags)
{
	(void) fid, (void) other, (void) flags;
	return -FI_ENOSYS;
}

int no_control(struct fid *fid, int command, void *argument)
{
	(void) fid, (void) command, (void) argument;
	return -FI_ENOSYS;
}

static struct fi_ops plain_operations = {
	.size = sizeof(struct fi_ops), .close = close_plain, .bind = no_bind, .control = no_control,
};

static int trywait(struct fid_fabric *fabric, struct fid **fids, int count)
{
	(void) fabric;
	for (int i = 0; i < count; i++)
		if (!is_empty((struct queue *) fids[i]))
			return -FI_EAGAIN;
	return 0;
}

static struct fi_ops_fabric fabric_operations = {
	.size = sizeof(struct fi_ops_fabric), .domain = open_domain, .trywait = trywait,
};

int fi_fabric(struct fi_fabric_attr *attr, struct fid_fabric **made, void *context)
{
	struct fid_fabric *fabric = calloc(1, sizeof *fabric);
	fabric->fid = (struct fid){FI_CLASS_FABRIC, context, &plain_operations};
	fabric->ops = &fabric_operations;
	fabric->api_version = attr->api_version;
	*made = fabric;
	return 0;
}

static int close_registration(struct fid *fid)
{
	struct registration *registration = (struct registration *) fid;
	struct domain *domain = registration->domain;
	for (int i = 0; i < MAX_REGIONS; i++)
		if (domain->regions[i].key == registration->fid.key)
			domain->regions[i].key = 0;
	if (domain->endpoint && domain->endpoint->segment)
		withdraw(domain->endpoint->segment, registration->fid.key);
	free(registration);
	return 0;
}

static struct fi_ops registration_operations = {
	.size = sizeof(struct fi_ops), .close = close_registration, .bind = no_bind, .control = no_control,
};

static int register_memory(struct fid *fid, const struct fi_mr_attr *attr, uint64_t flags, struct fid_mr **made)
{
	struct domain *domain = (struct domain *) fid;
	const struct stub_dmabuf *named = flags & STUB_MR_DMABUF ? (const struct stub_dmabuf *) attr->mr_iov : NULL;
	if (attr->iface == FI_HMEM_CUDA && !settings.hmem)
		return -FI_ENOSYS;
	if (named && (!settings.dmabuf || attr->iface != FI_HMEM_CUDA || fcntl(named->fd, F_GETFD) < 0))
		return -FI_EINVAL;
	for (int i = 0; i < MAX_REGIONS; i++) {
		struct region *region = &domain->regions[i];
		if (region->key)
			continue;
		struct registration *registration = calloc(1, sizeof *registration);
		registration->fid.fid = (struct fid){FI_CLASS_MR, attr->context, &registration_operations};
		registration->fid.mem_desc = registration;
		registration->fid.key = is_efa() ? ++domain->next_key : attr->requested_key;
		registration->domain = domain;
		region->address = (uint64_t) (named ? named->base_addr : attr->mr_iov->iov_base);
		region->bytes = named ? named->len : attr->mr_iov->iov_len;
		region->access = attr->access;
		region->key = registration->fid.key;
		if (domain->endpoint && domain->endpoint->segment)
			publish(domain->endpoint->segment, region);
		*made = &registration->fid;
		return 0;
	}
	return -FI_ENOMEM;
}

static struct fi_ops_mr memory_operations = {.size = sizeof(struct fi_ops_mr), .regattr = register_memory};

static struct fi_ops_domain domain_operations = {
	.size = sizeof(struct fi_ops_domain),
	.av_open = open_table,
	.cq_open = open_queue,
	.endpoint = open_endpoint,
};

int open_domain(struct fid_fabric *fabric, struct fi_info *info, struct fid_domain **made, void *context)
{
	(void) fabric;
	if (settings.bad_domain)
		return -FI_ENODEV;
	struct domain *domain = calloc(1, sizeof *domain);
	domain->fid.fid = (struct fid){FI_CLASS_DOMAIN, context, &plain_operations};
	domain->fid.ops = &domain_operations;
	domain->fid.mr = &memory_operations;
	domain->is_direct = !strcmp(info->fabric_attr->name, "efa-direct");
	domain->next_key = 0x1000;
	strncpy(domain->device, info->domain_attr->name, sizeof domain->device - 1);
	char *suffix = strrchr(domain->device, '-');
	if (suffix)
		*suffix = 0;
	/* A peer's stub copies to and from this process. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	*made = &domain->fid;
	return 0;
}

static int close_queue(struct fid *fid)
{
	struct queue *queue = (struct queue *) fid;
	if (queue->descriptor >= 0)
		close(queue->descriptor);
	free(queue);
	return 0;
}

static int control_queue(struct fid *fid, int command, void *argument)
{
	struct queue *queue = (struct queue *) fid;
	if (command != FI_GETWAIT || queue->descriptor < 0)
		return -FI_ENOSYS;
	*(int *) argument = queue->descriptor;
	return 0;
}

static struct fi_ops queue_object_operations = {
	.size = sizeof(struct fi_ops), .close = close_queue, .bind = no_bind, .control = control_queue,
};

int open_queue(struct fid_domain *domain, struct fi_cq_attr *attr, struct fid_cq **made, void *context)
{
	(void) domain;
	if (attr->format != FI_CQ_FORMAT_DATA)
		return -FI_ENOSYS;
	if (attr->wait_obj != FI_WAIT_NONE && (attr->wait_obj != FI_WAIT_FD || !settings.wait))
		return -FI_ENOSYS;
	struct queue *queue = calloc(1, sizeof *queue);
	queue->fid.fid = (struct fid){FI_CLASS_CQ, context, &queue_object_operations};
	queue->descriptor = attr->wait_obj == FI_WAIT_FD ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
	queue->fid.ops = &queue_operations;
	queue->random = settings.seed ^ 0xc0;
	pthread_mutex_init(&queue->lock, NULL);
	*made = &queue->fid;
	return 0;
}

static int insert(struct fid_av *av, const void *addresses, size_t count, fi_addr_t *indices, uint64_t flags, void *context)
{
	struct table *table = (struct table *) av;
	(void) flags, (void) context;
	for (size_t i = 0; i < count; i++) {
		if (table->count == MAX_PEERS)
			return (int) i;
		struct peer *peer = &table->peers[table->count];
		memcpy(peer->name, (const char *) addresses + i * NAME_BYTES, NAME_BYTES);
		peer->segment = map_segment(peer->name);
		if (!peer->segment)
			return (int) i;
		if (table->endpoint && table->endpoint->segment) {
			struct segment *own = table->endpoint->segment;
			memcpy(own->peers[own->peer_count], peer->name, NAME_BYTES);
			own->peer_count++;
		}
		indices[i] = table->count++;
	}
	return (int) count;
}

static struct fi_ops_av table_operations = {.size = sizeof(struct fi_ops_av), .insert = insert};

int open_table(struct fid_domain *domain, struct fi_av_attr *attr, struct fid_av **made, void *context)
{
	(void) domain, (void) attr;
	struct table *table = calloc(1, sizeof *table);
	table->fid.fid = (struct fid){FI_CLASS_AV, context, &plain_operations};
	table->fid.ops = &table_operations;
	*made = &table->fid;
	return 0;
}
