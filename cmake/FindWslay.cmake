# wslay::wslay. Debian's package has no pkg-config file.
include(FindPackageHandleStandardArgs)
find_path(Wslay_INCLUDE_DIR wslay/wslay.h)
find_library(Wslay_LIBRARY wslay)
find_package_handle_standard_args(Wslay REQUIRED_VARS Wslay_LIBRARY Wslay_INCLUDE_DIR)
if(Wslay_FOUND AND NOT TARGET wslay::wslay)
    add_library(wslay::wslay UNKNOWN IMPORTED)
    set_target_properties(wslay::wslay PROPERTIES
        IMPORTED_LOCATION ${Wslay_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${Wslay_INCLUDE_DIR})
endif()
mark_as_advanced(Wslay_INCLUDE_DIR Wslay_LIBRARY)
