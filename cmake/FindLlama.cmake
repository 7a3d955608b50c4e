# llama::llama (libllama with the ggml libraries), llama::common (llama.cpp's
# chat code: templates, tool formats, grammars; C++), and Llama_BUNDLED when they
# are the copy that tools/deps/llama.sh unpacked. Llama_LIBRARY_DIR also holds
# the CPU backends, which ggml loads at run time.
#
# The system's are used when it has both: the chat code must be of libllama's
# own release.
include(FindPackageHandleStandardArgs)
find_package(PkgConfig QUIET)
pkg_check_modules(PC_LLAMA QUIET llama llama-common)
if(PC_LLAMA_FOUND)
    set(Llama_BUNDLED FALSE)
    find_path(Llama_INCLUDE_DIR llama.h HINTS ${PC_LLAMA_INCLUDE_DIRS})
    find_path(Llama_COMMON_INCLUDE_DIR llama-common/chat.h HINTS ${PC_LLAMA_INCLUDE_DIRS})
    foreach(_lib llama ggml ggml-base llama-common)
        find_library(Llama_${_lib}_LIBRARY ${_lib} HINTS ${PC_LLAMA_LIBRARY_DIRS})
    endforeach()
else()
    set(Llama_BUNDLED TRUE)
    set(_prefix ${VX11_DEPS_DIR}/llama)
    find_path(Llama_INCLUDE_DIR llama.h PATHS ${_prefix}/include NO_DEFAULT_PATH)
    find_path(Llama_COMMON_INCLUDE_DIR llama-common/chat.h PATHS ${_prefix}/include NO_DEFAULT_PATH)
    foreach(_lib llama ggml ggml-base llama-common)
        find_library(Llama_${_lib}_LIBRARY ${_lib} PATHS ${_prefix}/lib NO_DEFAULT_PATH)
    endforeach()
endif()
find_package_handle_standard_args(Llama
    REQUIRED_VARS Llama_llama_LIBRARY Llama_ggml_LIBRARY Llama_ggml-base_LIBRARY Llama_llama-common_LIBRARY
        Llama_INCLUDE_DIR Llama_COMMON_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "run ./dev deps")
if(Llama_FOUND AND NOT TARGET llama::llama)
    get_filename_component(Llama_LIBRARY_DIR ${Llama_llama_LIBRARY} DIRECTORY)
    add_library(llama::llama UNKNOWN IMPORTED)
    set_target_properties(llama::llama PROPERTIES
        IMPORTED_LOCATION ${Llama_llama_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${Llama_INCLUDE_DIR}
        INTERFACE_LINK_LIBRARIES "${Llama_ggml_LIBRARY};${Llama_ggml-base_LIBRARY}")
    # Its headers have plain names: they are asked for as <llama-common/chat.h>.
    add_library(llama::common UNKNOWN IMPORTED)
    set_target_properties(llama::common PROPERTIES
        IMPORTED_LOCATION ${Llama_llama-common_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${Llama_COMMON_INCLUDE_DIR}
        INTERFACE_LINK_LIBRARIES llama::llama)
endif()
mark_as_advanced(Llama_INCLUDE_DIR Llama_COMMON_INCLUDE_DIR Llama_llama_LIBRARY Llama_ggml_LIBRARY
    Llama_ggml-base_LIBRARY Llama_llama-common_LIBRARY)
