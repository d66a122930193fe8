// A CUDA driver without a GPU: device memory is memory that processes share, streams do everything at once, and the four
// kernels of kernels/blocks.cu are here as loops. What the engine makes of a driver can be tested with it, how fast it is
// can not.
//
// PREFAB_STUB_GPUS       how many devices there are (1)
// PREFAB_STUB_BYTES      bytes of each (4 GiB)
// PREFAB_STUB_NAME       what all of them are called
// PREFAB_STUB_VERSION    as cuDriverGetVersion counts (12040)
// PREFAB_STUB_PEERS      0: no device reaches another
// PREFAB_STUB_FAULT      FUNCTION:NUMBER:CODE, call NUMBER (from 1) of the function and all later ones answer this code
// PREFAB_STUB_WRONG      NUMBER: launch NUMBER (from 1) of move_pieces leaves its first byte wrong
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

enum { MOST_BLOCKS = 65536, MOST_FAULTS = 1 };

struct block { u64 address, bytes; int device, file; };

static struct block blocks[MOST_BLOCKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int current;

static long number(const char *name, long usual) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : usual;
}

static int fails(const char *function) {
    static int calls;
    char name[64];
    int from, code;
    const char *fault = getenv("PREFAB_STUB_FAULT");
    if (!fault || sscanf(fault, "%63[^:]:%d:%d", name, &from, &code) != 3 || strcmp(name, function)) return 0;
    return __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) >= from ? code : 0;
}

#define CALL(function) do { int code = fails(function); if (code) return code; } while (0)

static u64 now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (u64)time.tv_sec * 1000000000u + (u64)time.tv_nsec;
}

int cuDriverGetVersion(int *version) { *version = (int)number("PREFAB_STUB_VERSION", 12040); return 0; }
int cuInit(unsigned flags) { (void)flags; CALL("cuInit"); return 0; }
int cuGetErrorName(int code, const char **name) { (void)code; *name = "CUDA_ERROR"; return 0; }
int cuGetErrorString(int code, const char **text) { (void)code; *text = "of the stub"; return 0; }

int cuDeviceGetCount(int *count) { *count = (int)number("PREFAB_STUB_GPUS", 1); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    const char *own = getenv("PREFAB_STUB_NAME");
    (void)device;
    snprintf(name, (size_t)length, "%s", own ? own : "NVIDIA Stub");
    return 0;
}
int cuDeviceGetPCIBusId(char *text, int length, int device) {
    snprintf(text, (size_t)length, "0000:%02X:00.0", device + 1);
    return 0;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 16 ? 4 : 0; // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    (void)device;
    *bytes = (size_t)number("PREFAB_STUB_BYTES", 4L << 30);
    return 0;
}
int cuDeviceCanAccessPeer(int *can, int device, int other) {
    *can = device != other && number("PREFAB_STUB_PEERS", 1);
    return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)(device + 1); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxSetCurrent(void *context) { current = (int)(intptr_t)context - 1; return 0; }
int cuCtxGetDevice(int *device) { *device = current; return 0; }
int cuCtxSynchronize(void) { CALL("cuCtxSynchronize"); return 0; }
int cuCtxEnablePeerAccess(void *context, unsigned flags) { (void)context; (void)flags; return 0; }

static u64 taken(int device) {
    u64 sum = 0;
    for (int i = 0; i < MOST_BLOCKS; i++)
        if (blocks[i].address && blocks[i].device == device) sum += blocks[i].bytes;
    return sum;
}

int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    *total = (size_t)number("PREFAB_STUB_BYTES", 4L << 30);
    pthread_mutex_lock(&lock);
    *free_bytes = *total - (size_t)taken(current);
    pthread_mutex_unlock(&lock);
    return 0;
}

static int keep(u64 address, u64 bytes, int device, int file) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_BLOCKS; i++) {
        if (blocks[i].address) continue;
        blocks[i] = (struct block){address, bytes, device, file};
        pthread_mutex_unlock(&lock);
        return 0;
    }
    pthread_mutex_unlock(&lock);
    return 2;
}

int cuMemAlloc_v2(u64 *address, size_t bytes) {
    CALL("cuMemAlloc");
    int file = memfd_create("device", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)bytes)) return 2;
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) return 2;
    *address = (u64)(uintptr_t)start;
    return keep(*address, bytes, current, file);
}

