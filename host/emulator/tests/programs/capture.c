/* What goes over the interfaces is recorded: to oneself once, and out to where nobody is. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void promise(int kept, const char *what)
{
    if (!kept)
        printf("no %s\n", what);
    fflush(stdout);
}

static void say(int s, const char *ip, const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4711)};
    to.sin_addr.s_addr = inet_addr(ip);
    promise(sendto(s, text, strlen(text), 0, (void *)&to, sizeof to) == (int)strlen(text), text);
}

int main(void)
{
    int s = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    setsockopt(s, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
    /* The process that records may start a little later than this one. */
    for (int i = 0; i < 20; i++) {
        say(s, "127.0.0.1", "to-myself");
        say(s, "10.7.0.255", "to-everybody");
        usleep(100 * 1000);
    }
    puts("the end");
    return 0;
}
