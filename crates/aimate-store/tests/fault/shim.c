/* Loaded before libc into a test's own process: makes the disk fail.

   While the folder AIMATE_FAULT_FOLDER has a file `full`, writes to files below
   it fail as on a full disk; while it has a file `sync`, their fsync fails. A file
   `filled` is a disk on which there is no room but that of `aimate.db-reserve`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int strikes(const char *fault, int fd);

static int is_full(int fd) {
    int saved = errno, is_reserve_there = 0;
    const char *folder = getenv("AIMATE_FAULT_FOLDER");
    char path[4096];
    if (folder != NULL) {
        snprintf(path, sizeof path, "%s/aimate.db-reserve", folder);
        is_reserve_there = access(path, F_OK) == 0;
    }
    errno = saved;
    return strikes("full", fd) || (is_reserve_there && strikes("filled", fd));
}

static int strikes(const char *fault, int fd) {
    int saved = errno, struck = 0;
    const char *folder = getenv("AIMATE_FAULT_FOLDER");
    char path[4096], link[64];
    if (folder != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, fault);
        if (access(path, F_OK) == 0) {
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, path, sizeof path - 1);
            if (length > 0) {
                path[length] = '\0';
                struck = strncmp(path, folder, strlen(folder)) == 0;
            }
        }
    }
    errno = saved;
    return struck;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define FAILS(strikes, code)      \
    if (strikes) {                \
        errno = code;             \
        return -1;                \
    }

ssize_t write(int fd, const void *bytes, size_t count) {
    FAILS(is_full(fd), ENOSPC)
    return REAL(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    FAILS(is_full(fd), ENOSPC)
    return REAL(writev)(fd, pieces, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    FAILS(is_full(fd), ENOSPC)
    return REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    FAILS(is_full(fd), ENOSPC)
    return REAL(pwrite64)(fd, bytes, count, at);
}

int fsync(int fd) {
    FAILS(strikes("sync", fd), EIO)
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    FAILS(strikes("sync", fd), EIO)
    return REAL(fdatasync)(fd);
}
