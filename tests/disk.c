/*
 * A disk that does what a test says: preloaded into the daemon, it stands
 * between it and the C library where the files of the store are concerned.
 *
 * STORE names the store, absolute and without links.  CONTROL names a file of
 * a struct control, which the test writes while the daemon runs.  RECORD, if it
 * is set, names the file to which every change and every sync is written, in
 * their order, as a struct op and the bytes that were written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
    uint32_t delay;       /* ms that a sync takes longer */
    uint32_t failing;     /* of 10,000 syncs */
    uint32_t broken;      /* the error that each write, and each making of a file, ends with */
    uint32_t seed;
    uint32_t syncs;       /* so many were begun */
    uint32_t failed;      /* of these, so many failed */
    uint64_t recorded;    /* bytes */
};

struct op {
    uint32_t kind;        /* see below */
    uint32_t file;        /* FILES: the store, its log, its journal, its directory */
    uint64_t offset;
    uint64_t length;
};

enum { WRITE = 1, TRUNCATE, SYNC, UNLINK, CREATE, LOST };
enum { STORE, LOG, JOURNAL, DIRECTORY, FILES };

#define MOST_FDS 65536

static const char *ends[] = { "", "-wal", "-journal" };
static signed char tracked[MOST_FDS];  /* 0, or 1 + which file */
static const char *store;
static volatile struct control *control;
static int record = -1;
static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void start(void)
{
    const char *name = getenv("DISK_CONTROL");
    if (real_unlink)
        return;
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    store = getenv("DISK_STORE");
    if (name) {
        int fd = real_open(name, O_RDWR | O_CLOEXEC);
        void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || at == MAP_FAILED)
            abort();
        control = at;
        real_close(fd);
    }
    if (getenv("DISK_RECORD")) {
        record = real_open(getenv("DISK_RECORD"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (record < 0)
            abort();
    }
}

static int which(const char *path)
{
    size_t length;
    if (!store || !path)
        return -1;
    length = strlen(store);
    if (!strncmp(path, store, length))
        for (int i = 0; i < DIRECTORY; i++)
            if (!strcmp(path + length, ends[i]))
                return i;
    length = strrchr(store, '/') - store;
    if (!strncmp(path, store, length) && (!path[length] || !strcmp(path + length, "/")))
        return DIRECTORY;
    return -1;
}

static int file_of(int fd)
{
    return fd >= 0 && fd < MOST_FDS ? tracked[fd] - 1 : -1;
}

/* Bytes and syncs are counted only once they are on record. */
static void put(const void *from, size_t length)
{
    const char *at = from;
    while (length) {
        ssize_t done = write(record, at, length);
        if (done < 0)
            abort();
        at += done;
        length -= done;
    }
}

static void note(uint32_t kind, uint32_t file, uint64_t offset, const void *from, uint64_t length)
{
    struct op op = { kind, file, offset, length };
    if (record < 0)
        return;
    put(&op, sizeof op);
    if (kind == WRITE)
        put(from, length);
    control->recorded += sizeof op + (kind == WRITE ? length : 0);
}

/* Also what is only beside the store can't be made on a broken disk. */
static int refused(const char *path, int flags)
{
    if (!control || !control->broken || !store || strncmp(path, store, strlen(store)))
        return 0;
    return (flags & (O_CREAT | O_TRUNC)) || (flags & O_ACCMODE) != O_RDONLY;
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    int file, fresh, fd;
    /* Others' constructors may open files before ours has run. */
    start();
    file = which(path);
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list list;
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    if (refused(path, flags)) {
        errno = control->broken;
        return -1;
    }
    fresh = file >= 0 && (flags & O_CREAT) && access(path, F_OK);
    pthread_mutex_lock(&one_by_one);
    fd = real_open(path, flags, mode);
    if (fd >= 0 && fd < MOST_FDS) {
        tracked[fd] = file + 1;
        if (fresh)
            note(CREATE, file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&one_by_one);
    return fd;
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list list;
        va_start(list, flags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    return open64(path, flags, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < MOST_FDS)
        tracked[fd] = 0;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *from, size_t length, off64_t offset)
{
    int file = file_of(fd);
    ssize_t done;
    if (file < 0)
        return real_pwrite(fd, from, length, offset);
    if (control && control->broken) {
        errno = control->broken;
        return -1;
    }
    pthread_mutex_lock(&one_by_one);
    done = real_pwrite(fd, from, length, offset);
    if (done > 0)
        note(WRITE, file, offset, from, done);
    pthread_mutex_unlock(&one_by_one);
    return done;
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t offset)
{
    return pwrite64(fd, from, length, offset);
}

int ftruncate64(int fd, off64_t length)
{
    int file = file_of(fd), result;
    if (file < 0)
        return real_ftruncate(fd, length);
    pthread_mutex_lock(&one_by_one);
    result = real_ftruncate(fd, length);
    if (!result)
        note(TRUNCATE, file, length, NULL, 0);
    pthread_mutex_unlock(&one_by_one);
    return result;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int unlink(const char *path)
{
    int file = which(path), result;
    if (file < 0)
        return real_unlink(path);
    pthread_mutex_lock(&one_by_one);
    result = real_unlink(path);
    if (!result)
        note(UNLINK, file, 0, NULL, 0);
    pthread_mutex_unlock(&one_by_one);
    return result;
}

static int sync_with(int (*real)(int), int fd)
{
    int file = file_of(fd), result;
    if (file < 0 || !control)
        return real(fd);
    control->syncs++;
    if (control->delay) {
        struct timespec wait = { control->delay / 1000, control->delay % 1000 * 1000000L };
        nanosleep(&wait, NULL);
    }
    pthread_mutex_lock(&one_by_one);
    control->seed = control->seed * 1103515245u + 12345u;
    if ((control->seed >> 8) % 10000 < control->failing) {
        /* What was to be written is lost, and a later sync knows nothing of it. */
        control->failed++;
        note(LOST, file, 0, NULL, 0);
        errno = EIO;
        result = -1;
    } else {
        result = real(fd);
        if (!result)
            note(SYNC, file, 0, NULL, 0);
    }
    pthread_mutex_unlock(&one_by_one);
    return result;
}

int fsync(int fd)
{
    return sync_with(real_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_with(real_fdatasync, fd);
}
