//! Constants of the headers that the engine uses.

/// An address in a table of addresses.
pub type fi_addr_t = u64;

/// No address, or any.
pub const FI_ADDR_UNSPEC: fi_addr_t = u64::MAX;

/// A registration without a key.
pub const FI_KEY_NOTAVAIL: u64 = u64::MAX;

// Capabilities, operation flags and completion flags share one space of bits.

/// Messages.
pub const FI_MSG: u64 = 1 << 1;
/// Remote memory access.
pub const FI_RMA: u64 = 1 << 2;
/// Tagged messages.
pub const FI_TAGGED: u64 = 1 << 3;
/// Atomic operations.
pub const FI_ATOMIC: u64 = 1 << 4;
/// RMA read, as initiator.
pub const FI_READ: u64 = 1 << 8;
/// RMA write, as initiator.
pub const FI_WRITE: u64 = 1 << 9;
/// Receives.
pub const FI_RECV: u64 = 1 << 10;
/// Sends.
pub const FI_SEND: u64 = 1 << 11;
/// Everything that an initiator posts.
pub const FI_TRANSMIT: u64 = FI_SEND;
/// RMA read, as target.
pub const FI_REMOTE_READ: u64 = 1 << 12;
/// RMA write, as target.
pub const FI_REMOTE_WRITE: u64 = 1 << 13;
/// Immediate data travels with an operation.
pub const FI_REMOTE_CQ_DATA: u64 = 1 << 17;
/// More posts follow: the provider may wait with its doorbell.
pub const FI_MORE: u64 = 1 << 18;
/// A completion is written.
pub const FI_COMPLETION: u64 = 1 << 24;
/// The buffer may be used again at once.
pub const FI_INJECT: u64 = 1 << 25;
/// The completion means that the target has the data in its place.
pub const FI_DELIVERY_COMPLETE: u64 = 1 << 28;
/// Memory of devices.
pub const FI_HMEM: u64 = 1 << 47;
/// Peers on the same machine.
pub const FI_LOCAL_COMM: u64 = 1 << 51;
/// Peers on other machines.
pub const FI_REMOTE_COMM: u64 = 1 << 52;
/// `fi_getinfo`: node and service name the local end.
pub const FI_SOURCE: u64 = 1 << 57;
/// EFA: this write belongs to a burst of small ones.
pub const FI_EFA_WR_HIGH_PPS: u64 = 1 << 60;

// Modes: what the caller promises to do.

/// Each operation brings an [`fi_context`](crate::fi_context) that lives until its completion.
pub const FI_CONTEXT: u64 = 1 << 59;
/// The same, of twice the size.
pub const FI_CONTEXT2: u64 = 1 << 52;
/// The target posts a receive for each write with immediate data.
pub const FI_RX_CQ_DATA: u64 = 1 << 56;

// Modes of registration.

/// Local buffers need a registration.
pub const FI_MR_LOCAL: i32 = 1 << 2;
/// Remote memory is addressed by the target's addresses, not by offsets.
pub const FI_MR_VIRT_ADDR: i32 = 1 << 4;
/// Registered memory exists.
pub const FI_MR_ALLOCATED: i32 = 1 << 5;
/// The provider chooses keys.
pub const FI_MR_PROV_KEY: i32 = 1 << 6;
/// A registration is bound to an endpoint before it is used.
pub const FI_MR_ENDPOINT: i32 = 1 << 9;
/// Memory of devices needs a registration.
pub const FI_MR_HMEM: i32 = 1 << 10;
/// `fi_mr_regattr`: the memory is named by a dma-buf; since 1.20.
pub const FI_MR_DMABUF: u64 = 1 << 40;

