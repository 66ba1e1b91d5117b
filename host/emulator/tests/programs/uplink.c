/* Models of a name server and of a time server answer beyond an interface of their own, wherever
 * they are asked; a connection to anybody else is refused. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "say.h"

static struct sockaddr_in at(const char *ip, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = inet_addr(ip);
    return to;
}

/* Send a question, and give the length of its answer. */
static int ask(const char *ip, int port, const void *question, int length, unsigned char *answer)
{
    struct sockaddr_in to = at(ip, port);
    struct timeval limit = {.tv_sec = 5};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sendto(s, question, length, 0, (void *)&to, sizeof to);
    int got = recv(s, answer, 512, 0);
    close(s);
    return got;
}

static void names(void)
{
    static const char question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\4pool\3ntp\3org\0\0\1\0\1";
    static const unsigned char address[] = {0, 4, 192, 0, 2, 77};
    const char *servers[] = {"10.0.2.3", "8.8.8.8"};
    for (int i = 0; i < 2; i++) {
        unsigned char answer[512] = {0};
        int got = ask(servers[i], 53, question, sizeof question - 1, answer);
        say(servers[i], got == (int)sizeof question - 1 + 16);
        say("it has the address", got > 6 && !memcmp(answer + got - 6, address, 6));
    }
}

static void times(void)
{
    unsigned char question[48] = {0x23}, answer[512] = {0};
    int got = ask("192.0.2.77", 123, question, sizeof question, answer);
    uint32_t seconds;
    memcpy(&seconds, answer + 40, 4);
    seconds = ntohl(seconds) - 2208988800u;
    say("the time is told", got == 48 && answer[0] == 0x24);
    say("it is the configured one", seconds >= 1700000000 && seconds < 1700000060);
}

int main(void)
{
    struct ifreq request = {.ifr_name = "eth1"};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    say("the interface has an address", !ioctl(s, SIOCGIFADDR, &request));
    say("the interface has its link's", !ioctl(s, SIOCGIFHWADDR, &request)
        && !memcmp(request.ifr_hwaddr.sa_data, "\x52\x54\0\x12\x34\x56", 6));
    names();
    times();
    struct sockaddr_in nobody = at("198.51.100.7", 80);
    say("nobody else is there",
        connect(s, (void *)&nobody, sizeof nobody) && errno == ECONNREFUSED);
    puts("the end");
    return 0;
}
