/* Libraries: versions of what this room is built on, for those who tell of them. */
#ifndef VX11_NET_LIBRARIES_H
#define VX11_NET_LIBRARIES_H

struct net_libraries {
    const char *curl_built, *curl_run, *curl_whole; /* whole: with the libraries that it uses itself */
    char http_built[24];                            /* libmicrohttpd */
    const char *http_run;
};
void net_libraries(struct net_libraries *out);

#endif
