# Third-party libraries as imported targets. The system's, through pkg-config;
# what Debian 12 lacks, from where tools/deps put it.

find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(fyaml REQUIRED IMPORTED_TARGET libfyaml)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3>=3.37)
pkg_check_modules(uv REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(edit REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(ncursesw REQUIRED IMPORTED_TARGET ncursesw)
pkg_check_modules(cmocka IMPORTED_TARGET cmocka)
find_package(Wslay REQUIRED)
find_package(Yyjson REQUIRED)
find_package(Llama REQUIRED)
find_package(Threads REQUIRED)