/// Connections.
pub const FI_EP_MSG: u32 = 1;
/// Unreliable datagrams.
pub const FI_EP_DGRAM: u32 = 2;
/// Reliable datagrams.
pub const FI_EP_RDM: u32 = 3;
/// Progress is made when the program asks for it.
pub const FI_PROGRESS_MANUAL: u32 = 2;
/// Addresses are indices.
pub const FI_AV_TABLE: u32 = 2;
/// One thread at a time uses a domain's objects.
pub const FI_THREAD_DOMAIN: u32 = 3;
/// One thread at a time uses the objects behind one completion queue or counter.
pub const FI_THREAD_COMPLETION: u32 = 4;
/// IPv4 and IPv6 addresses of sockets.
pub const FI_SOCKADDR_IN: u32 = 2;
/// IPv6 addresses of sockets.
pub const FI_SOCKADDR_IN6: u32 = 3;

/// Entries of a completion queue with immediate data.
pub const FI_CQ_FORMAT_DATA: u32 = 3;
/// No wait object.
pub const FI_WAIT_NONE: u32 = 0;
/// Whatever wait object the provider likes.
pub const FI_WAIT_UNSPEC: u32 = 1;
/// A file descriptor.
pub const FI_WAIT_FD: u32 = 3;

/// `fi_control`: the wait object of a queue.
pub const FI_GETWAIT: i32 = 5;
/// `fi_control`: enable an endpoint or a registration.
pub const FI_ENABLE: i32 = 6;

/// Memory of the host.
pub const FI_HMEM_SYSTEM: u32 = 0;
/// Memory of an NVIDIA GPU.
pub const FI_HMEM_CUDA: u32 = 1;

// Options of endpoints.

/// The level of all of them.
pub const FI_OPT_ENDPOINT: i32 = 0;
/// Whether the provider may call CUDA (`bool`).
pub const FI_OPT_CUDA_API_PERMITTED: i32 = 10;
/// Whether the provider may take shared memory to a peer on the same machine (`bool`).
pub const FI_OPT_SHARED_MEMORY_PERMITTED: i32 = 11;
/// The largest message (`size_t`).
pub const FI_OPT_MAX_MSG_SIZE: i32 = 12;
/// The largest RMA operation (`size_t`).
pub const FI_OPT_MAX_RMA_SIZE: i32 = 14;

/// The first of EFA's own options.
const FI_OPT_EFA: i32 = -(0xefa << 16);
/// Retries when a receiver is not ready, 7 for ever (`size_t`).
pub const FI_OPT_EFA_RNR_RETRY: i32 = FI_OPT_EFA;
/// Whether reads are made from messages (`bool`).
pub const FI_OPT_EFA_EMULATED_READ: i32 = FI_OPT_EFA + 1;
/// Whether writes are made from messages (`bool`).
pub const FI_OPT_EFA_EMULATED_WRITE: i32 = FI_OPT_EFA + 2;
/// Whether the device's RDMA is used (`bool`).
pub const FI_OPT_EFA_USE_DEVICE_RDMA: i32 = FI_OPT_EFA + 4;
/// All peers run the same software on the same hardware (`bool`).
pub const FI_OPT_EFA_HOMOGENEOUS_PEERS: i32 = FI_OPT_EFA + 7;
/// Whether the device takes immediate data without a posted receive (`bool`).
pub const FI_OPT_EFA_USE_UNSOLICITED_WRITE_RECV: i32 = FI_OPT_EFA + 8;

// Errors that the engine knows by number; calls return them negative.

/// Try again after reading completions.
pub const FI_EAGAIN: i32 = libc::EAGAIN;
/// Interrupted.
pub const FI_EINTR: i32 = libc::EINTR;
/// No provider matches.
pub const FI_ENODATA: i32 = libc::ENODATA;
/// The call does not exist.
pub const FI_ENOSYS: i32 = libc::ENOSYS;
/// An option is unknown.
pub const FI_ENOPROTOOPT: i32 = libc::ENOPROTOOPT;
/// Not supported.
pub const FI_EOPNOTSUPP: i32 = libc::EOPNOTSUPP;
/// An error entry waits in a queue.
pub const FI_EAVAIL: i32 = 259;
