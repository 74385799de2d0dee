/* A driver's library of our own. What it shows stands in the file SCENE, which is read anew at every call:
 *
 *   driver 550.54.15
 *   cuda 12040
 *   gpu GPU-836c0c09-… name=T4 mem=16384 minor=0 mig=0
 *   gpu GPU-b78a60a0-… lost
 *   hang
 *
 * What is not there is not supported. While it says `hang`, the count of devices does not come back. Without the file there
 * is no driver. Written for the tests from NVML's public interface; there are no more calls than the agent makes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct {
    unsigned version;
    unsigned long long total, reserved, free, used;
} Memory;

/* The line of a scene that begins with this word, the n-th of them; 0 when there is none. */
static int line(const char *word, unsigned n, char *out, size_t size) {
    FILE *file = fopen(SCENE, "r");
    int found = 0;
    size_t length = strlen(word);
    if (!file)
        return 0;
    while (!found && fgets(out, (int)size, file)) {
        out[strcspn(out, "\n")] = 0;
        if (strncmp(out, word, length) == 0 && (out[length] == ' ' || out[length] == 0))
            found = n-- == 0;
    }
    fclose(file);
    return found;
}

/* The value behind `key=` in the line of a device. */
static int value(void *device, const char *key, char *out, size_t size) {
    char text[512], *at;
    if (!line("gpu", (unsigned)(size_t)device - 1, text, sizeof text))
        return GPU_IS_LOST;
    if (strstr(text, " lost"))
        return GPU_IS_LOST;
    at = strstr(text, key);
    if (!at)
        return NOT_SUPPORTED;
    at += strlen(key);
    at[strcspn(at, " ")] = 0;
    snprintf(out, size, "%s", at);
    return SUCCESS;
}

static int number(void *device, const char *key, unsigned *out) {
    char text[64];
    int status = value(device, key, text, sizeof text);
    if (status == SUCCESS)
        *out = (unsigned)strtoul(text, NULL, 10);
    return status;
}

int nvmlInit_v2(void) {
    return access(SCENE, R_OK) == 0 ? SUCCESS : DRIVER_NOT_LOADED;
}

int nvmlShutdown(void) {
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    char text[128];
    if (!line("driver", 0, text, sizeof text))
        return NOT_SUPPORTED;
    snprintf(version, length, "%s", text + strlen("driver "));
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    char text[128];
    if (!line("cuda", 0, text, sizeof text))
        return NOT_SUPPORTED;
    *version = atoi(text + strlen("cuda "));
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    char text[512];
    while (line("hang", 0, text, sizeof text))
        usleep(20000);
    if (access(SCENE, R_OK) != 0)
        return DRIVER_NOT_LOADED;
    for (*count = 0; line("gpu", *count, text, sizeof text); ++*count)
        ;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)(size_t)(index + 1);
    return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    return value(device, "gpu ", uuid, length);
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    return value(device, " name=", name, length);
}

int nvmlDeviceGetMemoryInfo_v2(void *device, Memory *memory) {
    unsigned mib;
    int status = number(device, " mem=", &mib);
    if (status == SUCCESS)
        memory->total = (unsigned long long)mib << 20;
    return status;
}

int nvmlDeviceGetMinorNumber(void *device, unsigned *minor) {
    return number(device, " minor=", minor);
}

int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending) {
    int status = number(device, " mig=", current);
    *pending = *current;
    return status;
}
