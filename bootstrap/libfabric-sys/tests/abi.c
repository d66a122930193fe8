/* Holds the layouts that the Rust side believes in (table.h, written by abi.rs) against the headers of this machine. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_ext.h>
#include <rdma/fi_rma.h>
#if defined(__has_include)
#if __has_include(<rdma/fi_ext_efa.h>)
#include <rdma/fi_ext_efa.h>
#endif
#endif

#define SINCE(major, minor) (FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION) >= FI_VERSION(major, minor))

static int held, wrong;

static void hold(const char *what, long long header, long long rust, int right)
{
	held++;
	if (!right) {
		wrong++;
		printf("%s: the headers say %lld, the Rust side %lld\n", what, header, rust);
	}
}

/* A structure may be longer here than in an older header. */
#define SIZE(type, rust) hold("size of " #type, sizeof(struct type), rust, sizeof(struct type) <= (rust))
#define EXACT_SIZE(type, rust) hold("size of " #type, sizeof(struct type), rust, sizeof(struct type) == (rust))
#define FIELD(type, field, rust) \
	hold(#type "." #field, offsetof(struct type, field), rust, offsetof(struct type, field) == (rust)); \
	/* A field's width shows in where it ends. */
#define WIDTH(type, field, rust) \
	hold("width of " #type "." #field, sizeof(((struct type *) 0)->field), rust, \
	     sizeof(((struct type *) 0)->field) == (rust))
#define VALUE(name, rust) \
	hold(#name, (long long) (name), (long long) (rust), (uint64_t) (name) == (uint64_t) (rust))

int main(void)
{
#include "table.h"
	printf("%d.%d: held %d, wrong %d\n", FI_MAJOR_VERSION, FI_MINOR_VERSION, held, wrong);
	return wrong != 0;
}
