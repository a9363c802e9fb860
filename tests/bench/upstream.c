/* Three domains' level-0 endpoints out of memory: pages are slices of one text, look-ups are slices put together.
 *
 *   upstream FOLDER NAME:PORT...
 *
 * FOLDER/NAME.rows   all rows as JSON, a comma between them
 * FOLDER/NAME.marks  uint64: where each row begins, and one past the last row's comma
 * FOLDER/NAME.keys   uint32 pairs: first row of key number k, and one past its last
 * FOLDER/NAME.slo    the answer to /slo
 *
 * One thread, epoll, keep-alive, GET only. A key's number is its digits ("O0000123" is 123).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TABLES_MAX = 16, HEAD_MAX = 64 * 1024, EVENTS = 128, ROOM_FOR_HEAD = 160 };

struct table {
  const char *name;
  char *rows, *slo;
  uint64_t *marks;
  uint32_t *keys;
  size_t count, key_count, slo_length;
};

struct peer {
  int fd, is_listener, waits_to_write;
  struct table *table;
  char in[HEAD_MAX];
  size_t in_length;
  char *out;
  size_t out_begin, out_end, out_room;
};

static struct table tables[TABLES_MAX];
static int poll_fd;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void *load(const char *folder, const char *name, const char *kind, size_t *length) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.%s", folder, name, kind);
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  fseek(file, 0, SEEK_END);
  *length = (size_t)ftell(file);
  rewind(file);
  void *bytes = malloc(*length + 1);
  if (fread(bytes, 1, *length, file) != *length) fail(path);
  fclose(file);
  return bytes;
}

/* -- answers ---------------------------------------------------------------------------------------------------------- */

static char *room(struct peer *peer, size_t more) {
  if (peer->out_end + more > peer->out_room) {
    peer->out_room = 2 * (peer->out_end + more);
    peer->out = realloc(peer->out, peer->out_room);
  }
  return peer->out + peer->out_end;
}

static void put(struct peer *peer, const char *bytes, size_t length) {
  memcpy(room(peer, length), bytes, length);
  peer->out_end += length;
}

static void put_head(struct peer *peer, int status, size_t length) {
  char *at = room(peer, ROOM_FOR_HEAD);
  peer->out_end += (size_t)snprintf(at, ROOM_FOR_HEAD, "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n",
                                    status == 200 ? "200 OK" : "404 Not Found", length);
}

static size_t end_of_page(char *into, size_t size, const char *cursor, size_t total) {
  return (size_t)snprintf(into, size,
                          "],\"nextCursor\":%s,\"metadata\":{\"generatedAt\":\"2026-11-23T10:00:00Z\",\"version\":\"2.1.0\","
                          "\"totalRecords\":%zu,\"sloStatus\":\"MET\"}}",
                          cursor, total);
}

static const char START[] = "{\"data\":[";
enum { START_LENGTH = sizeof START - 1 };

static void answer_page(struct peer *peer, size_t from, size_t limit) {
  struct table *table = peer->table;
  if (from > table->count) from = table->count;
  size_t to = limit < table->count - from ? from + limit : table->count;
  size_t length = to > from ? table->marks[to] - table->marks[from] - 1 : 0;
  char cursor[32] = "null", end[256];
  if (to < table->count) snprintf(cursor, sizeof cursor, "\"%zu\"", to);
  size_t end_length = end_of_page(end, sizeof end, cursor, table->count);
  put_head(peer, 200, START_LENGTH + length + end_length);
  put(peer, START, START_LENGTH);
  put(peer, table->rows + table->marks[from], length);
  put(peer, end, end_length);
}

static void answer_lookup(struct peer *peer, const char *keys) {
  static char found[8 << 20];
  struct table *table = peer->table;
  size_t length = 0, rows = 0;
  for (const char *at = keys; *at && *at != ')';) {
    size_t number = 0;
    for (; *at && *at != ',' && *at != ')'; at++)
      if (*at >= '0' && *at <= '9') number = 10 * number + (size_t)(*at - '0');
    if (*at == ',') at++;
    if (number >= table->key_count) continue;
    uint32_t first = table->keys[2 * number], end = table->keys[2 * number + 1];
    size_t bytes = table->marks[end] - table->marks[first];
    if (length + bytes > sizeof found) break;
    memcpy(found + length, table->rows + table->marks[first], bytes);
    length += bytes;
    rows += end - first;
  }
  if (length) length--; /* the last row's comma */
  char end[256];
  size_t end_length = end_of_page(end, sizeof end, "null", rows);
  put_head(peer, 200, START_LENGTH + length + end_length);
  put(peer, START, START_LENGTH);
  put(peer, found, length);
  put(peer, end, end_length);
}

static int digit(char hex) { return hex <= '9' ? hex - '0' : (hex | 32) - 'a' + 10; }

