/* Test fixture: a filter and a decorator in C that do, and misdo, what {"mode":"…"} says. */
#include <fabric_peer_plugin.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef KINDS
#define KINDS (FPP_AUTH_FILTER | FPP_DECORATOR)
#endif

FPP_MANIFEST("CFixture", "0.1.0", KINDS);
FPP_METADATA("{\"name\":\"CFixture\",\"description\":\"Does as it is told.\","
             "\"configSchema\":{\"type\":\"object\",\"properties\":{\"mode\":{\"type\":\"string\"}}}}");

typedef struct {
  const fpp_host *host;
  char mode[512];
  int destroyed;
  int in_order;
} instance;

/* A call on its way to another thread. */
typedef struct {
  instance *self;
  const fpp_request *request;
  fpp_call call;
} job;

static fpp_bytes text(const char *text) { return (fpp_bytes){(const uint8_t *)text, strlen(text)}; }

static void release(void *owner, uint8_t *ptr, size_t len) {
  instance *self = owner;
  (void)len;
  free(ptr);
  self->host->counter_add(self->host, text("freed"), 1);
}

static fpp_buf buffer(instance *self, const char *content, size_t len) {
  uint8_t *copy = malloc(len + 1);
  memcpy(copy, content, len);
  return (fpp_buf){copy, len, self, release};
}

static fpp_answer answer(uint32_t outcome) { return (fpp_answer){.size = sizeof(fpp_answer), .outcome = outcome}; }

static int is(const instance *self, const char *mode) { return strcmp(self->mode, mode) == 0; }

static fpp_answer respond(instance *self, const char *content) {
  fpp_answer says = answer(FPP_RESPOND);
  says.bytes = buffer(self, content, strlen(content));
  return says;
}

/* Everything that a filter can see, one fact a line. */
static fpp_answer facts(instance *self, const fpp_request *request, fpp_call call) {
  const fpp_host *host = self->host;
  fpp_bytes all[] = {request->proposal_bytes, request->signature, request->channel_id, request->tx_id,
                     request->chaincode_name, request->msp_id, request->creator_cert, request->remote_addr};
  char out[4096];
  size_t len = 0;
  for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
    memcpy(out + len, all[at].ptr, all[at].len);
    len += all[at].len;
    out[len++] = '\n';
  }
  fpp_buf value;
  if (host->attr(host, call, text("trace.parent"), &value)) {
    memcpy(out + len, value.ptr, value.len);
    len += value.len;
    value.free(value.owner, value.ptr, value.len);
  }
  int none = host->attr(host, call, text("no such fact"), &value);
  int set = host->set_attr(host, call, text("c.fact"), text("said"));
  int forged = host->set_attr(host, call, text("trace.parent"), text("x"));
  int heard = host->attr(host, call, text("c.fact"), &value);
  len += (size_t)snprintf(out + len, 64, "\n%d %d %d %d %d %d", none, set, forged, heard, value.len == 4,
                          host->wanted(host, call));
  value.free(value.owner, value.ptr, value.len);
  host->log(host, 3, text("looked at the facts"));
  host->observe(host, text("looked"), 0.5);
  out[len] = 0;
  return respond(self, out);
}

static void *later(void *given) {
  job *todo = given;
  instance *self = todo->self;
  const fpp_host *host = self->host;
  int is_late = is(self, "late") || self->mode[0] == '~';
  if (is_late) {
    /* until the peer has given up */
    while (host->wanted(host, todo->call)) usleep(1000);
    usleep(100000);
    self->in_order = !self->destroyed;
  } else {
    usleep(5000);
  }
  /* the request must still be there */
  char seen[64] = {0};
  memcpy(seen, todo->request->msp_id.ptr, todo->request->msp_id.len);
  fpp_answer says = respond(self, seen);
  host->complete(host, todo->call, &says);
  if (is(self, "late")) host->counter_add(host, text("late"), 1);
  free(todo);
  return NULL;
}

static void on_a_thread(instance *self, const fpp_request *request, fpp_call call) {
  job *todo = malloc(sizeof *todo);
  *todo = (job){self, request, call};
  pthread_t thread;
  if (pthread_create(&thread, NULL, later, todo) == 0) pthread_detach(thread);
}

