/* What set-up scripts ask of the network besides interfaces: lists by write and on a strict socket,
 * options of a kind that another interface stands in for, and tunnels by ioctls. */
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "say.h"

static void kind(const char *name, int option)
{
    struct rtattr *info = put(IFLA_LINKINFO, "", 0);
    put(IFLA_INFO_KIND, name, strlen(name));
    if (option) {
        struct rtattr *data = put(IFLA_INFO_DATA, "", 0);
        unsigned char value = 1;
        put(option, &value, sizeof value);
        data->rta_len = (char *)&m + m.h.nlmsg_len - (char *)data;
    }
    info->rta_len = (char *)&m + m.h.nlmsg_len - (char *)info;
}

/* The kind of the answer's first message, or the error that it tells. The room is what the C
 * libraries give: qemu leaves a message that was cut off in the host's byte order. */
static int answer(int n)
{
    struct nlmsghdr answer[8192 / sizeof(struct nlmsghdr)];
    if (recv(n, answer, sizeof answer, 0) < (int)sizeof *answer)
        return -1;
    int code = answer->nlmsg_type == NLMSG_ERROR ? *(int *)NLMSG_DATA(answer) : 0;
    errno = -code;
    return code ? -1 : answer->nlmsg_type;
}

static int changed(void)
{
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    m.h.nlmsg_flags |= NLM_F_ACK;
    int done = send(n, &m, m.h.nlmsg_len, 0) > 0 && answer(n) == NLMSG_ERROR;
    close(n);
    return done;
}

static int s;
static char tunnel[64];

static int control(int command, const char *device, const char *name)
{
    struct ifreq request = {0};
    memset(tunnel, 0, sizeof tunnel);
    strcpy(tunnel, name);
    strcpy(request.ifr_name, device);
    request.ifr_data = tunnel;
    return ioctl(s, command, &request);
}

int main(void)
{
    int n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), on = 1;
    begin(RTM_GETRULE, NLM_F_DUMP, 1);
    say("rules are listed to who writes",
        write(n, &m, m.h.nlmsg_len) == (int)m.h.nlmsg_len && answer(n) == NLMSG_DONE);
    begin(RTM_GETLINK, NLM_F_DUMP, sizeof m.i);
    say("interfaces are listed to who writes",
        write(n, &m, m.h.nlmsg_len) == (int)m.h.nlmsg_len && answer(n) == RTM_NEWLINK);

    n = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    setsockopt(n, 270, 12, &on, sizeof on); /* NETLINK_GET_STRICT_CHK */
    begin(RTM_GETNEIGH, NLM_F_DUMP, 12);
    say("neighbours are listed on a strict socket",
        send(n, &m, m.h.nlmsg_len, 0) > 0 && answer(n) == NLMSG_DONE);

    begin(RTM_GETNEIGH, NLM_F_DUMP, 12);
    say("what follows a request is not read",
        send(n, &m, sizeof m, 0) == sizeof m && answer(n) == NLMSG_DONE);

    begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof m.i);
    put(IFLA_IFNAME, "odd0", 5);
    kind("unheard-of", 0);
    say("another stands in for what no kernel has", changed() && if_nametoindex("odd0"));
    begin(RTM_NEWLINK, 0, sizeof m.i);
    m.i.ifi_index = if_nametoindex("odd0");
    kind("unheard-of", 3);
    say("it takes its kind's options", changed());
    begin(RTM_NEWLINK, 0, sizeof m.i);
    m.i.ifi_index = if_nametoindex("lo");
    kind("unheard-of", 3);
    say("others do not", !changed());

    s = socket(AF_INET, SOCK_DGRAM, 0);
    say("a tunnel is made", !control(SIOCDEVPRIVATE + 1, "gre0", "gre7") && if_nametoindex("gre7"));
    say("it is made once", control(SIOCDEVPRIVATE + 1, "gre0", "gre7") && errno == EEXIST);
    say("it is changed", !control(SIOCDEVPRIVATE + 3, "gre7", "gre7"));
    say("it is removed",
        !control(SIOCDEVPRIVATE + 2, "gre7", "gre7") && !if_nametoindex("gre7"));
    say("what is no tunnel is not", control(SIOCDEVPRIVATE + 2, "gre0", "odd0"));
    puts("the end");
    return 0;
}
