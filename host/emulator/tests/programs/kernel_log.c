/* The kernel's log: it can be opened, and who has read what is in it waits for more. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

/* For the call. The emulator takes the place of the buffer for its length (as of 10.0), and refuses
 * what is negative then. */
static char *buffer;
enum { LENGTH = 4096 };

static void ring(int signal)
{
    (void)signal;
}

/* Whether a read waits until a signal comes. */
static int waits(int fd)
{
    char text[64];
    struct sigaction action = {.sa_handler = ring};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    int result = fd < 0 ? klogctl(2, buffer, LENGTH) : read(fd, text, sizeof text);
    int own = errno;
    alarm(0);
    errno = own;
    return result == -1 && errno == EINTR;
}

/* Read what is in it. A reader that was overtaken is told so, and goes on. */
static void drain(const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    while (read(fd, text, sizeof text) > 0 || errno == EPIPE)
        errno = 0;
    close(fd);
}

/* Open it behind what is in it. */
static int at_end(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | flags);
    drain("/proc/kmsg");
    lseek(fd, 0, SEEK_END);
    errno = 0;
    return fd;
}

static void log_at(const char *path)
{
    char what[64], text[64];
    snprintf(what, sizeof what, "%s is opened", path);
    int fd = at_end(path, O_NONBLOCK);
    say(what, fd >= 0);
    struct pollfd ready = {fd, POLLIN, 0};
    say("nothing more is in it", poll(&ready, 1, 0) == 0);
    say("nobody waits who does not want to",
        read(fd, text, sizeof text) == -1 && errno == EAGAIN);
    close(fd);
    fd = at_end(path, 0);
    say("everybody else does", waits(fd));
    close(fd);
}

int main(void)
{
    struct stat about;
    mount("proc", "/proc", "proc", 0, NULL);
    buffer = mmap((void *)0x20000000, LENGTH, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    log_at("/proc/kmsg");
    log_at("/dev/kmsg");
    say("it is a device", stat("/dev/kmsg", &about) == 0 && S_ISCHR(about.st_mode));
    int fd = open("/dev/kmsg", O_WRONLY);
    say("it is written to", write(fd, "a line of the log\n", 18) == 18);
    close(fd);
    char text[64];
    say("the call opens it", klogctl(1, NULL, 0) == 0);
    say("all of it is read", klogctl(3, buffer, LENGTH) >= 0 && klogctl(10, NULL, 0) >= 0);
    drain("/proc/kmsg");
    errno = 0;
    say("a reader of it waits", waits(-1));
    say("another thing cannot be asked", klogctl(99, NULL, 0) == -1 && errno == EINVAL);
    /* As klogd does: its child reads, and must not die of it. */
    drain("/proc/kmsg");
    pid_t child = fork();
    if (child == 0) {
        fd = open("/proc/kmsg", O_RDONLY);
        _exit(read(fd, text, sizeof text) >= 0);
    }
    sleep(1);
    say("a child that reads it lives on", waitpid(child, NULL, WNOHANG) == 0);
    kill(child, SIGKILL);
    say("until it is killed", waitpid(child, NULL, 0) == child);
    printf("the end\n");
    return 0;
}
