/*
 * Plugins for the peer in C, or in any language that can export a C function: auth filters and decorators.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A plugin is a shared library with
 *   - a manifest:        FPP_MANIFEST("name", "1.0.0", FPP_AUTH_FILTER | FPP_DECORATOR);
 *   - metadata:          FPP_METADATA("{\"name\":\"name\",\"description\":\"…\",\"configSchema\":{…}}");
 *   - a constructor:     fabric_peer_plugin_create, below.
 * The peer reads the first two from the file without running anything. examples/c/msp_allow.c is a complete one.
 *
 *   gcc -std=c11 -O2 -shared -fPIC -fvisibility=hidden -I plugin-api/include -o libmine.so mine.c
 *
 * Rules
 *   - Memory belongs to whoever made it. fpp_bytes are borrowed for as long as this file says. An fpp_buf is handed
 *     over: whoever receives it calls its `free` once, from any thread. A NULL `free` means that nothing is to be freed.
 *   - Texts are UTF-8 and not terminated by NUL.
 *   - Every function may be called from several threads at once, on threads of the peer. Do not block them.
 *   - Functions must return: no longjmp, exit or exception across this border. Nothing protects the peer from a plugin
 *     that writes where it should not; that is what the Rust interface is for.
 *   - Tables begin with their size and grow at their ends with minor versions of the API. What a table does not reach
 *     is not there: compare `size` with offsetof before using something newer than 1.1.
 */
#ifndef FABRIC_PEER_PLUGIN_H
#define FABRIC_PEER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

/* The version of the API: a peer takes plugins of its own major version with any minor version. */
#define FPP_API_MAJOR 1
#define FPP_API_MINOR 1

/* What a library offers. */
#define FPP_AUTH_FILTER 1u
#define FPP_DECORATOR 2u

/* How it was built: this interface. */
#define FPP_FLAG_C 4u

/* Codes of errors: 1 to 16 are those of gRPC, the rest belongs to this API. */
#define FPP_UNKNOWN 2u /* what Fabric's own filters answer with */
#define FPP_INVALID_ARGUMENT 3u
#define FPP_PERMISSION_DENIED 7u
#define FPP_INTERNAL 13u
#define FPP_UNAVAILABLE 14u
#define FPP_CONFIG 1001u /* the constructor cannot use its configuration */

/* Borrowed bytes. */
typedef struct fpp_bytes {
  const uint8_t *ptr; /* may be NULL if len is 0 */
  size_t len;
} fpp_bytes;

/* Bytes that are handed over. */
typedef struct fpp_buf {
  uint8_t *ptr;
  size_t len;
  void *owner; /* for `free` alone */
  void (*free)(void *owner, uint8_t *ptr, size_t len);
} fpp_buf;

/* One hook under way. It ends with exactly one fpp_host.complete, from any thread, also long after the hook returned. */
typedef uint64_t fpp_call;

/*
 * The facts of one signed proposal. Valid, with all they point to, until the call is completed: also when the peer has
 * stopped waiting for it. In a decorator until `decorate` returns. Nothing in here is verified; if the proposal cannot
 * be decoded, only proposal_bytes and signature say something.
 */
typedef struct fpp_request {
  uint32_t size;
  uint32_t reserved;
  fpp_bytes proposal_bytes;
  fpp_bytes signature;
  fpp_bytes channel_id;
  fpp_bytes tx_id;
  fpp_bytes chaincode_name;
  fpp_bytes msp_id;
  fpp_bytes creator_cert; /* PEM */
  fpp_bytes remote_addr;  /* host:port */
  uint64_t deadline_unix_ms; /* 0: the client did not say */
} fpp_request;

/* What the endorser, or a later filter, has answered: code 0 and an encoded ProposalResponse, or a code and a text. */
typedef struct fpp_outcome {
  uint32_t size;
  uint32_t code;
  fpp_bytes bytes;
} fpp_outcome;

/* What a hook decided. */
#define FPP_CONTINUE 0u            /* before: go on. after: the outcome stays. decorate: the input stays */
#define FPP_CONTINUE_THEN_AFTER 1u /* before: go on, and call `after` with `state` */
#define FPP_RESPOND 2u             /* `bytes` is the ProposalResponse, or in decorate the ChaincodeInput */
#define FPP_REJECT 3u              /* `code`, and `bytes` as its text */

typedef struct fpp_answer {
  uint32_t size; /* sizeof(fpp_answer) */
  uint32_t outcome;
  uint32_t code;
  uint32_t reserved; /* 0 */
  fpp_buf bytes;     /* the peer takes it, whatever it answers */
  void *state;
} fpp_answer;

/* What the peer does for plugins. Valid for ever. Every function may be called from any thread. */
typedef struct fpp_host {
  uint32_t size;
  uint32_t api_minor; /* the peer's */
  /* Levels: 1 error, 2 warn, 3 info, 4 debug, 5 trace. */
  int (*log_enabled)(const struct fpp_host *host, uint32_t level);
  void (*log)(const struct fpp_host *host, uint32_t level, fpp_bytes message);
  void (*counter_add)(const struct fpp_host *host, fpp_bytes name, uint64_t value);
  void (*observe)(const struct fpp_host *host, fpp_bytes name, double value);
  /* A further fact of a call's request, such as "tls.peer-cert" or "grpc.metadata.authorization". 1 and *out, which is
   * then yours, or 0 if there is none. */
  int (*attr)(const struct fpp_host *host, fpp_call call, fpp_bytes name, fpp_buf *out);
  /* Says something to later filters and decorators; 0 if the peer does not take it. */
  int (*set_attr)(const struct fpp_host *host, fpp_call call, fpp_bytes name, fpp_bytes value);
  /* Ends a call. 0, or -1 if there is no such call (any more), in which case the peer has still taken the answer's
   * bytes. The request is gone once this returns. */
  int (*complete)(const struct fpp_host *host, fpp_call call, const fpp_answer *answer);
  /* Whether somebody still waits for the call: 1 or 0. A call that nobody waits for must be completed, too. */
  int (*wanted)(const struct fpp_host *host, fpp_call call);
} fpp_host;

