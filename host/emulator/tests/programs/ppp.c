/* Interfaces of PPP, as pppd makes them: one of the plan gives way, once. */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/ppp-ioctl.h>
#include <linux/types.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "say.h"

static int is(const char *name)
{
    struct ifreq request = {0};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    strcpy(request.ifr_name, name);
    int found = !ioctl(s, SIOCGIFFLAGS, &request);
    close(s);
    return found;
}

int main(void)
{
    int unit = -1, flags = 0, second = 0;
    int ppp = open("/dev/ppp", O_RDWR);
    say("the device is there", ppp >= 0);
    say("the plan's interface is there", is("ppp0"));
    say("the first unit is made", !ioctl(ppp, PPPIOCNEWUNIT, &unit) && unit == 0 && is("ppp0"));
    say("it has flags", !ioctl(ppp, PPPIOCGFLAGS, &flags) && !ioctl(ppp, PPPIOCSFLAGS, &flags));
    int other = open("/dev/ppp", O_RDWR);
    say("it is made once", ioctl(other, PPPIOCNEWUNIT, &second) < 0 && errno == EEXIST);
    unit = -1;
    say("the next has the next number",
        !ioctl(other, PPPIOCNEWUNIT, &unit) && unit == 1 && is("ppp1"));
    say("a line can be asked for", !ioctl(other, PPPIOCGCHAN, &unit)
        && !ioctl(other, PPPIOCCONNECT, &unit));
    say("nothing comes from it", !fcntl(ppp, F_SETFL, O_NONBLOCK)
        && read(ppp, &unit, sizeof unit) < 0 && errno == EAGAIN);
    puts("the end");
    return 0;
}
