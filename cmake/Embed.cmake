# Files that travel inside the binaries, by the assembler's .incbin.
#
# vx11_embed(NAME FILE path ROOM room)
#     "embed/NAME.h": embed_NAME_data, embed_NAME_size
# vx11_embed(NAME DIRECTORY path GLOB pattern ROOM room)
#     "embed/NAME.h": embed_NAME_files (struct embed_file, sorted by name), embed_NAME_count
#
# The data is linked into ROOM. A missing file or directory embeds nothing: the
# size or count is then 0.

function(vx11_embed NAME)
    cmake_parse_arguments(E "" "FILE;DIRECTORY;GLOB;ROOM" "" ${ARGN})
    set(header ${VX11_GEN}/embed/${NAME}.h)
    set(asm ${VX11_GEN}/embed/${NAME}.S)
    if(E_FILE)
        file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${E_FILE})
        set(mode FILE)
        set(root ${CMAKE_SOURCE_DIR})
    else()
        file(GLOB_RECURSE files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${E_DIRECTORY}/${E_GLOB})
        set(mode DIRECTORY)
        set(root ${CMAKE_SOURCE_DIR}/${E_DIRECTORY})
    endif()
    list(SORT files)
    execute_process(
        COMMAND ${CMAKE_COMMAND} -DNAME=${NAME} -DMODE=${mode} -DROOT=${root} "-DFILES=${files}"
                -DHEADER=${header} -DASM=${asm} -P ${CMAKE_SOURCE_DIR}/tools/embed/embed.cmake
        COMMAND_ERROR_IS_FATAL ANY)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/embed/embed.cmake)
    set_source_files_properties(${asm} PROPERTIES OBJECT_DEPENDS "${files}")
    add_library(vx11_embed_${NAME} STATIC ${asm})
    target_compile_options(vx11_embed_${NAME} PRIVATE -g0)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
        target_compile_options(vx11_embed_${NAME} PRIVATE -fcf-protection)
    endif()
    get_target_property(type vx11_${E_ROOM} TYPE)
    if(type STREQUAL "INTERFACE_LIBRARY")
        target_link_libraries(vx11_${E_ROOM} INTERFACE vx11_embed_${NAME})
    else()
        target_link_libraries(vx11_${E_ROOM} PRIVATE vx11_embed_${NAME})
    endif()
endfunction()
