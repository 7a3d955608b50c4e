# Flags, by profile. Every first-party target links vx11_flags; third-party
# targets do not, so that our warnings are about our code.

set(VX11_PROFILE debug CACHE STRING "release, debug, asan, tsan or fuzz")
set_property(CACHE VX11_PROFILE PROPERTY STRINGS release debug asan tsan fuzz)
if(NOT VX11_PROFILE MATCHES "^(release|debug|asan|tsan|fuzz)$")
    message(FATAL_ERROR "VX11_PROFILE is ${VX11_PROFILE}: it must be release, debug, asan, tsan or fuzz")
endif()
# The profile sets every flag itself: no CMAKE_BUILD_TYPE beside it.
set(CMAKE_BUILD_TYPE "" CACHE STRING "Unused: see VX11_PROFILE" FORCE)

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON)
set(CMAKE_LINK_DEPENDS_NO_SHARED ON)

find_program(VX11_CCACHE ccache)
mark_as_advanced(VX11_CCACHE)
if(VX11_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${VX11_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${VX11_CCACHE})
endif()

add_library(vx11_flags INTERFACE)
# _GNU_SOURCE is empty, not 1: a source that defines it itself then redefines nothing.
target_compile_options(vx11_flags INTERFACE
    $<$<COMPILE_LANGUAGE:C>:-D_GNU_SOURCE=>
    -g -fno-omit-frame-pointer
    -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Werror
    -Wformat=2 -Wwrite-strings -Wpointer-arith -Wimplicit-fallthrough -Walloca
    "$<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes;-Wmissing-prototypes;-Wold-style-definition>")
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    target_compile_options(vx11_flags INTERFACE -Wlogical-op -Wduplicated-cond -Wtrampolines)
endif()

# gcc's warnings that follow values see other code, and wrong paths, once a
# sanitizer has put its checks in: the release and debug builds give them.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND VX11_PROFILE MATCHES "^(asan|tsan)$")
    target_compile_options(vx11_flags INTERFACE
        -Wno-format-truncation -Wno-format-overflow -Wno-maybe-uninitialized -Wno-nonnull
        -Wno-stringop-overflow -Wno-stringop-overread -Wno-stringop-truncation -Wno-array-bounds)
endif()

# Hardening that costs little everywhere. Fortify needs optimisation and gets
# in the sanitizers' way, so only release has it.
target_compile_options(vx11_flags INTERFACE -fstack-protector-strong -fstack-clash-protection -fPIE)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i.86)$")
    target_compile_options(vx11_flags INTERFACE -fcf-protection)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    target_compile_options(vx11_flags INTERFACE -mbranch-protection=standard)
endif()
target_link_options(vx11_flags INTERFACE
    -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed -Wl,--build-id=sha1)

if(VX11_PROFILE STREQUAL "release")
    target_compile_options(vx11_flags INTERFACE -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
    target_compile_definitions(vx11_flags INTERFACE VX11_RELEASE=1)
elseif(VX11_PROFILE STREQUAL "debug")
    target_compile_options(vx11_flags INTERFACE -O1)
elseif(VX11_PROFILE STREQUAL "asan")
    # vptr: the types of C++ libraries that were built without the sanitizer are unknown to it.
    target_compile_options(vx11_flags INTERFACE -O1 -fsanitize=address,undefined -fno-sanitize-recover=all
        $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
    target_link_options(vx11_flags INTERFACE -fsanitize=address,undefined)
elseif(VX11_PROFILE STREQUAL "tsan")
    target_compile_options(vx11_flags INTERFACE -O1 -fsanitize=thread)
    target_link_options(vx11_flags INTERFACE -fsanitize=thread)
elseif(VX11_PROFILE STREQUAL "fuzz")
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "the fuzz profile needs clang: configure with -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++")
    endif()
    target_compile_options(vx11_flags INTERFACE
        -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
        $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=vptr>)
    target_link_options(vx11_flags INTERFACE -fsanitize=address,undefined)
endif()