static void before(void *this, const fpp_request *request, fpp_call call) {
  instance *self = this;
  const fpp_host *host = self->host;
  fpp_answer says = answer(FPP_CONTINUE);
  if (is(self, "never")) return;
  if (is(self, "null")) {
    host->complete(host, call, NULL);
    return;
  }
  if (is(self, "thread") || is(self, "late") || self->mode[0] == '~') {
    on_a_thread(self, request, call);
    return;
  }
  if (is(self, "facts")) says = facts(self, request, call);
  if (is(self, "deny")) {
    says = respond(self, "denied in C");
    says.outcome = FPP_REJECT;
    says.code = FPP_PERMISSION_DENIED;
  }
  if (is(self, "null bytes")) {
    says.outcome = FPP_RESPOND;
    says.bytes.len = 7;
  }
  if (is(self, "small")) says.size = 8;
  if (is(self, "odd")) says.outcome = 77;
  if (is(self, "oversize")) {
    size_t len = (size_t)101 << 20;
    says.outcome = FPP_RESPOND;
    says.bytes = (fpp_buf){calloc(len, 1), len, self, release};
  }
  if (is(self, "impossible length")) {
    says.outcome = FPP_RESPOND;
    says.bytes = buffer(self, "x", 1);
    says.bytes.len = SIZE_MAX;
  }
  if (is(self, "after") || is(self, "heal") || is(self, "keep") || is(self, "carry")) {
    says.outcome = FPP_CONTINUE_THEN_AFTER;
    says.state = malloc(16);
  }
  if (is(self, "odd with state")) {
    says.outcome = 77;
    says.state = malloc(16);
  }
  if (is(self, "twice")) {
    fpp_answer first = respond(self, "first"), second = respond(self, "second");
    int once = host->complete(host, call, &first), again = host->complete(host, call, &second);
    host->counter_add(host, text(once == 0 && again == -1 ? "refused" : "taken"), 1);
    /* nor for calls that never were, nor with nothing */
    fpp_answer third = respond(self, "third");
    host->complete(host, UINT64_MAX, &third);
    host->complete(NULL, call, &third);
    host->attr(host, call, text("trace.parent"), NULL);
    host->log(host, 99, (fpp_bytes){NULL, 12});
    return;
  }
  host->complete(host, call, &says);
}

static void after(void *this, const fpp_request *request, void *state, const fpp_outcome *outcome, fpp_call call) {
  instance *self = this;
  fpp_answer says = answer(FPP_CONTINUE);
  (void)request;
  free(state);
  if (!is(self, "keep")) {
    char out[256];
    snprintf(out, sizeof out, "%u %.*s in C", outcome->code, (int)outcome->bytes.len, (const char *)outcome->bytes.ptr);
    says = respond(self, out);
    if (outcome->code != 0 && !is(self, "heal")) {
      says.outcome = FPP_REJECT;
      says.code = outcome->code;
    }
  }
  self->host->complete(self->host, call, &says);
}

static void drop_state(void *this, void *state) {
  instance *self = this;
  free(state);
  self->host->counter_add(self->host, text("dropped"), 1);
}

static void decorate(void *this, const fpp_request *request, fpp_bytes input, fpp_call call, fpp_answer *says) {
  instance *self = this;
  (void)request;
  (void)call;
  if (is(self, "deny")) {
    *says = respond(self, "denied in C");
    says->outcome = FPP_REJECT;
    says->code = FPP_PERMISSION_DENIED;
    return;
  }
  if (is(self, "keep")) return;
  if (is(self, "garbage")) {
    *says = respond(self, "\xff\xff garbage");
    return;
  }
  /* one more argument (field 1) and a decoration (field 2: a map entry); protobuf messages can be appended */
  static const char more[] = "\x0a\x01!" "\x12\x08\x0a\x01" "c\x12\x03yes" "\x18\x01";
  size_t len = sizeof more - 1 - (is(self, "init") ? 0 : 2), all = input.len + len;
  uint8_t *out = malloc(all);
  memcpy(out, input.ptr, input.len);
  memcpy(out + input.len, more, len);
  says->outcome = FPP_RESPOND;
  says->bytes = (fpp_buf){out, all, self, release};
}

/* Leaves a file behind if the mode is a path. */
static void destroy(void *this) {
  instance *self = this;
  const char *path = strchr(self->mode, '/');
  self->destroyed = 1;
  FILE *file = path == NULL ? NULL : fopen(path, "w");
  if (file != NULL) {
    fprintf(file, "%s", self->in_order ? "after the last call" : "destroyed");
    fclose(file);
  }
  free(self);
}

uint32_t fabric_peer_plugin_create(const fpp_host *host, fpp_bytes name, fpp_bytes config, fpp_plugin *out) {
  (void)name;
  instance *self = calloc(1, sizeof *self);
  self->host = host;
  /* {"mode":"…"} */
  size_t mark = 0, len = 0;
  for (size_t at = 0; at < config.len; at++) {
    if (config.ptr[at] != '"') {
      if (mark == 3 && len < sizeof self->mode - 1) self->mode[len++] = (char)config.ptr[at];
      continue;
    }
    mark++;
  }
  if (is(self, "refuse")) {
    out->error = buffer(self, "not to my taste", 15);
    return FPP_CONFIG;
  }
  out->size = is(self, "no size") ? 0 : sizeof *out;
  out->self = self;
  out->destroy = destroy;
  out->drop_state = drop_state;
  out->decorate = decorate;
  if (!is(self, "no before")) out->before = before;
  if (!is(self, "carry")) out->after = after;
  if (is(self, "large table")) {
    /* as a later version's plugin would */
    memset((char *)out + sizeof *out, 0xff, 512);
    out->size = sizeof *out + 512;
  }
  return 0;
}
