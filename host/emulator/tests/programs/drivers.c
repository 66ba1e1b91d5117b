/* What drivers of interfaces answer by configuration, to wireless and to vendors' commands. */
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "say.h"

#define SIOCIWFIRSTPRIV 0x8BE0
#define SIOCGIWESSID 0x8B1B
#define SIOCSIWESSID 0x8B1A

struct request {
    char name[16];
    struct {
        void *pointer;
        unsigned short length, flags;
        char rest[8];
    } data;
};

static int s;

static int ask(const char *interface, unsigned long command, struct request *request)
{
    memset(request->name, 0, sizeof request->name);
    strcpy(request->name, interface);
    errno = 0;
    return ioctl(s, command, request);
}

int main(void)
{
    char text[16] = "unchanged";
    struct request request = {.data = {.pointer = text, .length = sizeof text}};
    s = socket(AF_INET, SOCK_DGRAM, 0);

    say("a vendor's command answers by the pointer",
        ask("eth0", SIOCDEVPRIVATE + 1, &request) == 7 && !strcmp(text, "v1.2"));
    say("every interface has the other's answer", !ask("eth1", SIOCSIWESSID, &request));
    say("the first counts for what it is about",
        ask("eth0", SIOCSIWESSID, &request) < 0 && errno == EBUSY);
    say("data stands behind the name", !ask("eth0", SIOCIWFIRSTPRIV + 1, &request)
        && !memcmp(&request.data, "\3\0\0\1", 4));
    say("what is without a model fails",
        ask("eth0", SIOCGIWESSID, &request) < 0 && errno == EOPNOTSUPP);
    say("an interface that is not there has no driver",
        ask("ra0", SIOCSIWESSID, &request) < 0 && errno == ENODEV);
    say("a command outside of all ranges answers", ask("eth0", 0x6B6F, &request) == 5);
    puts("the end");
    return 0;
}
