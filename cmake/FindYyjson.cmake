# yyjson::yyjson, and Yyjson_BUNDLED when it is the copy that tools/deps/yyjson.sh
# unpacked: the package must then carry the library.
include(FindPackageHandleStandardArgs)
find_package(PkgConfig QUIET)
pkg_check_modules(PC_YYJSON QUIET yyjson)
if(PC_YYJSON_FOUND)
    set(Yyjson_BUNDLED FALSE)
    find_path(Yyjson_INCLUDE_DIR yyjson.h HINTS ${PC_YYJSON_INCLUDE_DIRS})
    find_library(Yyjson_LIBRARY yyjson HINTS ${PC_YYJSON_LIBRARY_DIRS})
else()
    set(Yyjson_BUNDLED TRUE)
    set(_prefix ${VX11_DEPS_DIR}/yyjson/usr)
    find_path(Yyjson_INCLUDE_DIR yyjson.h PATHS ${_prefix}/include NO_DEFAULT_PATH)
    find_library(Yyjson_LIBRARY yyjson
        PATHS ${_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE} ${_prefix}/lib NO_DEFAULT_PATH)
endif()
find_package_handle_standard_args(Yyjson REQUIRED_VARS Yyjson_LIBRARY Yyjson_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "run ./dev deps")
if(Yyjson_FOUND AND NOT TARGET yyjson::yyjson)
    add_library(yyjson::yyjson UNKNOWN IMPORTED)
    set_target_properties(yyjson::yyjson PROPERTIES
        IMPORTED_LOCATION ${Yyjson_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${Yyjson_INCLUDE_DIR})
endif()
mark_as_advanced(Yyjson_INCLUDE_DIR Yyjson_LIBRARY)
