/* A libfabric whose one provider moves data between processes of one machine and behaves as badly as the manual allows:
 * it completes before placement, places out of order, rings only on a doorbell, is full, fails and forgets.
 *
 * Its behaviour is read from the file beside the library, `<library>.conf`: a key and a value a line (settings.c). */
#ifndef STUB_H
#define STUB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>

/* Options by number: old headers do not name them. */
enum {
	STUB_OPT_CUDA_API_PERMITTED = 10,
	STUB_OPT_SHARED_MEMORY_PERMITTED = 11,
	STUB_OPT_MAX_MSG_SIZE = 12,
	STUB_OPT_MAX_RMA_SIZE = 14,
	STUB_OPT_EFA_RNR_RETRY = -(0xefa << 16),
	STUB_OPT_EFA_EMULATED_READ,
	STUB_OPT_EFA_EMULATED_WRITE,
	STUB_OPT_EFA_HOMOGENEOUS_PEERS = STUB_OPT_EFA_RNR_RETRY + 7,
	STUB_OPT_EFA_USE_UNSOLICITED_WRITE_RECV,
};

#define NAME_BYTES 32
#define MAX_PIECES 4
#define MAX_REGIONS 512
#define MAX_PEERS 16
#define MAX_ARRIVALS 65536
#define MAX_DEPTH 65536
#define MAX_RECEIVES 64

struct settings {
	char provider[NAME_BYTES];  /* tcp, tcp;ofi_rxm, shm, efa */
	char folder[400];           /* where the library lies; the segments of endpoints too */
	char counters[400];         /* folder of files like sysfs's infiniband class, or empty */
	unsigned version;           /* what fi_version says */
	unsigned devices;           /* cards, for efa */
	unsigned direct;            /* whether there is an efa-direct */
	unsigned unsolicited;       /* whether immediate data needs no receive */
	unsigned emulated;          /* whether reads and writes are made from messages */
	unsigned depth;             /* operations that an endpoint takes */
	unsigned told_depth;        /* what tx_attr.size says; 0: the truth */
	unsigned iov;               /* pieces of an operation */
	size_t max_rma;             /* bytes of an operation */
	uint64_t seed;
	unsigned reorder;           /* placements and completions in any order */
	unsigned delay_us;          /* the longest wait before a placement */
	unsigned hold_us;           /* the shortest wait before a placement that may come after its completion */
	unsigned doorbell;          /* FI_MORE posts wait for one without */
	unsigned eagain_ppm;        /* posts refused although there is room, in millionths */
	unsigned fail_at;           /* the number, from 1, of the operation that fails; 0: none */
	unsigned drop_at;           /* the number of the operation whose completion is lost */
	unsigned moves;             /* so many operations move their data, later ones only say so; 0: all */
	unsigned bad_domain;        /* a domain that is listed does not open */
	unsigned manual;            /* the target's queue must be read for data to be placed */
	unsigned wait;              /* whether queues can be waited for, by a descriptor */
	unsigned sread;             /* whether by fi_cq_sread too */
	unsigned hang;              /* fi_getinfo never returns */
	unsigned hmem;              /* whether it takes memory of GPUs */
	unsigned dmabuf;            /* whether by dma-buf too, whatever the headers know */
	unsigned mover;             /* 0: data is placed by the calls themselves, without a thread */
};

extern struct settings settings;

/* Memory by dma-buf, which old headers do not name. */
#define STUB_MR_DMABUF (1ULL << 40)

struct stub_dmabuf {
	int fd;
	uint64_t offset;
	size_t len;
	void *base_addr;
};

/* Registered memory, where the peer's stub can look it up. */
struct region {
	_Atomic uint64_t key; /* 0: free */
	uint64_t address, bytes, access;
};

/* An endpoint's part that its peers map. */
struct segment {
	pid_t pid;
	_Atomic int is_open;
	struct region regions[MAX_REGIONS];
	char peers[MAX_PEERS][NAME_BYTES]; /* whom it inserted */
	_Atomic unsigned peer_count;
	_Atomic int wants_receives;        /* immediate data uses one of: */
	_Atomic int receives;              /* posted and unused */
	_Atomic uint64_t read_at_ns;       /* when its queue was read last */
	atomic_flag lock;                  /* of the arrivals */
	_Atomic uint64_t arrived, taken;
	struct arrival {
		uint64_t data, bytes;
	} arrivals[MAX_ARRIVALS];
};

