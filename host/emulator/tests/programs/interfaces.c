/* Interfaces as firmware makes them, by ioctls and by routing netlink. The plan has eth0 and br0,
 * and br9 with an address. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int s;

static void promise(int kept, const char *what)
{
    if (!kept)
        printf("no %s (%d: %s)\n", what, errno, strerror(errno));
    fflush(stdout);
}

static int is(const char *name)
{
    return if_nametoindex(name) != 0;
}

static int bridge(int command, const char *name)
{
    char argument[IFNAMSIZ] = "";
    strcpy(argument, name);
    return ioctl(s, command, argument);
}

static int port(int command, const char *name, const char *port)
{
    struct ifreq r = {0};
    strcpy(r.ifr_name, name);
    r.ifr_ifindex = if_nametoindex(port);
    return ioctl(s, command, &r);
}

struct vlan {
    int command;
    char name[24];
    union {
        char other[24];
        unsigned number;
    };
    short quality;
};

static struct vlan answer;

static int vlan(int command, const char *name, unsigned number)
{
    struct vlan v = {.command = command};
    strcpy(v.name, name);
    v.number = number;
    int result = ioctl(s, 0x8983, &v);
    answer = v;
    return result;
}

static int holds(const char *path, const char *text)
{
    char buffer[4096] = "";
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    int length = read(fd, buffer, sizeof buffer - 1);
    close(fd);
    return length > 0 && strstr(buffer, text) != NULL;
}

static int has_address(const char *name, const char *address)
{
    struct ifreq r = {0};
    strcpy(r.ifr_name, name);
    if (ioctl(s, SIOCGIFADDR, &r))
        return 0;
    struct sockaddr_in *in = (void *)&r.ifr_addr;
    return in->sin_addr.s_addr == inet_addr(address);
}

/* Requests of routing netlink. */
static struct {
    struct nlmsghdr h;
    struct ifinfomsg i;
    char rest[512];
} m;

static struct rtattr *put(int kind, const void *value, int length)
{
    struct rtattr *a = (void *)((char *)&m + NLMSG_ALIGN(m.h.nlmsg_len));
    a->rta_type = kind;
    a->rta_len = RTA_LENGTH(length);
    if (length)
        memcpy(RTA_DATA(a), value, length);
    m.h.nlmsg_len = NLMSG_ALIGN(m.h.nlmsg_len) + RTA_ALIGN(a->rta_len);
    return a;
}

static void end(struct rtattr *a)
{
    a->rta_len = (char *)&m + m.h.nlmsg_len - (char *)a;
}

static int netlink(int by_sendmsg)
{
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct sockaddr_nl to = {.nl_family = AF_NETLINK};
    struct iovec piece = {&m, m.h.nlmsg_len};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece,
                             .msg_iovlen = 1};
    char buffer[4096];
    m.h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    m.h.nlmsg_seq = 42;
    int sent = by_sendmsg ? sendmsg(n, &message, 0) : send(n, &m, m.h.nlmsg_len, 0);
    if (sent != (int)m.h.nlmsg_len)
        return errno = errno ? errno : EPROTO, -1;
    int length = recv(n, buffer, sizeof buffer, 0);
    close(n);
    struct nlmsghdr *h = (void *)buffer;
    if (length < (int)sizeof *h || h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq != 42)
        return errno = EPROTO, -1;
    errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
    return errno ? -1 : 0;
}

static void begin(int kind, int flags)
{
    memset(&m, 0, sizeof m);
    m.h.nlmsg_len = NLMSG_LENGTH(sizeof m.i);
    m.h.nlmsg_type = kind;
    m.h.nlmsg_flags = flags;
}

static int make(const char *name, const char *kind, const char *on, unsigned short id, int by)
{
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    put(IFLA_IFNAME, name, strlen(name) + 1);
    int below = on ? if_nametoindex(on) : 0;
    if (below)
        put(IFLA_LINK, &below, sizeof below);
    struct rtattr *info = put(IFLA_LINKINFO, "", 0);
    put(IFLA_INFO_KIND, kind, strlen(kind));
    if (id) {
        struct rtattr *data = put(IFLA_INFO_DATA, "", 0);
        put(1, &id, sizeof id);
        end(data);
    }
    end(info);
    return netlink(by);
}

static int removed(const char *name)
{
    begin(RTM_DELLINK, 0);
    m.i.ifi_index = if_nametoindex(name);
    return netlink(0);
}

