/* Libraries: their headers' versions and those of what was loaded, which need not be the same. */
#include "net/libraries.h"

#include <curl/curl.h>
#include <microhttpd.h>
#include <stdio.h>

void net_libraries(struct net_libraries *out)
{
    const unsigned v = (unsigned)MHD_VERSION;
    out->curl_built = LIBCURL_VERSION;
    out->curl_run = curl_version_info(CURLVERSION_NOW)->version;
    out->curl_whole = curl_version();
    snprintf(out->http_built, sizeof out->http_built, "%x.%x.%x", v >> 24, (v >> 16) & 0xff, (v >> 8) & 0xff);
    out->http_run = MHD_get_version();
}