struct peer {
	char name[NAME_BYTES];
	struct segment *segment;
};

struct operation {
	struct operation *next;
	bool is_read, has_data, completes_late, is_lost, fails, is_idle;
	void *context;
	uint64_t data, due_ns, bytes;
	size_t local_count, remote_count;
	struct iovec local[MAX_PIECES];
	struct fi_rma_iov remote[MAX_PIECES];
	struct peer *peer;
};

struct queue {
	struct fid_cq fid;
	pthread_mutex_t lock;
	struct fi_cq_data_entry entries[MAX_DEPTH];
	size_t first, count;
	uint64_t random;
	struct fi_cq_err_entry error; /* err 0: none */
	int descriptor;               /* readable after a local completion; -1: none */
	struct endpoint *receiver;    /* whose arrivals it shows */
};

struct table {
	struct fid_av fid;
	struct peer peers[MAX_PEERS];
	size_t count;
	struct endpoint *endpoint;
};

struct endpoint {
	struct fid_ep fid;
	struct domain *domain;
	struct queue *transmit;
	struct table *table;
	struct segment *segment;
	char name[NAME_BYTES], path[512];
	bool is_direct, is_enabled;
	pthread_mutex_t lock;
	pthread_cond_t has_rung;
	pthread_t mover;
	bool has_mover, is_closing;
	struct operation *unused;
	struct operation *staged, **staged_end; /* before the doorbell */
	struct operation *rung, **rung_end;     /* to be placed */
	unsigned outstanding;
	uint64_t posted, random, last_due_ns;
	void *receives[MAX_RECEIVES]; /* contexts of posted receives */
	size_t first_receive, receive_count;
};

struct domain {
	struct fid_domain fid;
	char device[NAME_BYTES];
	bool is_direct;
	struct endpoint *endpoint; /* whose segment publishes the regions */
	struct region regions[MAX_REGIONS];
	uint64_t next_key;
};

struct registration {
	struct fid_mr fid;
	struct domain *domain;
};

/* settings.c */
uint64_t now_ns(void);
uint64_t next_random(uint64_t *state);

/* info.c */
bool is_efa(void);
bool keeps_order(void);

/* objects.c */
int open_domain(struct fid_fabric *, struct fi_info *, struct fid_domain **, void *);
int open_queue(struct fid_domain *, struct fi_cq_attr *, struct fid_cq **, void *);
int open_table(struct fid_domain *, struct fi_av_attr *, struct fid_av **, void *);
int no_bind(struct fid *, struct fid *, uint64_t);
int no_control(struct fid *, int, void *);

/* queue.c */
extern struct fi_ops_cq queue_operations;
bool is_empty(struct queue *);
void complete(struct queue *, struct operation *);
void fail(struct queue *, struct operation *, int error, int provider_error);

/* endpoint.c */
void *take_receive(struct endpoint *);
int open_endpoint(struct fid_domain *, struct fi_info *, struct fid_ep **, void *);

/* segment.c */
struct segment *make_segment(struct endpoint *);
struct segment *map_segment(const char *name);
void drop_segment(struct endpoint *);
bool knows(struct segment *, const char *name);
void publish(struct segment *, const struct region *);
void withdraw(struct segment *, uint64_t key);
const struct region *look_up(struct segment *, const struct fi_rma_iov *, uint64_t access);
void arrive(struct segment *, uint64_t data, uint64_t bytes);
bool take_arrival(struct segment *, struct arrival *);

/* moving.c */
extern struct fi_ops_rma moving_operations;
void *keep_moving(void *endpoint);
void move_due(struct endpoint *);

/* placement.c */
enum outcome { PLACED, LATER, REFUSED_ADDRESS, REFUSED_KEY, GONE };
enum outcome place(struct endpoint *, struct operation *);

#endif
