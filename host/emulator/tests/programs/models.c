/* Modelled files, by whatever descriptor, process or redirection they are reached. */
// event: written /dev/fixed "abc" 3
// event: written /dev/unhandled "x" 1
// event: written /dev/log "by 1" 4
// event: written /dev/serial "AT" 2
// event: written /dev/serial "ATZ" 3
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, int holds)
{
    dprintf(2, "%s %s (errno %d)\n", holds ? "yes" : "no ", what, errno);
    errno = 0;
}

/* As `command < path`, `command > path` in a shell: the descriptor is 0 or 1, in a process of its
   own. Gives the process's exit status. */
static int redirected(const char *path, int flags, int number, int (*command)(void))
{
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, flags, 0644);
        if (fd < 0)
            _exit(100);
        if (fd != number) {
            dup2(fd, number);
            close(fd);
        }
        _exit(command());
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static char expected[64];

static int reads(void)
{
    char text[64] = "";
    int length = read(0, text, sizeof text - 1);
    if (length != (int)strlen(expected) || strcmp(text, expected) != 0) {
        dprintf(2, "read %d %s\n", length, text);
        return 1;
    }
    return 0;
}

static int cat_gives(const char *path, const char *text)
{
    strcpy(expected, text);
    return redirected(path, O_RDONLY, 0, reads) == 0;
}

static int writes(void)
{
    return write(1, expected, strlen(expected)) == (int)strlen(expected) ? 0 : errno;
}

static int echo(const char *path, const char *text)
{
    strcpy(expected, text);
    return redirected(path, O_WRONLY | O_CREAT | O_TRUNC, 1, writes);
}

static int fails_to_read(void)
{
    char text[4];
    return read(0, text, sizeof text) == -1 ? errno : 0;
}

static int asks(void)
{
    struct stat about;
    int value = ioctl(0, 0x40046e01, 0);
    return value == 5 && fstat(0, &about) == 0 && S_ISCHR(about.st_mode) ? 0 : 1;
}

