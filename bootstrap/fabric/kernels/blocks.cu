// The kernels that move, write and check the blocks of a paged KV cache. Compiled ahead to blocks.ptx by compile.py;
// a test holds the two against each other.
//
// Every launch has THREADS threads a block and any grid: blocks stride over the table. All addresses and sizes of
// `move_pieces` are multiples of 16 bytes, those of the others of 8.

typedef unsigned long long u64;
typedef unsigned char u8;

#define THREADS 256

// One contiguous copy, as `Piece` in cuda/kernels.rs.
struct Piece {
    u64 from;
    u64 to;
    u64 bytes;
};

// One block of data, as `Block` in cuda/kernels.rs.
struct Block {
    u64 number;
    u64 offset;
    u64 bytes;
};

// What `check_blocks` found, as `Verdict` in cuda/kernels.rs.
struct Verdict {
    u64 wrong;
    u64 first;
};

// Pack and unpack: the one gathers into a slab, the other scatters out of it; which it is, the table says.
extern "C" __global__ void __launch_bounds__(THREADS)
move_pieces(const u8 *__restrict__ from, u8 *__restrict__ to, const Piece *__restrict__ pieces, u64 count) {
    for (u64 index = blockIdx.x; index < count; index += gridDim.x) {
        const Piece piece = pieces[index];
        const uint4 *source = reinterpret_cast<const uint4 *>(from + piece.from);
        uint4 *destination = reinterpret_cast<uint4 *>(to + piece.to);
        const u64 vectors = piece.bytes / sizeof(uint4);
        // Four loads in flight a thread hide the latency of memory; the rest of a piece goes one by one.
        u64 at = threadIdx.x;
        for (; at + 3 * THREADS < vectors; at += 4 * THREADS) {
            const uint4 a = __ldcs(source + at);
            const uint4 b = __ldcs(source + at + THREADS);
            const uint4 c = __ldcs(source + at + 2 * THREADS);
            const uint4 d = __ldcs(source + at + 3 * THREADS);
            __stcs(destination + at, a);
            __stcs(destination + at + THREADS, b);
            __stcs(destination + at + 2 * THREADS, c);
            __stcs(destination + at + 3 * THREADS, d);
        }
        // A block of 8 KiB is two vectors a thread.
        for (; at + THREADS < vectors; at += 2 * THREADS) {
            const uint4 a = __ldcs(source + at);
            const uint4 b = __ldcs(source + at + THREADS);
            __stcs(destination + at, a);
            __stcs(destination + at + THREADS, b);
        }
        if (at < vectors) {
            __stcs(destination + at, __ldcs(source + at));
        }
    }
}

// The pattern of pattern.rs: the finaliser of SplitMix64, then steps that are odd, so that no word of a block repeats.
#define STEP 0x9e3779b97f4a7c15ull

static __device__ u64 mix(u64 value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static __device__ u64 first_word(u64 seed, u64 round, u64 number) {
    return mix(seed ^ mix(round ^ mix(number)));
}

extern "C" __global__ void __launch_bounds__(THREADS)
fill_blocks(u8 *pool, const Block *__restrict__ blocks, u64 count, u64 seed, u64 round) {
    for (u64 index = blockIdx.x; index < count; index += gridDim.x) {
        const Block block = blocks[index];
        u64 *words = reinterpret_cast<u64 *>(pool + block.offset);
        const u64 first = first_word(seed, round, block.number);
        for (u64 at = threadIdx.x; at < block.bytes / sizeof(u64); at += THREADS) {
            words[at] = first + at * STEP;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
poison_blocks(u8 *pool, const Block *__restrict__ blocks, u64 count) {
    for (u64 index = blockIdx.x; index < count; index += gridDim.x) {
        const Block block = blocks[index];
        u64 *words = reinterpret_cast<u64 *>(pool + block.offset);
        for (u64 at = threadIdx.x; at < block.bytes / sizeof(u64); at += THREADS) {
            words[at] = 0xa5a5a5a5a5a5a5a5ull;
        }
    }
}

// Reads all of a memory once, as decoding a token reads weights and caches. The sum is written where it is zero, so that the
// loads stay; vectors are 16 bytes.
extern "C" __global__ void __launch_bounds__(THREADS)
read_all(const u8 *__restrict__ memory, u64 vectors, u64 *sum) {
    const uint4 *all = reinterpret_cast<const uint4 *>(memory);
    unsigned int seen = 0;
    for (u64 at = blockIdx.x * (u64)THREADS + threadIdx.x; at < vectors; at += gridDim.x * (u64)THREADS) {
        const uint4 some = __ldcs(all + at);
        seen |= some.x | some.y | some.z | some.w;
    }
    if (seen == 0) {
        *sum = 1;
    }
}

// Counts the blocks with any wrong word, and keeps the first by its place in the table.
extern "C" __global__ void __launch_bounds__(THREADS)
check_blocks(const u8 *pool, const Block *__restrict__ blocks, u64 count, u64 seed, u64 round, Verdict *verdict) {
    for (u64 index = blockIdx.x; index < count; index += gridDim.x) {
        const Block block = blocks[index];
        const u64 *words = reinterpret_cast<const u64 *>(pool + block.offset);
        const u64 first = first_word(seed, round, block.number);
        int differs = 0;
        for (u64 at = threadIdx.x; at < block.bytes / sizeof(u64); at += THREADS) {
            differs |= words[at] != first + at * STEP;
        }
        if (__syncthreads_or(differs) && threadIdx.x == 0) {
            atomicAdd(&verdict->wrong, 1ull);
            atomicMin(&verdict->first, index);
        }
    }
}
