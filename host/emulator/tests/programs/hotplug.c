/* Events of the kernel about devices, and what /sys shows of them. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <linux/netlink.h>

static void promise(int kept, const char *what)
{
    if (!kept)
        printf("no %s (%d: %s)\n", what, errno, strerror(errno));
    fflush(stdout);
}

static char event[4096];

/* Whether an event begins like this, of those that come within a second of each other. */
static int comes(int s, const char *beginning)
{
    struct pollfd wait = {s, POLLIN, 0};
    while (poll(&wait, 1, 3000) == 1) {
        int length = recv(s, event, sizeof event - 1, 0);
        if (length > 0 && !strcmp(event, beginning)) {
            event[length] = 0;
            return 1;
        }
    }
    return 0;
}

/* A line of the last event. */
static const char *line(const char *name)
{
    static char none[] = "";
    for (char *at = event; *at; at += strlen(at) + 1)
        if (!strncmp(at, name, strlen(name)))
            return at + strlen(name);
    return none;
}

static int listener(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = getpid(), .nl_groups = 1};
    int s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
    if (bind(s, (void *)&address, sizeof address))
        promise(0, "bind");
    return s;
}

static int holds(const char *path, const char *text)
{
    char buffer[512] = "";
    int fd = open(path, O_RDONLY);
    int length = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
    close(fd);
    return length > 0 && strstr(buffer, text) != NULL;
}

static void echo(const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC);
    promise(fd >= 0 && write(fd, "add\n", 4) == 4, path);
    close(fd);
}

int main(void)
{
    promise(holds("/sys/kernel/uevent_seqnum", "0\n"), "number of no event");
    int s = listener();
    promise(comes(s, "add@/devices/virtual/net/eth0"), "event of an interface that exists");
    promise(!strcmp(line("SUBSYSTEM="), "net") && !strcmp(line("INTERFACE="), "eth0"), "lines");
    promise(comes(s, "add@/devices/virtual/mem/null"), "event of a device that exists");
    promise(!strcmp(line("MAJOR="), "1") && !strcmp(line("DEVNAME="), "null"), "its lines");
    promise(atoi(line("SEQNUM=")) > 0, "SEQNUM");
    echo("/sys/class/net/eth0/uevent");
    promise(comes(s, "add@/devices/virtual/net/eth0"), "event on request");
    echo("/sys/class/tty/ttyS0/uevent");
    promise(comes(s, "add@/devices/virtual/tty/ttyS0"), "event of a terminal");
    promise(holds("/sys/kernel/uevent_seqnum", line("SEQNUM=")), "number of the last event");
    char name[16] = "br7";
    promise(!ioctl(socket(AF_INET, SOCK_DGRAM, 0), 0x89a0, name), "bridge");
    promise(comes(s, "add@/devices/virtual/net/br7"), "event of a bridge that is made");

    /* As mdev -s does it: what has a number is made. */
    int count = 0;
    DIR *all = opendir("/sys/class");
    for (struct dirent *class; all && (class = readdir(all));) {
        char path[600];
        if (class->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/sys/class/%s", class->d_name);
        DIR *of = opendir(path);
        for (struct dirent *device; of && (device = readdir(of));) {
            unsigned major, minor;
            struct stat st;
            char text[64] = "";
            snprintf(path, sizeof path, "/sys/class/%s/%s/dev", class->d_name, device->d_name);
            int fd = device->d_name[0] == '.' ? -1 : open(path, O_RDONLY);
            if (fd < 0)
                continue;
            promise(read(fd, text, sizeof text - 1) > 0, path);
            close(fd);
            promise(sscanf(text, "%u:%u", &major, &minor) == 2, path);
            snprintf(path, sizeof path, "/dev/%s", device->d_name);
            int block = !strcmp(class->d_name, "block");
            if (mknod(path, (block ? S_IFBLK : S_IFCHR) | 0600, makedev(major, minor)))
                promise(errno == EEXIST, path);
            /* The console has the number of the terminal that it is. */
            if (strcmp(device->d_name, "console"))
                promise(!stat(path, &st) && st.st_rdev == makedev(major, minor), path);
            count++;
        }
        if (of)
            closedir(of);
    }
    promise(count >= 10, "devices in /sys/class");
    promise(!access("/sys/block/loop0/size", R_OK), "/sys/block");
    promise(holds("/sys/dev/block/7:0/dev", "7:0"), "/sys/dev/block");
    promise(!access("/sys/bus/usb/devices", F_OK), "/sys/bus/usb/devices");
    puts("the end");
    return 0;
}
