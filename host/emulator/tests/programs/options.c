/* Options of sockets that an emulator may not know. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_packet.h>

static void promise(int kept, const char *what)
{
    if (!kept)
        printf("no %s (%d: %s)\n", what, errno, strerror(errno));
    fflush(stdout);
}

#define SET(s, level, option, value) setsockopt(s, level, option, &value, sizeof value)

int main(void)
{
    int udp = socket(AF_INET, SOCK_DGRAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
    int packets = socket(AF_PACKET, SOCK_RAW, htons(3)), igmp = socket(AF_INET, SOCK_RAW, 2);
    int index = if_nametoindex("eth0"), one = 1;
    struct in_addr address = {inet_addr("10.7.0.1")}, other = {inet_addr("10.9.9.9")};
    struct ip_mreqn group = {{inet_addr("239.1.2.3")}, {0}, index};
    promise(index, "eth0");
    promise(!SET(udp, IPPROTO_IP, IP_MULTICAST_IF, address), "IP_MULTICAST_IF");
    promise(!SET(udp, IPPROTO_IP, IP_MULTICAST_IF, group), "IP_MULTICAST_IF by number");
    promise(SET(udp, IPPROTO_IP, IP_MULTICAST_IF, other) && errno == EADDRNOTAVAIL,
            "EADDRNOTAVAIL of IP_MULTICAST_IF");
    promise(!SET(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, group), "IP_ADD_MEMBERSHIP");
    promise(!SET(udp, IPPROTO_IP, 19, one), "IP_TRANSPARENT");
    promise(!SET(udp6, IPPROTO_IPV6, IPV6_MULTICAST_IF, index), "IPV6_MULTICAST_IF");
    promise(!SET(udp, SOL_SOCKET, SO_MARK, one), "SO_MARK");
    promise(!SET(udp, SOL_SOCKET, SO_BROADCAST, one), "SO_BROADCAST");
    struct packet_mreq all = {index, PACKET_MR_PROMISC, 0, ""};
    promise(!SET(packets, SOL_PACKET, PACKET_ADD_MEMBERSHIP, all), "PACKET_ADD_MEMBERSHIP");
    promise(!SET(packets, SOL_PACKET, PACKET_AUXDATA, one), "PACKET_AUXDATA");
    struct packet_mreq nowhere = {9999, PACKET_MR_PROMISC, 0, ""};
    promise(SET(packets, SOL_PACKET, PACKET_ADD_MEMBERSHIP, nowhere) && errno == ENODEV,
            "ENODEV of PACKET_ADD_MEMBERSHIP");
    int mroute = SET(igmp, IPPROTO_IP, 200, one);
    promise(!mroute || errno == ENOPROTOOPT, "MRT_INIT");
    promise(SET(udp, IPPROTO_IP, 200, one) && errno == EOPNOTSUPP, "EOPNOTSUPP of MRT_INIT");
    if (!mroute) {
        struct { unsigned short number; unsigned char flags, threshold; unsigned limit;
                 struct in_addr local, remote; } interface = {0, 8, 1, 0, {0}, {0}};
        interface.local.s_addr = index;
        promise(!SET(igmp, IPPROTO_IP, 202, interface), "MRT_ADD_VIF");
        promise(!SET(igmp, IPPROTO_IP, 201, one), "MRT_DONE");
    }
    errno = 0;
    promise(setsockopt(udp, 77, 78, &one, sizeof one) && errno, "failure of what nobody knows");
    // event: setsockopt 0,32 -99
    puts("the end");
    return 0;
}
