/* The proxy's reading of request heads, and the policy's of URLs. The first byte chooses. What goes on to a
 * server is one sound head without what was meant for the proxy; what the policy lets through names a host
 * and a port, and reads the same as the http URL of its parts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "operator/egress/egress_internal.h"

static struct egress_policy *policy;

static void heads(const char *text, size_t len)
{
    struct head head, again;
    struct buf out = BUF_INIT;
    if (head_read(text, len, &head) != 0 || head.tunnel)
        return;
    if (head.body < 0)
        abort();
    if (head_forward(text, len, &head, &out) == 0) {
        const char *end = memmem(out.data, out.len, "\r\n\r\n", 4);
        if (!end || end + 4 != out.data + out.len || memchr(out.data, '\0', out.len))
            abort();
        if (strcasestr(out.data, "\r\nProxy-Authorization:") || strcasestr(out.data, "\r\nProxy-Connection:"))
            abort();
        /* Read as a head again, it has the same body, or the target was no URL of a proxy. */
        if (head_read(out.data, out.len, &again) == 0 && again.body != head.body)
            abort();
    }
    buf_free(&out);
}

static void urls(const char *text)
{
    struct egress_target t, again;
    struct egress_verdict v;
    char plain[400];
    if (!egress_url_check(policy, text, true, &t, &v)) {
        if (v.code == EGRESS_ALLOWED || !v.text[0])
            abort();
        return;
    }
    if (!t.host[0] || t.port < 1 || t.port > 65535 || strpbrk(t.host, "/?#@\\ "))
        abort();
    (void)snprintf(plain, sizeof plain, strchr(t.host, ':') ? "http://[%s]:%d/" : "http://%s:%d/", t.host,
                   t.port);
    if (!egress_url_check(policy, plain, false, &again, &v) || strcmp(t.host, again.host) != 0 ||
        t.port != again.port)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct egress_target t;
    struct egress_verdict v;
    if (size < 1)
        return 0;
    if (!policy && egress_policy_create(NULL, 0, NULL, 0, &policy, NULL) != 0)
        abort();
    char *text = malloc(size); /* of exactly this size */
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        heads(text, size - 1);
    else if (data[0] % 3 == 1)
        urls(text);
    else if (egress_authority_check(policy, text, &t, &v) && (!t.host[0] || t.port < 1))
        abort();
    free(text);
    return 0;
}
