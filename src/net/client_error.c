/* libcurl's results as our codes, with a sentence that names the peer. Sentences never hold a URL's path or
 * query, nor any header: those may carry secrets. */
#include "net/client_internal.h"

#include <stdio.h>
#include <string.h>

char *client_peer_name(const struct client_call *call, char *out, size_t size)
{
    const char *url = call->text.data ? call->text.data : "";
    if (call->socket_at != 0) {
        snprintf(out, size, "the socket %s", url + call->socket_at);
        return out;
    }
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    snprintf(out, size, "%.*s", (int)strcspn(host, "/?#"), host);
    return out;
}

static const char *client_detail(const struct client_call *call, CURLcode code)
{
    return call->curl_text[0] ? call->curl_text : curl_easy_strerror(code);
}

static int explain_connect(struct client_call *call, const char *peer, CURLcode code, struct error *err)
{
    long sys = 0;
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &sys);
    const char *why = sys ? strerrordesc_np((int)sys) : NULL;
    return error_set(err, VX11_EUNAVAILABLE, "cannot connect to %s: %s", peer,
                     why ? why : client_detail(call, code));
}

static int explain_cut(struct client_call *call, const char *peer, CURLcode code, struct error *err)
{
    curl_off_t got = 0;
    if (strstr(call->curl_text, "chunked") != NULL)
        return error_set(err, VX11_ECORRUPT, "%s sent a malformed answer: %s", peer,
                         client_detail(call, code));
    if (call->phase != CALL_STREAMING)
        return error_set(err, VX11_ECLOSED, "%s closed the connection before it answered (%s)", peer,
                         client_detail(call, code));
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_DOWNLOAD_T, &got);
    return error_set(err, VX11_ECLOSED, "%s broke its answer off after %lld bytes (%s)", peer, (long long)got,
                     client_detail(call, code));
}

int client_explain(struct client_call *call, CURLcode code, struct error *err)
{
    char peer[160];
    if (err->code != 0) /* we ended it ourselves */
        return err->code;
    if (code == CURLE_OK && call->phase == CALL_STREAMING)
        return 0;
    client_peer_name(call, peer, sizeof peer);
    if (code == CURLE_OK) /* for libcurl, headers that end with the connection are an answer */
        return error_set(err, VX11_ECLOSED, "%s closed the connection in the middle of its headers", peer);
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return error_set(err, VX11_EUNAVAILABLE, "cannot find the address of %s", peer);
    case CURLE_COULDNT_CONNECT:
        return explain_connect(call, peer, code, err);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(err, VX11_ETIMEOUT, "no connection to %s in time: %s", peer,
                         client_detail(call, code));
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return explain_cut(call, peer, code, err);
    case CURLE_UNSUPPORTED_PROTOCOL: /* a reply without a status line */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
        return error_set(err, VX11_ECORRUPT, "%s did not answer in HTTP: %s", peer,
                         client_detail(call, code));
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return error_set(err, VX11_EIO, "TLS with %s failed: %s", peer, client_detail(call, code));
    case CURLE_URL_MALFORMAT:
        return error_set(err, VX11_EINVALID, "the address of %s cannot be used: %s", peer,
                         client_detail(call, code));
    case CURLE_OUT_OF_MEMORY:
        /* libcurl 7 also says this when a header line outgrows its bound of 100 KiB. */
        if (call->phase == CALL_WAITING && call->first_byte != 0)
            return error_set(err, VX11_ETOO_LARGE, "%s sent a header line that is too long", peer);
        return error_set(err, VX11_ENOMEM, "out of memory");
    default:
        return error_set(err, VX11_EIO, "the call to %s failed: %s", peer, client_detail(call, code));
    }
}
