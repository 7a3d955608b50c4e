# gen/version.h: version, commit and build id's note. Written at configure time
# for the version, and refreshed by a build step when the commit moves.
set(VX11_VERSION_H ${VX11_GEN}/version.h)
set(_version_args
    -DVERSION=${PROJECT_VERSION} -DPROFILE=${VX11_PROFILE} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUT=${VX11_VERSION_H}
    -P ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake)
execute_process(COMMAND ${CMAKE_COMMAND} ${_version_args} COMMAND_ERROR_IS_FATAL ANY)

set(_head)
if(EXISTS ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
    set(_head ${CMAKE_SOURCE_DIR}/.git/logs/HEAD)
endif()
add_custom_command(OUTPUT ${VX11_GEN}/version.stamp BYPRODUCTS ${VX11_VERSION_H}
    COMMAND ${CMAKE_COMMAND} ${_version_args}
    COMMAND ${CMAKE_COMMAND} -E touch ${VX11_GEN}/version.stamp
    DEPENDS ${_head} ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake
    COMMENT "Writing version.h" VERBATIM)
add_custom_target(vx11_version DEPENDS ${VX11_GEN}/version.stamp)
