# Rooms: src/NAME is one static library, vx11_NAME.
#
# The include directory of a room holds one link, NAME -> src/NAME, so that
# `#include "net/server.h"` is found only by who links vx11_net, directly or
# through a room that does. src/ itself is no include directory.
#
# C++ is for one thing only: to put libraries that speak nothing else behind a
# C header (engine: llama.cpp's chat code).

function(vx11_room NAME)
    cmake_parse_arguments(R "" "" "ROOMS;LIBS;EXCEPT" ${ARGN})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS
        ${CMAKE_SOURCE_DIR}/src/${NAME}/*.c ${CMAKE_SOURCE_DIR}/src/${NAME}/*.cpp)
    foreach(except IN LISTS R_EXCEPT)
        list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/${NAME}/${except})
    endforeach()

    set(inc ${CMAKE_BINARY_DIR}/inc/${NAME})
    file(MAKE_DIRECTORY ${inc})
    if(NOT IS_SYMLINK ${inc}/${NAME})
        file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${NAME} ${inc}/${NAME} SYMBOLIC)
    endif()
    list(TRANSFORM R_ROOMS PREPEND vx11_)

    if(sources)
        set(scope PUBLIC)
        add_library(vx11_${NAME} STATIC ${sources})
        target_link_libraries(vx11_${NAME} PRIVATE vx11_flags)
        add_dependencies(vx11_${NAME} vx11_version)
    else()
        set(scope INTERFACE) # nothing to compile yet: it passes its arrows on
        add_library(vx11_${NAME} INTERFACE)
    endif()
    target_include_directories(vx11_${NAME} ${scope} ${inc})
    target_link_libraries(vx11_${NAME} ${scope} ${R_ROOMS} ${R_LIBS})
    if(NAME STREQUAL "base")
        target_include_directories(vx11_base SYSTEM ${scope} ${VX11_GEN})
        target_link_libraries(vx11_base ${scope} Threads::Threads)
    endif()
endfunction()

# vx11_program(NAME MAIN file ROOMS room...): an executable, skipped while its
# main file does not exist.
function(vx11_program NAME)
    cmake_parse_arguments(P "" "MAIN" "ROOMS" ${ARGN})
    file(GLOB main CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${P_MAIN})
    if(NOT main OR VX11_PROFILE STREQUAL "fuzz")
        return()
    endif()
    list(TRANSFORM P_ROOMS PREPEND vx11_)
    add_executable(${NAME} ${main})
    target_link_libraries(${NAME} PRIVATE vx11_flags ${P_ROOMS})
    set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
