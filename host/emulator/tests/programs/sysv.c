/* System V IPC as a device's root has it: also of what nobody may use by its mode. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

struct message {
    long type;
    char text[16];
};

static void memory(void)
{
    int id = shmget(0x1234, 8192, IPC_CREAT | 0);
    char *at = shmat(id, NULL, 0);
    say("a segment of mode 0 is attached", at != (void *)-1);
    if (at == (void *)-1)
        return;
    strcpy(at, "shared");
    if (fork() == 0) {
        char *mine = shmat(shmget(0x1234, 0, 0), NULL, 0);
        _exit(mine != (void *)-1 && strcmp(mine, "shared") == 0 ? 0 : 1);
    }
    int status;
    wait(&status);
    say("by another process too", status == 0);
    struct shmid_ds about;
    say("its status is read", shmctl(id, IPC_STAT, &about) == 0 && about.shm_segsz == 8192);
    say("it is locked in memory", shmctl(id, SHM_LOCK, NULL) == 0);
    say("and unlocked", shmctl(id, SHM_UNLOCK, NULL) == 0);
    say("it is detached", shmdt(at) == 0);
    uintptr_t place = (uintptr_t)mmap(NULL, 2 * SHMLBA + 8192, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap((void *)place, 2 * SHMLBA + 8192);
    at = (char *)((place + SHMLBA - 1) & ~(uintptr_t)(SHMLBA - 1));
    void *fixed = shmat(id, at, 0);
    say("it is attached at an address of the program's choice",
        fixed == (void *)at);
    say("and not over what is there",
        shmat(id, at, 0) == (void *)-1 && errno == EINVAL && *(char *)fixed == 's');
    say("it is removed", shmctl(id, IPC_RMID, NULL) == 0);
}

static void semaphores(void)
{
    union {
        int value;
        struct semid_ds *about;
    } argument;
    int id = semget(0x1235, 2, IPC_CREAT | 0);
    argument.value = 3;
    say("semaphores of mode 0 are set", semctl(id, 1, SETVAL, argument) == 0);
    say("and read", semctl(id, 1, GETVAL, argument) == 3);
    struct sembuf down = {1, -1, IPC_NOWAIT};
    say("and taken", semop(id, &down, 1) == 0 && semctl(id, 1, GETVAL, argument) == 2);
    say("and removed", semctl(id, 0, IPC_RMID, argument) == 0);
}

static void messages(void)
{
    struct message sent = {1, "a message"}, received = {0, ""};
    int id = msgget(0x1236, IPC_CREAT | 0);
    say("a queue of mode 0 is sent to", msgsnd(id, &sent, sizeof sent.text, 0) == 0);
    say("and received from", msgrcv(id, &received, sizeof received.text, 0, 0) == 16 &&
                                 strcmp(received.text, "a message") == 0);
    struct msqid_ds about;
    say("its status is read", msgctl(id, IPC_STAT, &about) == 0 && about.msg_qnum == 0);
    about.msg_perm.mode = 0600;
    say("and changed", msgctl(id, IPC_SET, &about) == 0);
    say("it is removed", msgctl(id, IPC_RMID, NULL) == 0);
}

int main(void)
{
    memory();
    semaphores();
    messages();
    puts("the end");
    return 0;
}
