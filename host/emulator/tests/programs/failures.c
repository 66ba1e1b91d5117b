/* What fails for want of something: each of these is told, with its reason, in the events. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static void use(int result)
{
    (void)result;
}

static void to_local(const char *path, int binds)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, path);
    if (binds)
        use(bind(fd, (struct sockaddr *)&address, sizeof address));
    else
        use(connect(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
}

static void to_port(const char *ip, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = inet_addr(ip);
    use(connect(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
}

int main(void)
{
    to_local("/tmp/nobody.sock", 0);                      // event: connect /tmp/nobody.sock -2
    to_local("/var/run/missing/own.sock", 1);
    // event: bind /var/run/missing/own.sock -2
    to_port("127.0.0.1", 4242);                           // event: connect 127.0.0.1:4242 -111
    to_port("192.0.2.7", 4243);                           // event: connect 192.0.2.7:4243 ?
    use(open("/var/lock/missing/pid", O_CREAT | O_WRONLY, 0644));
    // event: openat /var/lock/missing/pid -2
    use(mkdirat(AT_FDCWD, "/var/made/below", 0755));      // event: mkdirat /var/made/below -2
    use(symlinkat("init", AT_FDCWD, "/var/gone/init"));    // event: symlinkat /var/gone/init -2
    use(chdir("/var/nowhere"));                           // event: chdir /var/nowhere -2
    use(shmget(0x777, 4096, 0));                          // event: shmget 1911,4096,0 -2
    use(semget(0x778, 1, 0));                             // event: semget 1912,1,0 -2
    use(msgget(0x779, 0));                                // event: msgget 1913,0 -2
    struct sembuf one = {0, 1, IPC_NOWAIT};
    use(semop(31338, &one, 1));                           // event: semop 31338,1 -22
    // The emulator asks for its status first.
    use(shmat(31337, NULL, 0) != NULL);                   // event: shmctl 31337,2 -22
    use(socket(38, SOCK_DGRAM, 0));                       // event: socket 38,2,0 -97
    use(syscall(SYS_unshare, 0x20000));                   // event: unshare 131072 -1
    use(setsockopt(socket(AF_INET, SOCK_DGRAM, 0), 77, 78, "", 1));
    // event: setsockopt 77,78 -92
    printf("the end\n");
    fflush(stdout);
    use(open("/dev/flash", O_RDWR));                      // event: crash /dev/flash 11
    *(volatile int *)4 = 1;
    return 0;
}