static void answer(struct peer *peer, const char *target, size_t length) {
  static char plain[HEAD_MAX];
  size_t used = 0;
  for (size_t i = 0; i < length; i++) {
    int coded = target[i] == '%' && i + 2 < length;
    plain[used++] = coded ? (char)(digit(target[i + 1]) << 4 | digit(target[i + 2])) : target[i];
    if (coded) i += 2;
  }
  plain[used] = 0;
  char *query = strchr(plain, '?');
  if (!query) {
    if (used > 4 && !strcmp(plain + used - 4, "/slo")) {
      put_head(peer, 200, peer->table->slo_length);
      put(peer, peer->table->slo, peer->table->slo_length);
      return;
    }
    put_head(peer, 404, 2);
    put(peer, "{}", 2);
    return;
  }
  char *keys = strstr(query, "in:(");
  if (keys) {
    answer_lookup(peer, keys + 4);
    return;
  }
  char *limit = strstr(query, "limit="), *cursor = strstr(query, "cursor=");
  answer_page(peer, cursor ? strtoul(cursor + 7, NULL, 10) : 0, limit ? strtoul(limit + 6, NULL, 10) : 100);
}

/* -- connections ------------------------------------------------------------------------------------------------------ */

static void watch(struct peer *peer, int how, int to_write) {
  struct epoll_event event = {.events = EPOLLIN | (to_write ? EPOLLOUT : 0), .data.ptr = peer};
  if (epoll_ctl(poll_fd, how, peer->fd, &event)) fail("epoll_ctl");
  peer->waits_to_write = to_write;
}

static void leave(struct peer *peer) {
  close(peer->fd);
  free(peer->out);
  free(peer);
}

static int read_requests(struct peer *peer) {
  ssize_t got = recv(peer->fd, peer->in + peer->in_length, sizeof peer->in - peer->in_length, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
  peer->in_length += (size_t)got;
  size_t used = 0;
  char *end;
  while ((end = memmem(peer->in + used, peer->in_length - used, "\r\n\r\n", 4))) {
    char *begin = peer->in + used, *target = memchr(begin, ' ', (size_t)(end - begin));
    char *after = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
    if (!after) return -1;
    answer(peer, target + 1, (size_t)(after - target - 1));
    used = (size_t)(end - peer->in) + 4;
  }
  memmove(peer->in, peer->in + used, peer->in_length - used);
  peer->in_length -= used;
  return peer->in_length == sizeof peer->in ? -1 : 0;
}

static int write_answers(struct peer *peer) {
  while (peer->out_begin < peer->out_end) {
    ssize_t sent = send(peer->fd, peer->out + peer->out_begin, peer->out_end - peer->out_begin, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN) return -1;
      if (!peer->waits_to_write) watch(peer, EPOLL_CTL_MOD, 1);
      return 0;
    }
    peer->out_begin += (size_t)sent;
  }
  peer->out_begin = peer->out_end = 0;
  if (peer->waits_to_write) watch(peer, EPOLL_CTL_MOD, 0);
  return 0;
}

static void welcome(struct peer *listener) {
  int fd, yes = 1;
  while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct peer *peer = calloc(1, sizeof *peer);
    peer->fd = fd;
    peer->table = listener->table;
    watch(peer, EPOLL_CTL_ADD, 0);
  }
}

static void open_table(const char *folder, char *place, struct table *table) {
  char *colon = strchr(place, ':');
  if (!colon) fail(place);
  *colon = 0;
  size_t length;
  table->name = place;
  table->rows = load(folder, place, "rows", &length);
  table->rows[length] = ','; /* so that the last row may stand in the middle of a look-up */
  table->marks = load(folder, place, "marks", &length);
  table->count = length / sizeof *table->marks - 1;
  table->keys = load(folder, place, "keys", &length);
  table->key_count = length / (2 * sizeof *table->keys);
  table->slo = load(folder, place, "slo", &table->slo_length);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1024)) fail("listen");
  struct peer *listener = calloc(1, sizeof *listener);
  listener->fd = fd;
  listener->is_listener = 1;
  listener->table = table;
  watch(listener, EPOLL_CTL_ADD, 0);
}

int main(int count, char **arguments) {
  if (count < 3 || count > 2 + TABLES_MAX) return 2;
  poll_fd = epoll_create1(0);
  for (int i = 2; i < count; i++) open_table(arguments[1], arguments[i], &tables[i - 2]);
  struct epoll_event events[EVENTS];
  for (;;) {
    int ready = epoll_wait(poll_fd, events, EVENTS, -1);
    for (int i = 0; i < ready; i++) {
      struct peer *peer = events[i].data.ptr;
      if (peer->is_listener) {
        welcome(peer);
        continue;
      }
      int bad = events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? read_requests(peer) : 0;
      if (bad || write_answers(peer)) leave(peer);
    }
  }
}
