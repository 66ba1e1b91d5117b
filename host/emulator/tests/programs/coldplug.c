/* What hotplug daemons do at a start: hotplug2 --no-persistent has another program ask for the
 * events of all devices and ends with the last of them, Android's ueventd asks itself and believes
 * the kernel only. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>

#include "say.h"

static char event[2048];

static const char *line(const char *name)
{
    for (char *at = event; *at; at += strlen(at) + 1)
        if (!strncmp(at, name, strlen(name)))
            return at + strlen(name);
    return "";
}

static int listener(int groups)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = getpid()};
    address.nl_groups = groups;
    int s = socket(PF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT);
    say("it listens", !bind(s, (void *)&address, sizeof address));
    return s;
}

static int add(const char *path)
{
    int fd = open(path, O_WRONLY), done = fd >= 0 && write(fd, "add", 3) == 3;
    if (fd >= 0)
        close(fd);
    return done;
}

/* udevtrigger: each device of a class, by what its link leads to. */
static void trigger(const char *class)
{
    char path[600], real[600];
    DIR *all = opendir(class);
    for (struct dirent *device; all && (device = readdir(all));) {
        snprintf(path, sizeof path, "%s/%s", class, device->d_name);
        if (device->d_name[0] == '.' || !realpath(path, real))
            continue;
        strcat(real, "/uevent");
        if (!access(real, F_OK))
            say("an event is asked for", add(real));
    }
    if (all)
        closedir(all);
}

static long last(void)
{
    char text[32] = "";
    int fd = open("/sys/kernel/uevent_seqnum", O_RDONLY);
    say("the last event has a number", fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    return atol(text);
}

static int terminals;

static void hotplug2(void)
{
    int s = listener(1), status;
    pid_t child = fork();
    if (!child) {
        char path[300];
        DIR *classes = opendir("/sys/class");
        for (struct dirent *class; (class = readdir(classes));) {
            snprintf(path, sizeof path, "/sys/class/%s", class->d_name);
            if (class->d_name[0] != '.')
                trigger(path);
        }
        trigger("/sys/block");
        exit(0);
    }
    for (int exited = 0, seen = 0, silent = 0;;) {
        exited = exited || waitpid(child, &status, WNOHANG) == child;
        if (exited && seen >= last())
            break;
        struct pollfd wait = {s, POLLIN, 0};
        int ready = poll(&wait, 1, 100);
        if (ready < 1 && exited && ++silent > 50) {
            say("hotplug2 sees the last event", 0);
            break;
        }
        int length = ready < 1 ? 0 : recv(s, event, sizeof event - 1, 0);
        if (length <= 0)
            continue;
        event[length] = 0;
        seen = atol(line("SEQNUM="));
        say("an event has an action", strchr(event, '@') && *line("ACTION="));
        terminals += !strcmp(line("SUBSYSTEM="), "tty");
    }
    say("hotplug2 sees terminals", terminals > 0);
    close(s);
}

/* As it is read by libcutils: who sent it must be the kernel, and root. */
static int receive(int s)
{
    char control[CMSG_SPACE(sizeof(struct ucred))];
    struct sockaddr_nl from;
    struct iovec piece = {event, sizeof event - 1};
    struct msghdr m = {&from, sizeof from, &piece, 1, control, sizeof control, 0};
    int length = recvmsg(s, &m, 0);
    if (length <= 0)
        return 0;
    event[length] = 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    say("an event has credentials", c && c->cmsg_type == SCM_CREDENTIALS);
    struct ucred *who = (void *)CMSG_DATA(c);
    errno = who->uid;
    say("its sender is root", who->uid == 0);
    say("its sender is the kernel", from.nl_groups != 0 && from.nl_pid == 0);
    return 1;
}

static int nodes, events;

static void coldboot(int s, const char *path)
{
    char below[600];
    snprintf(below, sizeof below, "%s/uevent", path);
    if (!access(below, F_OK)) {
        say("ueventd asks for an event", add(below));
        int mine = 0;
        while (receive(s)) {
            mine |= !strcmp(line("DEVPATH="), path + strlen("/sys"));
            nodes += *line("DEVNAME=") != 0;
            events++;
        }
        if (strncmp(path, "/sys/class/", 11))
            say("its event is there at once", mine);
    }
    DIR *all = opendir(path);
    for (struct dirent *entry; all && (entry = readdir(all));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        coldboot(s, below);
    }
    if (all)
        closedir(all);
}

static void ueventd(void)
{
    int s = listener(-1), size = 256 * 1024, on = 1;
    say("a buffer is forced", !setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size));
    say("credentials are asked for", !setsockopt(s, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    fcntl(s, F_SETFL, O_NONBLOCK);
    coldboot(s, "/sys/class");
    coldboot(s, "/sys/block");
    coldboot(s, "/sys/devices");
    say("ueventd sees devices", nodes >= 10 && events > nodes);
    close(s);
}

int main(void)
{
    hotplug2();
    ueventd();
    puts("the end");
    return 0;
}
