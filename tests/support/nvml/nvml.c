/* A fake libnvidia-ml.so.1 with NVML's signatures and structures. It answers from the file that FAKE_NVML names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu_instance, compute_instance; } process_t;
typedef struct { unsigned pid; unsigned long long stamp; unsigned sm, memory, encoder, decoder; } sample_t;
typedef struct { unsigned long long reference, violation; } violation_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_t;
struct device { int instance; };
static struct device whole = {0}, instance = {1};
static int opened;

/* The text after the nth line that begins with a key. */
static int said(const char *key, int nth, char *value) {
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t length = strlen(key);
        if (!strncmp(line, key, length) && line[length] == ' ' && nth-- == 0) {
            line[strcspn(line, "\n")] = 0;
            strcpy(value, line + length + 1);
            found = 1;
        }
    }
    if (file) fclose(file);
    return found;
}

static int number(const char *key, unsigned long long *value) {
    char text[256];
    if (!said(key, 0, text)) return NOT_SUPPORTED;
    *value = strtoull(text, NULL, 10);
    return SUCCESS;
}

/* Every call returns this error, except opening and closing. */
static int broken(void) {
    unsigned long long code;
    return number("every_call", &code) == SUCCESS ? (int)code : SUCCESS;
}

static int of_whole(struct device *device, const char *key, unsigned long long *value) {
    int error = broken();
    if (error) return error;
    return device == &whole ? number(key, value) : NOT_SUPPORTED;
}

int nvmlInitWithFlags(unsigned flags) {
    char text[256];
    (void)flags;
    if (!said("driver", 0, text)) return DRIVER_NOT_LOADED;
    opened++;
    return SUCCESS;
}

int nvmlShutdown(void) { opened--; return SUCCESS; }

/* Not part of NVML: how often the library was opened and not closed. */
int times_open(void) { return opened; }

const char *nvmlErrorString(int code) { static char text[32]; sprintf(text, "error %d", code); return text; }

int nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device) {
    char text[256];
    int error = broken();
    if (error) return error;
    if (said("gpu", 0, text) && !strcmp(text, uuid)) { *device = &whole; return SUCCESS; }
    if (said("instance", 0, text) && !strcmp(text, uuid)) { *device = &instance; return SUCCESS; }
    return NOT_FOUND;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *device, struct device **parent) {
    *parent = &whole;
    return device == &instance ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetMigMode(struct device *device, unsigned *current, unsigned *pending) {
    unsigned long long mode;
    int error = of_whole(device, "mig", &mode);
    if (!error) *current = *pending = (unsigned)mode;
    return error;
}

int nvmlDeviceGetName(struct device *device, char *name, unsigned size) {
    (void)device;
    snprintf(name, size, "NVIDIA Test");
    return broken();
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
    if (broken()) return broken();
    snprintf(version, size, "570.86.15");
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(struct device *device, unsigned long long *millijoules) {
    unsigned long long watts;
    struct timespec now;
    int error = of_whole(device, "energy", millijoules);
    if (!error && number("watts", &watts) == SUCCESS) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        *millijoules += watts * (now.tv_sec * 1000ull + now.tv_nsec / 1000000);
    }
    return error;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *device, unsigned long long *reasons) {
    return of_whole(device, "reasons", reasons);
}

/* Clocks in MHz: of the multiprocessors (1) only. */
int nvmlDeviceGetClockInfo(struct device *device, unsigned kind, unsigned *clock) {
    unsigned long long value;
    int error = kind == 1 ? of_whole(device, "clock", &value) : NOT_SUPPORTED;
    if (!error) *clock = (unsigned)value;
    return error;
}

int nvmlDeviceGetMaxClockInfo(struct device *device, unsigned kind, unsigned *clock) {
    unsigned long long value;
    int error = kind == 1 ? of_whole(device, "highest_clock", &value) : NOT_SUPPORTED;
    if (!error) *clock = (unsigned)value;
    return error;
}

/* Nanoseconds in which heat (policy 1) lowered the clocks. */
int nvmlDeviceGetViolationStatus(struct device *device, unsigned policy, violation_t *times) {
    return policy == 1 ? of_whole(device, "hot", &times->violation) : NOT_SUPPORTED;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(struct device *device, unsigned long long *reasons) {
    return of_whole(device, "reasons", reasons);
}

int nvmlDeviceGetMemoryInfo_v2(struct device *device, memory_t *memory) {
    (void)device;
    if (memory->version != (sizeof(memory_t) | 2u << 24)) return 25; /* another version of the arguments */
    int error = broken();
    return error ? error : number("used", &memory->used);
}
#endif

int nvmlDeviceGetMemoryInfo(struct device *device, unsigned long long total_free_used[3]) {
    (void)device;
    int error = broken();
    return error ? error : number("used", &total_free_used[2]);
}

/* Instances have their own processes: "instance_process". */
int nvmlDeviceGetComputeRunningProcesses_v3(struct device *device, unsigned *count, process_t *processes) {
    const char *key = device == &whole ? "process" : "instance_process";
    char text[256];
    unsigned found = 0;
    int error = broken();
    if (error) return error;
    if (!said("lists_processes", 0, text)) return NOT_SUPPORTED;
    for (; said(key, (int)found, text); found++) {
        if (found >= *count) continue;
        memset(&processes[found], 0, sizeof(process_t));
        sscanf(text, "%u %llu", &processes[found].pid, &processes[found].bytes);
        if (!processes[found].pid && said("caller", 0, text)) processes[found].pid = getpid();
    }
    error = found > *count ? INSUFFICIENT_SIZE : SUCCESS;
    *count = found;
    return error;
}

int nvmlDeviceGetProcessUtilization(struct device *device, sample_t *samples, unsigned *count, unsigned long long since) {
    char text[256];
    unsigned found = 0;
    int error = broken();
    if (error) return error;
    if (device != &whole || !said("samples", 0, text)) return NOT_SUPPORTED;
    for (int line = 0; said("sample", line, text); line++) {
        sample_t sample = {0};
        sscanf(text, "%u %llu %u", &sample.pid, &sample.stamp, &sample.sm);
        if (sample.stamp <= since) continue;
        if (samples && found < *count) samples[found] = sample;
        found++;
    }
    if (!found) return NOT_FOUND;
    error = !samples || found > *count ? INSUFFICIENT_SIZE : SUCCESS;
    *count = found;
    return error;
}