/* A plugin instance; fabric_peer_plugin_create fills it in. Functions of kinds that it does not offer stay NULL. */
typedef struct fpp_plugin {
  uint32_t size; /* sizeof(fpp_plugin) */
  uint32_t reserved;
  void *self;    /* first argument of every function */
  fpp_buf error; /* why fabric_peer_plugin_create failed */
  /* The last call: every call is completed, no other will come. On a thread of the peer that waits. May be NULL. */
  void (*destroy)(void *self);
  /* An auth filter: called with every proposal, in the configured order. */
  void (*before)(void *self, const fpp_request *request, fpp_call call);
  /* Called in reverse order after FPP_CONTINUE_THEN_AFTER; `state` is the plugin's again. `outcome` is valid as long as
   * the request is. May be NULL if `before` never asks for it. */
  void (*after)(void *self, const fpp_request *request, void *state, const fpp_outcome *outcome, fpp_call call);
  /* Takes back a state for which `after` will not be called, perhaps from within `complete`. May be NULL. */
  void (*drop_state)(void *self, void *state);
  /* A decorator: from an encoded protos.ChaincodeInput to another. `answer` is there to be filled in before this
   * returns; as it comes it says FPP_CONTINUE. Decorations that are missing from the answer stay, is_init must stay. */
  void (*decorate)(void *self, const fpp_request *request, fpp_bytes input, fpp_call call, fpp_answer *answer);
} fpp_plugin;

#if defined(__cplusplus)
#define FPP_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define FPP_EXPORT extern __attribute__((visibility("default")))
#endif

/*
 * Makes an instance. `instance` is its name in peer.handlers, `config` its configuration as JSON, which has passed the
 * schema of the metadata; both are valid until this returns. `out` comes zeroed, with room for more than this version
 * knows. 0, or a code, with out->error as its text.
 */
FPP_EXPORT uint32_t fabric_peer_plugin_create(const fpp_host *host, fpp_bytes instance, fpp_bytes config, fpp_plugin *out);

/* The manifest. The peer compares it with its own target and the compilers that it refuses. */
typedef struct fpp_note {
  char magic[8];
  uint32_t size;
  uint16_t api_major;
  uint16_t api_minor;
  uint32_t kinds;
  uint32_t flags;
  char name[64];
  char version[32];
  char toolchain[64];
  char target[48];
} fpp_note;

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__)
#define FPP_TARGET "x86_64-unknown-linux-gnu"
#elif defined(__aarch64__) && defined(__linux__) && defined(__GLIBC__)
#define FPP_TARGET "aarch64-unknown-linux-gnu"
#else
#error "the peer runs on Linux with glibc, on x86_64 and aarch64"
#endif

#if defined(__clang__)
#define FPP_TOOLCHAIN "clang " __clang_version__
#else
#define FPP_TOOLCHAIN "gcc " __VERSION__
#endif

/* Once in a plugin, in a C file: its name, its version and what it offers. Plain data in a section of its own. */
#define FPP_MANIFEST(NAME, VERSION, KINDS)                                                                             \
  FPP_EXPORT const fpp_note FABRIC_PEER_PLUGIN;                                                                        \
  __attribute__((section(".fabplug"))) const fpp_note FABRIC_PEER_PLUGIN = {                                           \
      {'F', 'A', 'B', 'P', 'L', 'U', 'G', 0}, sizeof(fpp_note), FPP_API_MAJOR, FPP_API_MINOR, (KINDS), FPP_FLAG_C,     \
      NAME, VERSION, FPP_TOOLCHAIN, FPP_TARGET}

/* Once in a plugin, in a C file: JSON with its name (that of the manifest), description and configSchema. */
#define FPP_METADATA(JSON)                                                                                             \
  FPP_EXPORT const char FABRIC_PEER_PLUGIN_METADATA[sizeof(JSON) - 1];                                                 \
  __attribute__((section(".fabplug.meta"))) const char FABRIC_PEER_PLUGIN_METADATA[sizeof(JSON) - 1] = JSON

/* What both sides agree on; the peer asserts the same numbers. */
#if !defined(__cplusplus)
_Static_assert(sizeof(fpp_note) == 232, "fpp_note");
_Static_assert(sizeof(fpp_buf) == 32, "fpp_buf");
_Static_assert(sizeof(fpp_request) == 144, "fpp_request");
_Static_assert(sizeof(fpp_outcome) == 24, "fpp_outcome");
_Static_assert(sizeof(fpp_answer) == 56, "fpp_answer");
_Static_assert(sizeof(fpp_host) == 72, "fpp_host");
_Static_assert(sizeof(fpp_plugin) == 88, "fpp_plugin");
#endif

#endif
