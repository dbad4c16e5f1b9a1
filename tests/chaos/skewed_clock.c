/* A host's wrong clock, for one process tree: LD_PRELOAD this with SKEW_SECONDS set.
 *
 * Moves what a process reads as the time of day, and the deadlines that it computes from it. The monotonic
 * clock stays as it is, as on a real host. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long skew(void) {
    const char *text = getenv("SKEW_SECONDS");
    return text ? atol(text) : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = REAL(clock_gettime)(clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += skew();
    return result;
}

int gettimeofday(struct timeval *at, void *zone) {
    int result = REAL(gettimeofday)(at, zone);
    if (result == 0) at->tv_sec += skew();
    return result;
}

time_t time(time_t *at) {
    time_t now = REAL(time)(NULL) + skew();
    if (at) *at = now;
    return now;
}

int sem_timedwait(sem_t *semaphore, const struct timespec *until) {
    struct timespec real = *until;
    real.tv_sec -= skew();
    return REAL(sem_timedwait)(semaphore, &real);
}
