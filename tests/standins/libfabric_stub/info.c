/* fi_getinfo and what it gives out. */
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include "stub.h"

#define CAPS (FI_MSG | FI_RMA | FI_READ | FI_WRITE | FI_SEND | FI_RECV | FI_REMOTE_READ | FI_REMOTE_WRITE | \
	      FI_LOCAL_COMM | FI_REMOTE_COMM)

bool is_efa(void)
{
	return !strcmp(settings.provider, "efa");
}

bool keeps_order(void)
{
	return !strncmp(settings.provider, "tcp", 3);
}

uint32_t fi_version(void)
{
	return settings.version;
}

const char *fi_strerror(int number)
{
	static char unknown[32];
	number = abs(number);
	if (number < FI_ERRNO_OFFSET)
		return strerror(number);
	if (number == FI_EAVAIL)
		return "Error available";
	snprintf(unknown, sizeof unknown, "stub error %d", number);
	return unknown;
}

static char *copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

struct fi_info *fi_dupinfo(const struct fi_info *from)
{
	struct fi_info *info = calloc(1, sizeof *info);
	if (from)
		*info = *from;
	info->next = NULL;
#define COPY(attr)                                                  \
	do {                                                        \
		info->attr = calloc(1, sizeof *info->attr);         \
		if (from && from->attr)                             \
			*info->attr = *from->attr;                  \
	} while (0)
	COPY(tx_attr);
	COPY(rx_attr);
	COPY(ep_attr);
	COPY(domain_attr);
	COPY(fabric_attr);
	info->domain_attr->name = copy_text(info->domain_attr->name);
	info->fabric_attr->name = copy_text(info->fabric_attr->name);
	info->fabric_attr->prov_name = copy_text(info->fabric_attr->prov_name);
	info->src_addr = info->dest_addr = NULL;
	info->src_addrlen = info->dest_addrlen = 0;
	return info;
}

void fi_freeinfo(struct fi_info *info)
{
	while (info) {
		struct fi_info *next = info->next;
		free(info->domain_attr->name);
		free(info->fabric_attr->name);
		free(info->fabric_attr->prov_name);
		free(info->tx_attr);
		free(info->rx_attr);
		free(info->ep_attr);
		free(info->domain_attr);
		free(info->fabric_attr);
		free(info);
		info = next;
	}
}

static struct fi_info *describe(const char *fabric, const char *domain, enum fi_ep_type type)
{
	struct fi_info *info = fi_dupinfo(NULL);
	bool direct = !strcmp(fabric, "efa-direct");
	info->caps = CAPS | (settings.hmem ? FI_HMEM : 0);
	info->mode = direct || type == FI_EP_DGRAM ? FI_CONTEXT2 : 0;
	info->ep_attr->type = type;
	info->ep_attr->max_msg_size = direct ? 8760 : settings.max_rma;
	info->tx_attr->caps = info->rx_attr->caps = CAPS;
	info->tx_attr->size = settings.told_depth ? settings.told_depth : settings.depth;
	info->tx_attr->iov_limit = settings.iov;
	info->tx_attr->rma_iov_limit = is_efa() ? 1 : settings.iov;
	info->tx_attr->op_flags = FI_COMPLETION | FI_DELIVERY_COMPLETE;
	info->rx_attr->size = 64;
	info->domain_attr->name = strdup(domain);
	info->domain_attr->threading = FI_THREAD_SAFE;
	info->domain_attr->mr_mode = is_efa() ? FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY |
							(direct ? FI_MR_LOCAL : 0)
					      : 0;
	info->domain_attr->mr_key_size = 4;
	info->domain_attr->cq_data_size = 4;
	info->fabric_attr->name = strdup(fabric);
	info->fabric_attr->prov_name = strdup(settings.provider);
	info->fabric_attr->api_version = settings.version;
	return info;
}

static bool differs(const char *wanted, const char *found)
{
	return wanted && strcmp(wanted, found);
}

static bool matches(struct fi_info *info, const struct fi_info *hints)
{
	if (!hints)
		return true;
	if (differs(hints->fabric_attr->prov_name, info->fabric_attr->prov_name) &&
	    /* The real library offers a layered provider to whoever asks for the lower one. */
	    strncmp(info->fabric_attr->prov_name, hints->fabric_attr->prov_name,
		    strlen(hints->fabric_attr->prov_name)))
		return false;
	if (differs(hints->fabric_attr->name, info->fabric_attr->name) ||
	    differs(hints->domain_attr->name, info->domain_attr->name))
		return false;
	if (hints->ep_attr->type && hints->ep_attr->type != info->ep_attr->type)
		return false;
	if (hints->caps & ~info->caps || info->mode & ~hints->mode)
		return false;
	if (hints->caps & FI_HMEM)
		info->domain_attr->mr_mode |= FI_MR_HMEM;
	if (info->domain_attr->mr_mode & ~hints->domain_attr->mr_mode)
		return false;
	if (!strcmp(info->fabric_attr->name, "efa-direct")) {
		if (hints->mode & FI_RX_CQ_DATA)
			info->mode |= FI_RX_CQ_DATA;
		else if (!settings.unsolicited && hints->caps & FI_RMA)
			return false;
	}
	return true;
}

int fi_getinfo(uint32_t version, const char *node, const char *service, uint64_t flags, const struct fi_info *hints,
	       struct fi_info **found)
{
	(void) node, (void) service, (void) flags;
	struct fi_info *all = NULL, **end = &all;
	char domain[NAME_BYTES];
	*found = NULL;
	while (settings.hang)
		pause();
	if (FI_VERSION_LT(settings.version, version))
		return -FI_ENOSYS;
	if (is_efa()) {
		for (unsigned device = 0; device < settings.devices; device++) {
			snprintf(domain, sizeof domain, "rdmap%us0-rdm", device);
			/* The order in which the real one lists them, the datagrams among them. */
			if (settings.direct && !settings.emulated)
				*end = describe("efa-direct", domain, FI_EP_RDM), end = &(*end)->next;
			*end = describe("efa", domain, FI_EP_RDM), end = &(*end)->next;
			snprintf(domain, sizeof domain, "rdmap%us0-dgrm", device);
			*end = describe("efa", domain, FI_EP_DGRAM), end = &(*end)->next;
		}
	} else {
		all = describe(keeps_order() ? "127.0.0.1/32" : settings.provider, "lo", FI_EP_RDM);
	}
	end = found;
	while (all) {
		struct fi_info *info = all;
		all = all->next, info->next = NULL;
		if (matches(info, hints))
			*end = info, end = &info->next;
		else
			fi_freeinfo(info);
	}
	return *found ? 0 : -FI_ENODATA;
}