static int shared_position(void)
{
    char text[4] = "";
    if (read(0, text, 2) != 2)
        return 1;
    pid_t child = fork();
    if (child == 0)
        _exit(read(0, text, 2) == 2 && memcmp(text, "23", 2) == 0 ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    return status == 0 && read(0, text, 2) == 2 && memcmp(text, "45", 2) == 0 ? 0 : 1;
}

static void positions(void)
{
    char text[64] = "";
    int fd = open("/dev/fixed", O_RDWR);
    say("a write does not move where reading goes on",
        write(fd, "abc", 3) == 3 && read(fd, text, 4) == 4 && memcmp(text, "0123", 4) == 0);
    say("a position is set", lseek(fd, 6, SEEK_SET) == 6 && read(fd, text, 9) == 4 &&
                                 memcmp(text, "6789", 4) == 0);
    say("then comes the end", read(fd, text, 9) == 0);
    say("a place is read", pread(fd, text, 2, 8) == 2 && memcmp(text, "89", 2) == 0);
    char *map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    say("it is mapped", map != MAP_FAILED && memcmp(map, "0123456789\0", 11) == 0);
    int pipes[2];
    off_t from = 3;
    say("it is not copied by the kernel, which would not ask the model",
        pipe(pipes) == 0 && sendfile(pipes[1], fd, &from, 3) == -1 && errno == EINVAL);
    close(fd);
    fd = open("/dev/stream", O_RDONLY);
    say("a file without positions says so", lseek(fd, 1, SEEK_SET) == -1 && errno == ESPIPE);
    close(fd);
    fd = open("/dev/state", O_RDWR);
    say("a stateful file is a file", pwrite(fd, "register", 8, 0) == 8 &&
                                         pread(fd, text, 9, 3) == 5 &&
                                         memcmp(text, "ister", 5) == 0);
    close(fd);
}

static void waiting(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(0);
    int fd = open("/dev/fixed", O_RDWR);
    struct pollfd ready = {fd, POLLIN | POLLOUT, 0};
    say("poll finds it ready", poll(&ready, 1, 0) == 1 && ready.revents == (POLLIN | POLLOUT));
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    struct timeval now = {0, 0};
    say("select finds it ready", select(fd + 1, &readable, NULL, NULL, &now) == 1);
    say("epoll takes it", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 &&
                              epoll_wait(set, &event, 1, 0) == 1);
    close(fd);
    fd = open("/dev/never", O_RDWR);
    ready = (struct pollfd){fd, POLLIN | POLLOUT, 0};
    say("one that blocks is never ready to be written", poll(&ready, 1, 50) == 0);
    ready.events = POLLIN;
    say("one that blocks is never ready to be read", poll(&ready, 1, 50) == 0);
    say("one that blocks takes what is written", write(fd, "x", 1) == 1);
    close(fd);
    close(set);
    set = epoll_create1(0);
    fd = open("/dev/ticks", O_RDONLY);
    event.events = EPOLLIN;
    int taken = epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0;
    say("epoll takes a periodic one", taken);
    int ticks = 0;
    for (int i = 0; taken && i < 3; i++)
        ticks += epoll_wait(set, &event, 1, 5000) == 1;
    say("a periodic one becomes ready time after time", ticks == 3);
    char text[8];
    say("what became ready is read", read(fd, text, sizeof text) == 1 && text[0] == 'x');
    close(fd);
}

/* Gives a descriptor to another process by a socket, which writes to it. */
static int written_by_another(int fd, const char *text)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return 0;
    pid_t child = fork();
    char byte = 0, room[CMSG_SPACE(sizeof fd)] = "";
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    if (child == 0) {
        close(fd);
        if (recvmsg(pair[1], &message, 0) != 1)
            _exit(1);
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
        _exit(write(fd, text, strlen(text)) == (int)strlen(text) ? 0 : 1);
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    int status = 1;
    int sent = sendmsg(pair[0], &message, 0) == 1;
    waitpid(child, &status, 0);
    close(pair[0]);
    close(pair[1]);
    return sent && status == 0;
}

static int flood(void)
{
    static char much[1 << 16];
    for (int i = 0; i < 64; i++)
        for (int left = sizeof much; left > 0;) {
            int written = write(1, much, left);
            if (written <= 0)
                return errno;
            left -= written;
        }
    return 0;
}

/* The descriptor that a shell would have redirected, opened by its name. */
static int by_name(void)
{
    int fd = open("/proc/self/fd/1", O_WRONLY);
    return fd >= 0 && write(fd, "1", 1) == 1 ? 0 : errno;
}

static int is_device(void)
{
    struct stat about;
    char link[64] = "";
    return fstat(1, &about) == 0 && S_ISCHR(about.st_mode) &&
                   readlink("/proc/self/fd/1", link, sizeof link - 1) > 0 &&
                   strcmp(link, "/dev/led") == 0
               ? 0
               : 1;
}

static void streams(void)
{
    char text[16] = "";
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
    int set = epoll_create1(0);
    int fd = open("/dev/serial", O_RDWR);
    int low = dup2(fd, 20);
    say("a serial line is written by another number", write(low, "AT", 2) == 2);
    close(fd);
    say("another process writes to it", written_by_another(low, "ATZ"));
    say("it answers nothing", read(low, text, sizeof text) == 0);
    say("epoll takes a serial line", epoll_ctl(set, EPOLL_CTL_ADD, low, &event) == 0 &&
                                         epoll_wait(set, &event, 1, 1000) == 1 &&
                                         event.events == (EPOLLIN | EPOLLOUT));
    close(low);
    close(set);
    say("a log takes what is redirected", echo("/dev/log", "by 1") == 0);
    say("a lamp takes any amount", redirected("/dev/led", O_WRONLY, 1, flood) == 0);
    say("a lamp is opened by the name of its descriptor",
        redirected("/dev/led", O_WRONLY, 1, by_name) == 0);
    say("a lamp is the device that it is", redirected("/dev/led", O_WRONLY, 1, is_device) == 0);
}

static int opens_and_writes(int *fds, int count)
{
    int taken = 0;
    for (int i = 0; i < count; i++) {
        fds[i] = open("/dev/led", O_WRONLY);
        taken += fds[i] >= 0 && write(fds[i], "1", 1) == 1;
    }
    return taken == count;
}

/* More than there are sockets for, in two processes. */
static void many(void)
{
    enum { COUNT = 600 };
    static int fds[COUNT];
    int opened[2], go[2];
    char byte = 'x';
    if (pipe(opened) != 0 || pipe(go) != 0)
        return;
    pid_t child = fork();
    if (child == 0) {
        close(go[1]);
        int done = opens_and_writes(fds, COUNT);
        if (write(opened[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 0)
            _exit(2);
        _exit(done ? 0 : 1);
    }
    int status = 1;
    say("another has many lamps", read(opened[0], &byte, 1) == 1);
    say("there are as many lamps as anybody opens", opens_and_writes(fds, COUNT));
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
    close(go[1]);
    waitpid(child, &status, 0);
    say("the other's are lamps as well", status == 0);
    say("a lamp is a lamp afterwards", echo("/dev/led", "1\n") == 0);
}

int main(void)
{
    char text[16] = "";
    say("echo 1 > led", echo("/dev/led", "1\n") == 0);
    say("led is as it was", cat_gives("/dev/led", "0"));
    say("echo on > state", echo("/dev/state", "on\n") == 0);
    say("cat < state", cat_gives("/dev/state", "on\n"));
    say("echo disabled > state", echo("/dev/state", "disabled\n") == 0);
    say("echo on > state, again", echo("/dev/state", "on\n") == 0);
    say("it replaces what was there", cat_gives("/dev/state", "on\n"));
    say("a sequence begins", cat_gives("/dev/sequence", "busy\n"));
    say("a sequence goes on", cat_gives("/dev/sequence", "ready\n"));
    say("a sequence stays", cat_gives("/dev/sequence", "ready\n"));
    int fd = open("/dev/cycle", O_RDONLY);
    say("a cycle never ends", read(fd, text, 3) == 3 && memcmp(text, "aba", 3) == 0 &&
                                  read(fd, text, 9) == 9 && memcmp(text, "babababab", 9) == 0);
    close(fd);
    say("unhandled writes fail", echo("/dev/unhandled", "x") == EINVAL);
    say("writes fail as is said", echo("/dev/broken", "x") == EIO);
    fd = open("/dev/counts", O_WRONLY);
    say("a write returns what is said", write(fd, "abc", 3) == 7);
    close(fd);
    say("what has no reads fails to be read",
        redirected("/dev/unreadable", O_RDONLY, 0, fails_to_read) == EINVAL);
    say("bytes are exact", cat_gives("/dev/binary", "\x80\xff\xc3"));
    say("a command is answered by descriptor 0",
        redirected("/dev/fixed", O_RDONLY, 0, asks) == 0);
    say("processes share a position", redirected("/dev/fixed", O_RDONLY, 0, shared_position) == 0);
    say("echo > a file of the results", echo("/dev/out", "written by the guest\n") == 0);
    say("a file of /proc", cat_gives("/proc/vendor/model", "X1\n"));
    positions();
    waiting();
    streams();
    many();
    dprintf(2, "the end\n");
    return 0;
}
