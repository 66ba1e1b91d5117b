/* Services of every kind, friendly and hostile: each is asked whether it answers, and none of them
 * holds the others up or gets a word in that is not its own. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// event: answered 80 start http 200 Call reset_patch \u{1b}[2J \xff
// event: answered 22 start banner - SSH-2.0-test
// event: answered 23 start silent - -
// event: answered 24 start http 200 -
// event: answered 25 start http 200 -
// event: answered 26 start closed - -
// event: answered 443 start tls - -

static void say(int client, const char *text) { (void)!write(client, text, strlen(text)); }

static void request(int client) {
	char buffer[512];
	(void)!read(client, buffer, sizeof buffer);
}

static void page(int client) {
	request(client);
	say(client, "HTTP/1.0 200 OK\r\n\r\n<title>Call reset_patch \033[2J \xff</title>");
}

static void banner(int client) {
	say(client, "SSH-2.0-test\r\n");
	request(client);
}

static void silence(int client) {
	while (read(client, (char[64]){0}, 64) > 0)
		;
}

static void drip(int client) {
	struct timespec pause = {0, 100 * 1000 * 1000};
	request(client);
	say(client, "HTTP/1.0 200 OK\r\n");
	while (write(client, "x", 1) == 1)
		nanosleep(&pause, NULL);
}

static void endless(int client) {
	static char block[4096];
	request(client);
	say(client, "HTTP/1.0 200 OK\r\n\r\n");
	memset(block, 'x', sizeof block);
	while (write(client, block, sizeof block) > 0)
		;
}

static void nothing(int client) { request(client); }

static void alert(int client) {
	request(client);
	(void)!write(client, "\x15\x03\x01\x00\x02\x02\x28", 7);
}

/* Serves one client at a time, for ever. */
static pid_t serve(int port, void (*one)(int)) {
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&at, sizeof at) || listen(listener, 1))
		printf("no port %d\n", port);
	pid_t child = fork();
	if (child)
		return close(listener), child;
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int client = accept(listener, NULL, NULL);
		one(client);
		close(client);
	}
}

int main(void) {
	pid_t web = serve(80, page);
	serve(22, banner);
	serve(23, silence);
	serve(24, drip);
	serve(25, endless);
	serve(26, nothing);
	serve(443, alert);
	sleep(10);
	if (waitpid(web, NULL, WNOHANG))
		puts("no web server any more");
	puts("the end");
	return 0;
}