int cuMemFree_v2(u64 address) {
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_BLOCKS; i++) {
        if (blocks[i].address != address) continue;
        munmap((void *)(uintptr_t)address, blocks[i].bytes);
        close(blocks[i].file);
        blocks[i].address = 0;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

struct handle { int pid, file; u64 bytes; char rest[48]; };

int cuIpcGetMemHandle(struct handle *handle, u64 address) {
    CALL("cuIpcGetMemHandle");
    for (int i = 0; i < MOST_BLOCKS; i++)
        if (blocks[i].address == address) {
            *handle = (struct handle){getpid(), blocks[i].file, blocks[i].bytes, {0}};
            return 0;
        }
    return 1;
}

// The handle is passed by value, as an argument of 64 bytes.
int cuIpcOpenMemHandle_v2(u64 *address, struct handle handle, unsigned flags) {
    char path[64];
    (void)flags;
    CALL("cuIpcOpenMemHandle");
    snprintf(path, sizeof path, "/proc/%d/fd/%d", handle.pid, handle.file);
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return 201;
    void *start = mmap(NULL, handle.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (start == MAP_FAILED) return 2;
    *address = (u64)(uintptr_t)start;
    return keep(*address, handle.bytes, -1, file);
}

int cuIpcCloseMemHandle(u64 address) { return cuMemFree_v2(address); }

// The file is the allocation's own; whoever registers it maps nothing of it here.
int cuMemGetHandleForAddressRange(int *handle, u64 address, size_t bytes, int kind, u64 flags) {
    (void)kind; (void)flags;
    CALL("cuMemGetHandleForAddressRange");
    for (int i = 0; i < MOST_BLOCKS; i++)
        if (blocks[i].address && address >= blocks[i].address && address < blocks[i].address + blocks[i].bytes) {
            if (address + bytes > blocks[i].address + ((blocks[i].bytes + 4095) & ~4095ull)) return 1;
            *handle = dup(blocks[i].file);
            return *handle < 0;
        }
    return 1;
}
int cuPointerSetAttribute(const void *value, int attribute, u64 address) {
    (void)value; (void)attribute; (void)address;
    return 0;
}

int cuMemHostRegister_v2(void *start, size_t bytes, unsigned flags) {
    (void)start; (void)bytes; (void)flags;
    CALL("cuMemHostRegister");
    return 0;
}
int cuMemHostUnregister(void *start) { (void)start; return 0; }

int cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, void *stream) {
    (void)stream;
    CALL("cuMemcpyDtoHAsync");
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return 0;
}
int cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, void *stream) {
    (void)stream;
    CALL("cuMemcpyHtoDAsync");
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}
int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, void *stream) {
    (void)stream;
    CALL("cuMemcpyDtoDAsync");
    memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return 0;
}
int cuMemcpyPeerAsync(u64 to, void *there, u64 from, void *here, size_t bytes, void *stream) {
    (void)there; (void)here;
    return cuMemcpyDtoDAsync_v2(to, from, bytes, stream);
}

int cuModuleLoadData(void **module, const void *image) {
    (void)image;
    CALL("cuModuleLoadData");
    *module = (void *)1;
    return 0;
}
int cuModuleUnload(void *module) { (void)module; return 0; }

enum { MOVE = 1, FILL, POISON, CHECK, READ };

int cuModuleGetFunction(void **function, void *module, const char *name) {
    static const char *const names[] = {"", "move_pieces", "fill_blocks", "poison_blocks", "check_blocks", "read_all"};
    (void)module;
    for (intptr_t i = MOVE; i <= READ; i++)
        if (!strcmp(names[i], name)) { *function = (void *)i; return 0; }
    return 500;
}

struct piece { u64 from, to, bytes; };
struct data { u64 number, offset, bytes; };

static u64 mix(u64 value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    return value ^ (value >> 31);
}

static void move(char *from, char *to, const struct piece *pieces, u64 count) {
    static int launches;
    int launch = __atomic_add_fetch(&launches, 1, __ATOMIC_RELAXED);
    for (u64 i = 0; i < count; i++) memcpy(to + pieces[i].to, from + pieces[i].from, pieces[i].bytes);
    if (count && launch == number("PREFAB_STUB_WRONG", 0)) to[pieces[0].to] ^= 1;
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    u64 a[6];
    (void)gx; (void)gy; (void)gz; (void)bx; (void)by; (void)bz; (void)shared; (void)stream; (void)extra;
    CALL("cuLaunchKernel");
    for (int i = 0; i < 6; i++) a[i] = *(u64 *)parameters[i];
    if ((intptr_t)function == MOVE) {
        move((char *)(uintptr_t)a[0], (char *)(uintptr_t)a[1], (const struct piece *)(uintptr_t)a[2], a[3]);
        return 0;
    }
    if ((intptr_t)function == READ) {
        usleep(100);
        return 0;
    }
    const struct data *rows = (const struct data *)(uintptr_t)a[1];
    for (u64 i = 0; i < a[2]; i++) {
        u64 *words = (u64 *)(uintptr_t)(a[0] + rows[i].offset);
        u64 first = mix(a[3] ^ mix(a[4] ^ mix(rows[i].number))), wrong = 0;
        for (u64 at = 0; at < rows[i].bytes / 8; at++) {
            u64 word = first + at * 0x9e3779b97f4a7c15ull;
            if ((intptr_t)function == FILL) words[at] = word;
            else if ((intptr_t)function == POISON) words[at] = 0xa5a5a5a5a5a5a5a5ull;
            else wrong |= words[at] ^ word;
        }
        if ((intptr_t)function == CHECK && wrong) {
            u64 *verdict = (u64 *)(uintptr_t)a[5];
            verdict[0]++;
            if (i < verdict[1]) verdict[1] = i;
        }
    }
    return 0;
}

int cuStreamCreate(void **stream, unsigned flags) { (void)flags; *stream = (void *)1; return 0; }
int cuStreamDestroy_v2(void *stream) { (void)stream; return 0; }
int cuStreamSynchronize(void *stream) { (void)stream; CALL("cuStreamSynchronize"); return 0; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { (void)stream; (void)event; (void)flags; return 0; }

int cuEventCreate(u64 **event, unsigned flags) { (void)flags; *event = calloc(1, sizeof(u64)); return *event ? 0 : 2; }
int cuEventDestroy_v2(u64 *event) { free(event); return 0; }
int cuEventRecord(u64 *event, void *stream) {
    (void)stream;
    CALL("cuEventRecord");
    __atomic_store_n(event, now_ns(), __ATOMIC_RELEASE);
    return 0;
}
int cuEventQuery(u64 *event) { (void)event; CALL("cuEventQuery"); return 0; }
int cuEventSynchronize(u64 *event) { (void)event; CALL("cuEventSynchronize"); return 0; }
int cuEventElapsedTime(float *ms, u64 *from, u64 *to) { *ms = (float)((double)(int64_t)(*to - *from) / 1e6); return 0; }