int main(void)
{
    s = socket(AF_INET, SOCK_DGRAM, 0);

    promise(is("eth0") && is("br0") && is("br9"), "interfaces of the plan");
    promise(has_address("br9", "192.168.9.1"), "address of the plan");
    promise(!bridge(0x89a0, "br0"), "bridge in the place of the plan's");
    promise(bridge(0x89a0, "br0") && errno == EEXIST, "EEXIST where it was made");
    promise(!bridge(0x89a0, "br9") && has_address("br9", "192.168.9.1"), "address of a bridge");
    promise(!port(0x89a2, "br0", "eth0"), "port");
    promise(!access("/sys/class/net/br0/brif/eth0", F_OK), "brif");
    promise(!access("/sys/class/net/eth0/brport", F_OK), "brport");
    promise(holds("/sys/class/net/br0/bridge/stp_state", "0"), "stp_state");
    promise(!port(0x89a3, "br0", "eth0"), "way out of a bridge");
    promise(access("/sys/class/net/br0/brif/eth0", F_OK) && errno == ENOENT, "empty brif");
    promise(!bridge(0x89a1, "br0") && !is("br0"), "removal of a bridge");
    promise(bridge(0x89a1, "br0") && errno == ENXIO, "ENXIO of what is no bridge");

    unsigned long older[3] = {2, (unsigned long)"br4", 0};
    promise(!ioctl(s, 0x8941, older) && is("br4"), "bridge by an older call");
    int all[16];
    unsigned long list[3] = {1, (unsigned long)all, 16};
    int count = ioctl(s, 0x8940, list);
    promise(count == 2, "list of two bridges");
    unsigned long add[4] = {4, if_nametoindex("eth0"), 0, 0};
    struct ifreq r = {0};
    strcpy(r.ifr_name, "br4");
    r.ifr_data = (void *)add;
    promise(!ioctl(s, 0x89f0, &r), "port by an older call");
    int ports[256] = {0};
    unsigned long get[4] = {7, (unsigned long)ports, 256, 0};
    r.ifr_data = (void *)get;
    promise(!ioctl(s, 0x89f0, &r) && ports[1] == (int)if_nametoindex("eth0"), "list of ports");
    unsigned long stp[4] = {14, 0, 0, 0};
    r.ifr_data = (void *)stp;
    promise(!ioctl(s, 0x89f0, &r), "spanning tree");

    promise(holds("/proc/net/vlan/config", "VLAN Dev name"), "table of VLANs");
    promise(!vlan(0, "eth0", 5) && is("eth0.5"), "VLAN");
    promise(vlan(0, "eth0", 5) && errno == EEXIST, "EEXIST of a VLAN");
    promise(vlan(0, "eth7", 5) && errno == ENODEV, "ENODEV of a VLAN");
    promise(holds("/proc/net/vlan/config", "eth0.5         | 5    | eth0\n"), "VLAN in the table");
    promise(!vlan(6, "", 1) && !vlan(0, "eth0", 6) && is("vlan6"), "VLAN by another name");
    promise(!vlan(9, "vlan6", 0) && answer.number == 6, "number of a VLAN");
    promise(!vlan(8, "vlan6", 0) && !strcmp(answer.other, "eth0"), "lower interface of a VLAN");
    promise(!vlan(1, "vlan6", 0) && !is("vlan6"), "removal of a VLAN");
    promise(vlan(1, "eth0", 0) && errno == EPERM, "EPERM of what is no VLAN");

    promise(!make("dummy0", "dummy", 0, 0, 0) && is("dummy0"), "dummy by netlink");
    promise(make("dummy0", "dummy", 0, 0, 1) && errno == EEXIST, "EEXIST by netlink");
    promise(!make("lan7", "vlan", "eth0", 7, 1) && is("lan7"), "VLAN by netlink");
    promise(holds("/proc/net/vlan/config", "lan7           | 7    | eth0\n"), "its row");
    promise(!make("br1", "bridge", 0, 0, 0) && is("br1"), "bridge by netlink");
    promise(!make("bond0", "bond", 0, 0, 0) && is("bond0"), "bond by netlink");
    promise(!removed("lan7") && !is("lan7"), "removal by netlink");
    promise(!holds("/proc/net/vlan/config", "lan7"), "end of its row");
    begin(RTM_GETLINK, 0);
    put(IFLA_IFNAME, "wlan7", 6);
    promise(netlink(0) && errno == ENODEV, "ENODEV by netlink");
    // event: sendto RTM_NEWLINK dummy0 dummy 0
    // event: sendmsg RTM_NEWLINK dummy0 dummy -17
    // event: interface wlan7 -19
    // event: interface ra0 -19

    /* Of these an emulator knows nothing. */
    memset(&m, 0, sizeof m);
    m.h.nlmsg_len = NLMSG_LENGTH(12);
    m.h.nlmsg_type = RTM_NEWRULE;
    m.h.nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    ((unsigned char *)&m.i)[0] = AF_INET, ((unsigned char *)&m.i)[4] = 100;
    ((unsigned char *)&m.i)[7] = 1;
    int priority = 1234;
    put(6, &priority, sizeof priority);
    promise(!netlink(0), "rule");
    promise(netlink(1) && errno == EEXIST, "EEXIST of a rule");
    memset(&m, 0, sizeof m);
    m.h.nlmsg_len = NLMSG_LENGTH(12);
    m.h.nlmsg_type = RTM_NEWNEIGH;
    m.h.nlmsg_flags = NLM_F_CREATE;
    int index = if_nametoindex("eth0");
    memcpy((char *)&m.i + 4, &index, sizeof index);
    unsigned short state = 0x80;
    memcpy((char *)&m.i + 8, &state, sizeof state);
    ((unsigned char *)&m.i)[0] = AF_INET;
    struct in_addr neighbour = {inet_addr("192.168.9.7")};
    put(1, &neighbour, sizeof neighbour);
    put(2, "\2\0\0\0\0\7", 6);
    promise(!netlink(0), "neighbour");
    promise(holds("/proc/net/arp", "192.168.9.7"), "neighbour in the table");
    memset(&m, 0, sizeof m);
    m.h.nlmsg_len = NLMSG_LENGTH(1);
    m.h.nlmsg_type = RTM_GETRULE;
    m.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    m.h.nlmsg_seq = 43;
    int rules = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    struct nlmsghdr answers[256];
    promise(send(rules, &m, m.h.nlmsg_len, 0) > 0 && recv(rules, answers, sizeof answers, 0) > 0 &&
            answers->nlmsg_type == NLMSG_DONE && answers->nlmsg_seq == 43, "end of a list");

    int plain = dup(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    begin(RTM_GETLINK, NLM_F_REQUEST);
    m.i.ifi_index = 1;
    char buffer[4096];
    promise(send(plain, &m, m.h.nlmsg_len, 0) > 0 && recv(plain, buffer, sizeof buffer, 0) > 0,
            "answer to a duplicate");

    strcpy(r.ifr_name, "ra0");
    promise(ioctl(s, 0x8b01, &r) && errno == ENODEV, "ENODEV of a wireless interface");
    strcpy(r.ifr_name, "eth0");
    promise(ioctl(s, 0x8b01, &r) && errno == EOPNOTSUPP, "EOPNOTSUPP of a cable");
    promise(ioctl(s, 0x89f3, &r) && errno == EOPNOTSUPP, "EOPNOTSUPP of a driver");
    unsigned link[2] = {10, 7};
    r.ifr_data = (void *)link;
    promise(!ioctl(s, 0x8946, &r) && link[1] == 1, "cable that is in");
    unsigned short *mii = (void *)&r.ifr_data;
    mii[0] = 0, mii[1] = 1;
    promise(!ioctl(s, 0x8947, &r) && mii[0] == 1 && mii[3] & 4, "MII");
    struct sockaddr_in later = {.sin_family = AF_INET, .sin_port = htons(80)};
    later.sin_addr.s_addr = inet_addr("192.168.77.1");
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    promise(bind(tcp, (void *)&later, sizeof later) && errno == EADDRNOTAVAIL, "EADDRNOTAVAIL");
    // event: bind 192.168.77.1:80 -99

    for (const char *const *file = (const char *const[]){"address", "mtu", "operstate", "carrier",
             "tx_queue_len", "speed", "statistics/rx_bytes", "queues/rx-0/rps_cpus", NULL};
         *file; file++) {
        char path[80];
        snprintf(path, sizeof path, "/sys/class/net/eth0/%s", *file);
        promise(holds(path, "\n"), path);
    }
    promise(holds("/sys/class/net/eth0/uevent", "INTERFACE=eth0\n"), "uevent");

    struct ifreq tap = {0};
    strcpy(tap.ifr_name, "tap5");
    tap.ifr_flags = 0x1002;
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    promise(tun >= 0 && !ioctl(tun, TUNSETIFF, &tap) && is("tap5"), "tap");
    promise(read(tun, older, sizeof older) < 0 && errno == EAGAIN, "silence of a tap");
    promise(!ioctl(tun, TUNSETPERSIST, 1), "TUNSETPERSIST");
    struct ifreq some = {.ifr_flags = 1};
    int other = open("/dev/net/tun", O_RDWR);
    promise(!ioctl(other, TUNSETIFF, &some) && !strcmp(some.ifr_name, "tun0") && is("tun0"), "tun");
    strcpy(some.ifr_name, "eth0");
    int third = open("/dev/net/tun", O_RDWR);
    promise(!ioctl(third, TUNSETIFF, &some) && is("eth0"), "tun in the place of the plan's");
    strcpy(some.ifr_name, "lo");
    promise(ioctl(third, TUNSETIFF, &some) && errno == EBUSY, "EBUSY of a tun");
    printf("the end\n");
    return 0;
}
