/* Requests of routing netlink about interfaces. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

static struct {
    struct nlmsghdr h;
    struct ifinfomsg i;
    char rest[256];
} m;

static void begin(int kind, int flags, int length)
{
    memset(&m, 0, sizeof m);
    m.h.nlmsg_len = NLMSG_LENGTH(length);
    m.h.nlmsg_type = kind;
    m.h.nlmsg_flags = NLM_F_REQUEST | flags;
    m.h.nlmsg_seq = 42;
}

static struct rtattr *put(int kind, const void *value, int length)
{
    struct rtattr *a = (void *)((char *)&m + NLMSG_ALIGN(m.h.nlmsg_len));
    a->rta_type = kind;
    a->rta_len = RTA_LENGTH(length);
    memcpy(RTA_DATA(a), value, length);
    m.h.nlmsg_len = NLMSG_ALIGN(m.h.nlmsg_len) + RTA_ALIGN(a->rta_len);
    return a;
}
