/* Interfaces are told by netlink and by /sys as what the firmware made, whatever stands in for
 * them. The plan has eth0. */
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "say.h"

/* What a message tells of an interface. */
static struct {
    char name[32], kind[16];
    int below, vlan;
} told;

static struct rtattr *find(struct rtattr *a, int length, int kind)
{
    for (; RTA_OK(a, length); a = RTA_NEXT(a, length))
        if ((a->rta_type & NLA_TYPE_MASK) == kind)
            return a;
    return NULL;
}

static struct rtattr *within(struct rtattr *a, int kind)
{
    return a ? find(RTA_DATA(a), RTA_PAYLOAD(a), kind) : NULL;
}

static void tell(struct nlmsghdr *h)
{
    struct rtattr *first = IFLA_RTA(NLMSG_DATA(h)), *a;
    int length = IFLA_PAYLOAD(h);
    memset(&told, 0, sizeof told);
    if ((a = find(first, length, IFLA_IFNAME)))
        strcpy(told.name, RTA_DATA(a));
    if ((a = find(first, length, IFLA_LINK)))
        told.below = *(int *)RTA_DATA(a);
    struct rtattr *info = find(first, length, IFLA_LINKINFO);
    if ((a = within(info, IFLA_INFO_KIND)))
        strcpy(told.kind, RTA_DATA(a));
    if ((a = within(within(info, IFLA_INFO_DATA), IFLA_VLAN_ID)))
        told.vlan = *(unsigned short *)RTA_DATA(a);
}

enum way { BY_RECV, BY_READ, BY_RECVMSG };

/* Look for an interface in the list of all. */
static int listed(const char *name, enum way way)
{
    static char answer[32768];
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), found = 0, ended = 0;
    begin(RTM_GETLINK, NLM_F_DUMP, sizeof m.i);
    send(n, &m, m.h.nlmsg_len, 0);
    while (!ended) {
        struct sockaddr_nl from = {.nl_pid = 77};
        struct iovec piece = {answer, sizeof answer};
        struct msghdr message = {&from, sizeof from, &piece, 1, NULL, 0, 0};
        /* How long is it? As iproute2 asks. */
        struct iovec nowhere = {NULL, 0};
        struct msghdr probe = {&from, sizeof from, &nowhere, 1, NULL, 0, 0};
        int length, whole = sizeof answer;
        if (way == BY_RECVMSG)
            whole = recvmsg(n, &probe, MSG_PEEK | MSG_TRUNC);
        if (way == BY_READ)
            length = read(n, answer, sizeof answer);
        else if (way == BY_RECV)
            length = recv(n, answer, sizeof answer, 0);
        else
            length = recvmsg(n, &message, 0);
        if (way == BY_RECVMSG)
            say("the kernel has sent it", from.nl_family == AF_NETLINK && !from.nl_pid);
        say("an answer is as long as was said", length > 0 && length <= whole);
        if (length <= 0)
            break;
        for (struct nlmsghdr *h = (void *)answer; NLMSG_OK(h, (unsigned)length);
             h = NLMSG_NEXT(h, length)) {
            ended |= h->nlmsg_type != RTM_NEWLINK;
            if (ended || found)
                continue;
            tell(h);
            found = !strcmp(told.name, name);
        }
    }
    close(n);
    return found;
}

/* Ask for one interface. */
static int asked(const char *name)
{
    char answer[4096];
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    begin(RTM_GETLINK, 0, sizeof m.i);
    m.i.ifi_index = if_nametoindex(name);
    send(n, &m, m.h.nlmsg_len, 0);
    int seen = recv(n, answer, sizeof answer, MSG_PEEK);
    int length = recv(n, answer, sizeof answer, 0);
    close(n);
    say("what was looked at is what is read", seen == length && length > 0);
    tell((void *)answer);
    return !strcmp(told.name, name);
}

static int make(const char *name, const char *kind, int vlan)
{
    struct {
        struct nlmsghdr h;
        struct nlmsgerr e;
        char rest[256];
    } answer;
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), below = if_nametoindex("eth0");
    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, sizeof m.i);
    put(IFLA_IFNAME, name, strlen(name) + 1);
    if (vlan)
        put(IFLA_LINK, &below, sizeof below);
    struct rtattr *info = put(IFLA_LINKINFO, "", 0);
    put(IFLA_INFO_KIND, kind, strlen(kind));
    if (vlan) {
        unsigned short id = vlan;
        struct rtattr *data = put(IFLA_INFO_DATA, "", 0);
        put(IFLA_VLAN_ID, &id, sizeof id);
        data->rta_len = (char *)&m + m.h.nlmsg_len - (char *)data;
    }
    info->rta_len = (char *)&m + m.h.nlmsg_len - (char *)info;
    send(n, &m, m.h.nlmsg_len, 0);
    int length = recv(n, &answer, sizeof answer, 0);
    close(n);
    return length > 0 && answer.h.nlmsg_type == NLMSG_ERROR && !answer.e.error;
}

static int holds(const char *path, const char *text)
{
    char buffer[2048] = "";
    int fd = open(path, O_RDONLY);
    int length = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);
    close(fd);
    return length > 0 && strstr(buffer, text) != NULL;
}

static int is_vlan(void)
{
    return !strcmp(told.kind, "vlan") && told.vlan == 10 &&
           told.below == (int)if_nametoindex("eth0");
}

int main(void)
{
    say("a VLAN is made", make("eth0.10", "vlan", 10));
    say("a dummy is made", make("dummy0", "dummy", 0));
    say("a bond is made", make("bond0", "bond", 0));
    for (enum way way = BY_RECV; way <= BY_RECVMSG; way++)
        say("a VLAN is listed as one", listed("eth0.10", way) && is_vlan());
    say("a VLAN is told as one", asked("eth0.10") && is_vlan());
    say("a dummy is told as one", asked("dummy0") && !strcmp(told.kind, "dummy") && !told.below);
    say("a bond is told as one", asked("bond0") && !strcmp(told.kind, "bond") && !told.below);
    say("one of the plan is a plain one", asked("eth0") && !*told.kind && !told.below);
    say("the kernel's own is told", asked("lo") && !*told.kind);

    char number[16];
    snprintf(number, sizeof number, "%d\n", if_nametoindex("eth0"));
    say("/sys knows a VLAN", holds("/sys/class/net/eth0.10/uevent", "DEVTYPE=vlan\n"));
    say("it is of another", holds("/sys/class/net/eth0.10/iflink", number));
    say("that is below it", holds("/sys/class/net/eth0.10/lower_eth0/ifindex", number));
    say("a device's directory tells it too", holds("/sys/devices/virtual/net/eth0/mtu", "1500"));
    say("it is above that", !access("/sys/class/net/eth0/upper_eth0.10/mtu", F_OK));
    say("it has a file", holds("/proc/net/vlan/eth0.10", "VID: 10\t"));
    say("the file says of what it is", holds("/proc/net/vlan/eth0.10", "Device: eth0\n"));

    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    begin(RTM_DELLINK, 0, sizeof m.i);
    m.i.ifi_index = if_nametoindex("eth0.10");
    send(n, &m, m.h.nlmsg_len, 0);
    say("it goes", !if_nametoindex("eth0.10"));
    say("so does its file", access("/proc/net/vlan/eth0.10", F_OK));
    say("nothing is above", access("/sys/class/net/eth0/upper_eth0.10", F_OK));
    puts("the end");
    return 0;
}
