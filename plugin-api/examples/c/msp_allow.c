/*
 * An auth filter in C: lets organisations on a list through and refuses all others.
 *
 *   gcc -std=c11 -O2 -Wall -Wextra -shared -fPIC -fvisibility=hidden -I ../../include -o libmsp_allow.so msp_allow.c
 *
 *   peer:
 *     handlers:
 *       authFilters:
 *         - { name: org-allow, library: libmsp_allow.so, config: { allow: "Org1MSP Org2MSP" } }
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <fabric_peer_plugin.h>

#include <stdlib.h>
#include <string.h>

FPP_MANIFEST("msp-allow", "1.0.0", FPP_AUTH_FILTER);

/* The peer checks the configuration against this schema before the constructor sees it: names without anything that
 * JSON escapes, so that no JSON reader is needed below. */
FPP_METADATA("{\"name\":\"msp-allow\","
             "\"description\":\"Lets the organisations of a list through.\","
             "\"configSchema\":{\"type\":\"object\",\"required\":[\"allow\"],\"additionalProperties\":false,"
             "\"properties\":{\"allow\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]+( [A-Za-z0-9._-]+)*$\"}}}}");

typedef struct {
  const fpp_host *host; /* valid for ever */
  size_t len;
  char allow[]; /* names with one space between them, and one before and after */
} filter;

static fpp_bytes text(const char *literal) {
  return (fpp_bytes){(const uint8_t *)literal, strlen(literal)};
}

/* Whether ` msp ` is part of the list. */
static int is_allowed(const filter *self, fpp_bytes msp) {
  if (msp.len == 0 || msp.len > self->len || memchr(msp.ptr, ' ', msp.len) != NULL) {
    return 0;
  }
  for (size_t at = 0; at + msp.len + 2 <= self->len; at++) {
    if (self->allow[at] == ' ' && self->allow[at + 1 + msp.len] == ' ' &&
        memcmp(self->allow + at + 1, msp.ptr, msp.len) == 0) {
      return 1;
    }
  }
  return 0;
}

static void before(void *this, const fpp_request *request, fpp_call call) {
  const filter *self = this;
  fpp_answer answer = {.size = sizeof answer, .outcome = FPP_CONTINUE};
  if (!is_allowed(self, request->msp_id)) {
    static const char reason[] = "this organisation may not endorse here";
    answer.outcome = FPP_REJECT;
    answer.code = FPP_PERMISSION_DENIED;
    /* static memory: there is nothing to free. The peer does not write into it. */
    answer.bytes = (fpp_buf){.ptr = (uint8_t *)reason, .len = sizeof reason - 1};
    self->host->counter_add(self->host, text("denied"), 1);
  }
  /* The decision is there already. A filter that has to ask somebody returns, and does this later on another thread. */
  self->host->complete(self->host, call, &answer);
  /* From here on `request` is gone. */
}

static void destroy(void *this) {
  free(this);
}

static uint32_t refuse(fpp_plugin *out, const char *reason) {
  out->error = (fpp_buf){.ptr = (uint8_t *)reason, .len = strlen(reason)};
  return FPP_CONFIG;
}

uint32_t fabric_peer_plugin_create(const fpp_host *host, fpp_bytes instance, fpp_bytes config, fpp_plugin *out) {
  (void)instance;
  /* {"allow":"Org1MSP Org2MSP"}: the list is between the third and the fourth quotation mark */
  size_t marks[4], found = 0;
  for (size_t at = 0; at < config.len && found < 4; at++) {
    if (config.ptr[at] == '"') {
      marks[found++] = at;
    }
  }
  if (found < 4) {
    return refuse(out, "no list of organisations");
  }
  size_t len = marks[3] - marks[2] - 1;
  filter *self = malloc(sizeof *self + len + 2);
  if (self == NULL) {
    return refuse(out, "out of memory");
  }
  self->host = host;
  self->len = len + 2;
  self->allow[0] = ' ';
  memcpy(self->allow + 1, config.ptr + marks[2] + 1, len);
  self->allow[len + 1] = ' ';

  out->size = sizeof *out;
  out->self = self;
  out->before = before;
  out->destroy = destroy;
  return 0;
}
